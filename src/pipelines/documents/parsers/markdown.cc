// Markdown (CommonMark with GitHub's additions). The door to md4c.
#include <md4c.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <exception>
#include <new>
#include <utility>

#include "pipelines/documents/parser_protocol.h"
#include "pipelines/documents/parsers/charset.h"
#include "pipelines/documents/parsers/markdown_tree.h"

namespace millrace::documents {
namespace {

void AppendUtf8(std::string& out, std::uint32_t code) {
  if (code == 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) code = 0xfffd;
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += {static_cast<char>(0xc0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3f))};
  } else if (code < 0x10000) {
    out += {static_cast<char>(0xe0 | (code >> 12)), static_cast<char>(0x80 | ((code >> 6) & 0x3f)),
            static_cast<char>(0x80 | (code & 0x3f))};
  } else {
    out += {static_cast<char>(0xf0 | (code >> 18)), static_cast<char>(0x80 | ((code >> 12) & 0x3f)),
            static_cast<char>(0x80 | ((code >> 6) & 0x3f)), static_cast<char>(0x80 | (code & 0x3f))};
  }
}

// The character behind "&#8212;", "&#x2014;" or a name that people write; other names stay as they are.
std::string DecodeEntity(std::string_view entity) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 22> kNames = {{
      {"&amp;", "&"},   {"&lt;", "<"},    {"&gt;", ">"},    {"&quot;", "\""}, {"&apos;", "'"},  {"&nbsp;", "\u00a0"},
      {"&copy;", "©"},  {"&reg;", "®"},   {"&trade;", "™"}, {"&ndash;", "–"}, {"&mdash;", "—"}, {"&hellip;", "…"},
      {"&lsquo;", "‘"}, {"&rsquo;", "’"}, {"&ldquo;", "“"}, {"&rdquo;", "”"}, {"&bull;", "•"},  {"&middot;", "·"},
      {"&times;", "×"}, {"&rarr;", "→"},  {"&larr;", "←"},  {"&euro;", "€"},
  }};
  for (const auto& [name, text] : kNames) {
    if (entity == name) return std::string(text);
  }
  if (!entity.starts_with("&#") || entity.size() < 4 || entity.size() > 12) return std::string(entity);
  const bool hex = entity[2] == 'x' || entity[2] == 'X';
  const std::string digits(entity.substr(hex ? 3 : 2, entity.size() - (hex ? 4 : 3)));
  std::string out;
  AppendUtf8(out, static_cast<std::uint32_t>(std::strtoul(digits.c_str(), nullptr, hex ? 16 : 10)));
  return out;
}

std::string TextOf(const MD_ATTRIBUTE& attribute) {
  std::string out;
  if (attribute.text == nullptr) return out;
  for (int i = 0; attribute.substr_offsets[i] < attribute.size; ++i) {
    const std::string_view part(attribute.text + attribute.substr_offsets[i],
                                attribute.substr_offsets[i + 1] - attribute.substr_offsets[i]);
    if (attribute.substr_types[i] == MD_TEXT_ENTITY) {
      out += DecodeEntity(part);
    } else if (attribute.substr_types[i] == MD_TEXT_NORMAL) {
      out += part;
    }
  }
  return out;
}

class Reader {
 public:
  explicit Reader(MarkdownTree& tree) : tree_(tree) {}

  void EnterBlock(MD_BLOCKTYPE type, void* detail);
  void LeaveBlock(MD_BLOCKTYPE type);
  void EnterSpan(MD_SPANTYPE type, void* detail);
  void LeaveSpan(MD_SPANTYPE type) {
    if (type == MD_SPAN_A || type == MD_SPAN_IMG) tree_.EndSpan();
  }
  void Text(MD_TEXTTYPE type, std::string_view text);

  // What a callback threw: md4c is C and nothing is to be thrown through it.
  std::exception_ptr thrown;

 private:
  void EnterItem(const MD_BLOCK_LI_DETAIL& item);
  void EnterCode(const MD_BLOCK_CODE_DETAIL& code);

  MarkdownTree& tree_;
  int lists_ = 0;
};

void Reader::EnterItem(const MD_BLOCK_LI_DETAIL& item) {
  base::json::object metadata;
  if (item.is_task != 0) metadata["checked"] = item.task_mark != ' ';
  tree_.Open(ElementType::kListItem, lists_, std::move(metadata));
}

void Reader::EnterCode(const MD_BLOCK_CODE_DETAIL& code) {
  base::json::object metadata;
  if (const std::string language = TextOf(code.lang); !language.empty()) metadata["language"] = CutUtf8(language, 100);
  tree_.Open(ElementType::kCodeBlock, 0, std::move(metadata));
}

void Reader::EnterBlock(MD_BLOCKTYPE type, void* detail) {
  switch (type) {
    case MD_BLOCK_QUOTE:
      return tree_.Open(ElementType::kBlockquote);
    case MD_BLOCK_UL:
      ++lists_;
      return tree_.Open(ElementType::kList);
    case MD_BLOCK_OL:
      ++lists_;
      return tree_.Open(ElementType::kList, 0, {{"start", static_cast<MD_BLOCK_OL_DETAIL*>(detail)->start}});
    case MD_BLOCK_LI:
      return EnterItem(*static_cast<MD_BLOCK_LI_DETAIL*>(detail));
    case MD_BLOCK_HR:
      return tree_.Open(ElementType::kThematicBreak);
    case MD_BLOCK_H:
      return tree_.Open(ElementType::kHeader, static_cast<int>(static_cast<MD_BLOCK_H_DETAIL*>(detail)->level));
    case MD_BLOCK_CODE:
      return EnterCode(*static_cast<MD_BLOCK_CODE_DETAIL*>(detail));
    case MD_BLOCK_HTML:
      return tree_.Open(ElementType::kHtmlBlock);
    case MD_BLOCK_P:
      return tree_.Open(ElementType::kParagraph);
    case MD_BLOCK_TABLE:
      return tree_.Open(ElementType::kTable);
    case MD_BLOCK_TR:
      return tree_.Open(ElementType::kTableRow);
    case MD_BLOCK_TH:
      return tree_.Open(ElementType::kTableHeaderCell);
    case MD_BLOCK_TD:
      return tree_.Open(ElementType::kTableCell);
    case MD_BLOCK_DOC:
    case MD_BLOCK_THEAD:
    case MD_BLOCK_TBODY:
      break;
  }
}

void Reader::LeaveBlock(MD_BLOCKTYPE type) {
  if (type == MD_BLOCK_DOC || type == MD_BLOCK_THEAD || type == MD_BLOCK_TBODY) return;
  if (type == MD_BLOCK_UL || type == MD_BLOCK_OL) --lists_;
  tree_.Close();
}

void Reader::EnterSpan(MD_SPANTYPE type, void* detail) {
  if (type == MD_SPAN_A) {
    const auto& link = *static_cast<MD_SPAN_A_DETAIL*>(detail);
    tree_.BeginSpan(ElementType::kLink, TextOf(link.href), TextOf(link.title));
  } else if (type == MD_SPAN_IMG) {
    const auto& image = *static_cast<MD_SPAN_IMG_DETAIL*>(detail);
    tree_.BeginSpan(ElementType::kImage, TextOf(image.src), TextOf(image.title));
  }
}

void Reader::Text(MD_TEXTTYPE type, std::string_view text) {
  switch (type) {
    case MD_TEXT_NULLCHAR:
      return tree_.Text("\ufffd", nullptr);
    case MD_TEXT_BR:
    case MD_TEXT_SOFTBR:
      return tree_.Text("\n", nullptr);
    case MD_TEXT_ENTITY:
      return tree_.Text(DecodeEntity(text), text.data());
    case MD_TEXT_HTML:
      // Tags within a line mark up what is read anyway.
      return tree_.Text(tree_.is_open(ElementType::kHtmlBlock) ? text : std::string_view(), text.data());
    case MD_TEXT_NORMAL:
    case MD_TEXT_CODE:
    case MD_TEXT_LATEXMATH:
      return tree_.Text(text, text.data());
  }
}

template <class Function>
int Guarded(void* user, Function function) noexcept {
  auto& reader = *static_cast<Reader*>(user);
  try {
    function(reader);
    return 0;
  } catch (...) {
    reader.thrown = std::current_exception();
    return 1;
  }
}

MD_PARSER Callbacks() {
  MD_PARSER parser{};
  parser.flags = MD_DIALECT_GITHUB;
  parser.enter_block = [](MD_BLOCKTYPE type, void* detail, void* user) {
    return Guarded(user, [&](Reader& reader) { reader.EnterBlock(type, detail); });
  };
  parser.leave_block = [](MD_BLOCKTYPE type, void*, void* user) {
    return Guarded(user, [&](Reader& reader) { reader.LeaveBlock(type); });
  };
  parser.enter_span = [](MD_SPANTYPE type, void* detail, void* user) {
    return Guarded(user, [&](Reader& reader) { reader.EnterSpan(type, detail); });
  };
  parser.leave_span = [](MD_SPANTYPE type, void*, void* user) {
    return Guarded(user, [&](Reader& reader) { reader.LeaveSpan(type); });
  };
  parser.text = [](MD_TEXTTYPE type, const MD_CHAR* text, MD_SIZE size, void* user) {
    return Guarded(user, [&](Reader& reader) { reader.Text(type, {text, size}); });
  };
  return parser;
}

// What a line "key: value" of the front matter says, without quotes.
void ReadFrontMatterLine(std::string_view line, DocumentMetadata& metadata) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  std::string_view value = line.substr(colon + 1);
  const std::size_t start = value.find_first_not_of(" \t\"'[");
  if (start == std::string_view::npos) return;
  value = value.substr(start, value.find_last_not_of(" \t\"']\r") - start + 1);
  const std::string_view key = line.substr(0, colon);
  std::string* const field = key == "title"                        ? &metadata.title
                             : key == "author" || key == "authors" ? &metadata.author
                             : key == "description"                ? &metadata.subject
                             : key == "keywords" || key == "tags"  ? &metadata.keywords
                             : key == "date"                       ? &metadata.created
                             : key == "lang" && value.size() == 2  ? &metadata.language
                                                                   : nullptr;
  if (field != nullptr && field->empty()) *field = value;
}

// Whether a line is "key:" with or without a value, as YAML's first line is; else "---" is only a line across the page.
bool IsKeyLine(std::string_view text) {
  const std::size_t end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
  return end != 0 && end != std::string_view::npos && text[end] == ':';
}

// Takes YAML between lines "---" off the beginning and returns the number of lines it had.
std::int64_t TakeFrontMatter(std::string_view& text, DocumentMetadata& metadata) {
  if (!text.starts_with("---\n") && !text.starts_with("---\r\n")) return 0;
  const std::size_t end = text.find("\n---", 3);
  if (end == std::string_view::npos || !IsKeyLine(text.substr(text.find('\n') + 1))) return 0;
  const std::size_t after = text.find('\n', end + 1);
  const std::string_view mark = text.substr(end + 4, after == std::string_view::npos ? after : after - end - 4);
  if (mark.find_first_not_of(" \t\r") != std::string_view::npos) return 0;
  const std::string_view matter = text.substr(0, end + 1);
  for (std::size_t at = text.find('\n') + 1; at < matter.size(); at = matter.find('\n', at) + 1) {
    ReadFrontMatterLine(matter.substr(at, matter.find('\n', at) - at), metadata);
  }
  text = after == std::string_view::npos ? std::string_view() : text.substr(after + 1);
  return std::count(matter.begin(), matter.end(), '\n') + 1;
}

}  // namespace

std::optional<ParseFailure> ParseMarkdown(const ParserInput& input, ElementSink& sink) {
  const DecodedText decoded = DecodeText(input.bytes);
  DocumentMetadata& metadata = sink.metadata();
  metadata.media_type = "text/markdown";
  metadata.charset = decoded.charset;
  if (decoded.lossy) sink.Warn("some bytes are not " + decoded.charset + " and were replaced");
  std::string_view text = decoded.text;
  const std::int64_t skipped = TakeFrontMatter(text, metadata);
  MarkdownTree tree(sink, text, skipped + 1);
  Reader reader(tree);
  const MD_PARSER parser = Callbacks();
  const int result = md_parse(text.data(), static_cast<MD_SIZE>(text.size()), &parser, &reader);
  if (reader.thrown) std::rethrow_exception(reader.thrown);
  if (result != 0) throw std::bad_alloc();  // its only failure
  if (metadata.title.empty()) metadata.title = tree.title();
  return std::nullopt;
}

}  // namespace millrace::documents
