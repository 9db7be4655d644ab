#include "pipelines/documents/pdf_helper/pdf_text.h"

#include <algorithm>
#include <cctype>
#include <utility>

namespace millrace::documents {
namespace {

constexpr std::string_view kSoftHyphen = "\xC2\xAD";
constexpr std::size_t kMaxHeading = 200;       // bytes
constexpr std::size_t kMaxExpected = 100'000;  // headings
constexpr std::size_t kProseWidth = 40;        // characters: blocks narrower than this keep their lines

constexpr std::string_view kLigatures[] = {"ff", "fi", "fl", "ffi", "ffl", "st", "st"};  // U+FB00 and on

void AppendCodePoint(std::string& out, unsigned code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3F))};
  } else if (code < 0x10000) {
    out += {static_cast<char>(0xE0 | (code >> 12)), static_cast<char>(0x80 | ((code >> 6) & 0x3F)),
            static_cast<char>(0x80 | (code & 0x3F))};
  } else {
    out += {static_cast<char>(0xF0 | (code >> 18)), static_cast<char>(0x80 | ((code >> 12) & 0x3F)),
            static_cast<char>(0x80 | ((code >> 6) & 0x3F)), static_cast<char>(0x80 | (code & 0x3F))};
  }
}

// Letters and digits only, in lower case as far as ASCII goes: headings differ from their outline in space and dots.
std::string HeadingKey(std::string_view text) {
  std::string key;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80 || std::isalnum(byte) != 0) key += static_cast<char>(byte < 0x80 ? std::tolower(byte) : byte);
  }
  return key;
}

// "3.1 Utilities" without its number; the same text when it has none.
std::string_view WithoutNumber(std::string_view line) {
  const std::size_t end = line.find_first_not_of("0123456789.");
  if (end == 0 || end == std::string_view::npos || line[end] != ' ') return line;
  return line.substr(end + 1);
}

std::size_t Characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

bool EndsSentence(std::string_view line) {
  while (!line.empty() && (line.back() == '"' || line.back() == ')' || line.back() == '\'')) line.remove_suffix(1);
  return !line.empty() && std::string_view(".!?:;").find(line.back()) != std::string_view::npos;
}

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// The length of "* ", "- ", "1) ", "(a) " or a bullet at the line's start; 0: none.
std::size_t BulletLength(std::string_view line) {
  for (const std::string_view bullet : {"\xE2\x80\xA2", "\xE2\x80\xA3", "\xE2\x96\xAA", "\xE2\x97\x8F", "\xE2\x97\xA6",
                                        "\xE2\x80\x93 ", "\xEF\x82\xB7", "\xEF\x82\xA7", "* ", "- ", "\xC2\xB7 "}) {
    if (line.size() > bullet.size() && line.starts_with(bullet)) return bullet.size();
  }
  std::size_t at = line.starts_with('(') ? 1 : 0;
  const std::size_t start = at;
  while (at < line.size() && at - start < 2 && IsDigit(line[at])) ++at;
  if (at == start && at < line.size() && IsLower(line[at])) ++at;
  if (at == start || at + 2 >= line.size() || line[at] != ')' || line[at + 1] != ' ') return 0;
  return at + 2;
}

// The level of a line such as "3.2 Utilities" by its number; 0: it has none, or reads like a sentence.
int NumberedHeading(std::string_view line) {
  if (line.size() > 80 || line.empty() || !IsDigit(line[0]) || EndsSentence(line)) return 0;
  const std::size_t end = line.find_first_not_of("0123456789.");
  if (end == std::string_view::npos || line[end] != ' ') return 0;
  std::string_view number = line.substr(0, end);
  if (number.ends_with('.')) number.remove_suffix(1);
  const auto dots = std::count(number.begin(), number.end(), '.');
  if (dots < 1 || dots > 4 || number.size() > 12 || number.find("..") != std::string_view::npos) return 0;
  const std::string_view title = line.substr(end + 1);
  if (title.size() < 3 || title[0] < 'A' || title[0] > 'Z') return 0;
  // A row of a table of contents ends with its page.
  return IsDigit(title.back()) ? 0 : static_cast<int>(dots) + 1;
}

class Splitter {
 public:
  Splitter(std::string_view text, PdfHeadings& headings) : headings_(headings) { ReadLines(text); }

  std::vector<PdfBlock> Split() {
    for (std::size_t first = 0; first < lines_.size();) {
      std::size_t end = first + 1;
      while (end < lines_.size() && !lines_[end].after_gap) ++end;
      SplitGroup(first, end);
      first = end;
    }
    return std::move(blocks_);
  }

 private:
  struct Line {
    std::string_view text;
    std::size_t width = 0;
    bool after_gap = false;
  };

  void ReadLines(std::string_view text) {
    bool gap = true;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      std::string_view line = text.substr(at, end - at);
      at = end + 1;
      while (!line.empty() && line.back() == ' ') line.remove_suffix(1);
      while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
      if (line.empty()) {
        gap = true;
      } else {
        lines_.push_back({line, Characters(line), std::exchange(gap, false)});
      }
    }
  }

  // Lines without a gap between them.
  void SplitGroup(std::size_t first, std::size_t end) {
    std::size_t widest = 0;
    for (std::size_t i = first; i < end; ++i) widest = std::max(widest, lines_[i].width);
    narrow_ = widest < kProseWidth;
    for (std::size_t i = first; i < end;) {
      if (const std::size_t used = TakeHeading(i, end, end - first == 1); used > 0) {
        i += used;
        continue;
      }
      const bool starts = i == first || blocks_.back().kind == PdfBlock::Kind::kHeading || Breaks(i, widest);
      if (starts) Begin(i);
      if (!starts) Continue(lines_[i].text);
      ++i;
    }
  }

  std::size_t TakeHeading(std::size_t i, std::size_t end, bool alone) {
    std::string joined;
    for (std::size_t count = 1; count <= 3 && i + count <= end && !headings_.empty(); ++count) {
      if (!joined.empty()) joined += ' ';
      joined += lines_[i + count - 1].text;
      if (joined.size() > kMaxHeading) break;
      if (const int level = headings_.Take(joined); level > 0) {
        blocks_.push_back({PdfBlock::Kind::kHeading, level, static_cast<int>(i) + 1, joined});
        return count;
      }
    }
    const int level = alone ? NumberedHeading(lines_[i].text) : 0;
    if (level == 0) return 0;
    blocks_.push_back({PdfBlock::Kind::kHeading, level, static_cast<int>(i) + 1, std::string(lines_[i].text)});
    return 1;
  }

  // Whether a paragraph ends before line `i`.
  [[nodiscard]] bool Breaks(std::size_t i, std::size_t widest) const {
    if (BulletLength(lines_[i].text) > 0) return true;
    const Line& before = lines_[i - 1];
    return !narrow_ && before.width * 4 < widest * 3 && EndsSentence(before.text);
  }

  void Begin(std::size_t i) {
    PdfBlock block;
    block.line = static_cast<int>(i) + 1;
    block.text = lines_[i].text;
    if (BulletLength(block.text) > 0) block.kind = PdfBlock::Kind::kListItem;
    blocks_.push_back(std::move(block));
  }

  void Continue(std::string_view line) {
    std::string& text = blocks_.back().text;
    const std::size_t size = text.size();
    if (text.ends_with(kSoftHyphen)) {
      text.resize(size - kSoftHyphen.size());
    } else if (size > 2 && text[size - 1] == '-' && IsLower(text[size - 2]) && IsLower(line[0])) {
      text.pop_back();
    } else if (text[size - 1] != '-' || size < 2 || text[size - 2] == ' ') {
      text += narrow_ ? '\n' : ' ';
    }
    text += line;
  }

  PdfHeadings& headings_;
  std::vector<Line> lines_;
  std::vector<PdfBlock> blocks_;
  bool narrow_ = false;
};

}  // namespace

void PdfHeadings::Expect(std::string_view title, int level) {
  if (title.size() > kMaxHeading || expected_.size() >= kMaxExpected) return;
  const std::string key = HeadingKey(title);
  if (key.size() > 1) expected_[key].push_back(std::clamp(level, 1, 6));
}

int PdfHeadings::Take(std::string_view line) {
  for (const std::string_view form : {line, WithoutNumber(line)}) {
    const auto found = expected_.find(HeadingKey(form));
    if (found == expected_.end()) continue;
    const int level = found->second.front();
    found->second.erase(found->second.begin());
    if (found->second.empty()) expected_.erase(found);
    return level;
  }
  return 0;
}

template <class Unit>
void AppendPdfText(const Unit* text, std::size_t size, std::string& out) {
  out.reserve(out.size() + size + size / 8);
  for (std::size_t i = 0; i < size; ++i) {
    unsigned code = text[i];
    if (code >= 0x20 && code < 0x7F) {
      out += static_cast<char>(code);
    } else if (code == '\n' || code == '\f') {
      out += '\n';
    } else if (code < 0x20 || (code >= 0x7F && code <= 0xA0)) {
      out += ' ';
    } else if (code == 0xAD) {
      if (i + 1 < size && text[i + 1] == '\n') out += kSoftHyphen;
    } else if (code >= 0xFB00 && code <= 0xFB06) {
      out += kLigatures[code - 0xFB00];
    } else {
      if (code >= 0xD800 && code < 0xDC00 && i + 1 < size && text[i + 1] >= 0xDC00 && text[i + 1] < 0xE000) {
        code = 0x10000 + ((code - 0xD800) << 10) + (text[++i] - 0xDC00u);
      } else if (code >= 0xD800 && code < 0xE000) {
        code = 0xFFFD;
      }
      AppendCodePoint(out, code);
    }
  }
}

template void AppendPdfText(const unsigned short* text, std::size_t size, std::string& out);
template void AppendPdfText(const char16_t* text, std::size_t size, std::string& out);

std::vector<PdfBlock> SplitPdfText(std::string_view text, PdfHeadings& headings) {
  std::vector<PdfBlock> blocks = Splitter(text, headings).Split();
  for (PdfBlock& block : blocks) {
    if (block.text.ends_with(kSoftHyphen)) block.text.resize(block.text.size() - kSoftHyphen.size());
  }
  return blocks;
}

}  // namespace millrace::documents
