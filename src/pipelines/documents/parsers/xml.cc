#include <expat.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/json.h"
#include "pipelines/documents/parsers/charset.h"
#include "pipelines/documents/parsers/parser.h"
#include "pipelines/documents/parsers/tree_path.h"

namespace millrace::documents {
namespace {

constexpr std::size_t kMaxNamedEntities = 20;
constexpr int kMaxInText = 8;  // depth of elements that become part of a text; each is copied into the next
constexpr std::size_t kPiece = 256u << 20;  // expat counts in int

bool White(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// Text gathered with white space collapsed to single spaces.
class Gathered {
 public:
  void Append(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t begin = at;
      while (at < text.size() && !White(text[at])) ++at;
      if (at > begin) {
        if (space_ && !text_.empty()) text_ += ' ';
        space_ = false;
        text_.append(text, begin, at - begin);
      }
      for (; at < text.size() && White(text[at]); ++at) space_ = true;
    }
  }
  // Appends another's text with the white space at its ends.
  void Append(const Gathered& other) {
    if (other.leading_) space_ = true;
    Append(std::string_view{other.text_});
    if (other.space_) space_ = true;
  }
  // To be called once, before the first Append, with what is appended first.
  void NoteStart(std::string_view text) {
    if (text_.empty() && !text.empty() && White(text.front())) leading_ = true;
  }
  [[nodiscard]] bool empty() const { return text_.empty(); }
  [[nodiscard]] const std::string& text() const { return text_; }
  void Clear() {
    text_.clear();
    space_ = leading_ = false;
  }

 private:
  std::string text_;
  bool space_ = false;    // white space is due before more text
  bool leading_ = false;  // there was white space before the text
};

// Takes expat's events. An element waits until its text or first child is known. A child without attributes and
// children that stands in text, such as <b> in a sentence, becomes part of that text.
class XmlBuilder {
 public:
  XmlBuilder(XML_Parser parser, std::string_view text, int max_depth, ElementSink& sink)
      : parser_(parser), input_(text), max_depth_(static_cast<std::size_t>(std::max(max_depth, 1))), sink_(sink) {}

  void Start(std::string_view name, const char** attributes) {
    const bool has_attributes = attributes[0] != nullptr;
    if (has_attributes) NoteAttributeEntities();
    const int in_text = depth_ > 0 && !has_attributes && !Top().text.empty() ? Top().in_text + 1 : 0;
    const bool stays = in_text > 0 && in_text <= kMaxInText;
    if (!stays) AddOpen();
    Push(name, stays ? in_text : 0);
    if (has_attributes) TakeAttributes(attributes);
  }

  void End() {
    Node& node = Top();
    if (node.in_text > 0) {
      Above().text.Append(node.text);
    } else {
      Flush(depth_ - 1);
    }
    --depth_;
    path_.Pop();
    counts_.Leave();
  }

  void Text(std::string_view text) {
    if (depth_ == 0) return;
    Top().text.NoteStart(text);
    Top().text.Append(text);
  }

  void Comment(std::string_view text) {
    Gathered comment;
    comment.Append(text);
    if (comment.empty()) return;
    AddOpen();
    sink_.Add(Parent(depth_), ElementType::kXmlComment, comment.text(), std::string(path_.text()) + "/comment()");
  }

  void SkippedEntity(std::string_view name) {
    Text("&" + std::string(name) + ";");
    WarnEntity(name);
  }

  void DeclaredEntity(std::string_view name, bool external) {
    declared_.emplace(name);
    if (external) sink_.Warn("external entities such as &" + std::string(name.substr(0, 100)) + "; are not loaded");
  }

  // Runs what an event does; an exception must not pass through expat, so it waits here.
  template <class Function>
  void Guarded(Function function) {
    if (thrown_) return;
    try {
      function();
    } catch (...) {
      thrown_ = std::current_exception();
      XML_StopParser(parser_, XML_FALSE);
    }
  }
  void Rethrow() const {
    if (thrown_) std::rethrow_exception(thrown_);
  }
  [[nodiscard]] bool flattened() const { return flattened_; }

 private:
  struct Node {
    std::int32_t index = -1;  // in the sink; -1: not added yet
    int in_text = 0;          // part of the text around, as it looks: so many elements deep
    Gathered text;
    std::string suffix;    // attributes as text
    std::string metadata;  // attributes as JSON
  };

  Node& Top() { return nodes_[depth_ - 1]; }
  Node& Above() { return nodes_[depth_ - 2]; }

  void Push(std::string_view name, int in_text) {
    const auto id = names_.try_emplace(std::string(name), static_cast<std::uint32_t>(names_.size())).first->second;
    const int number = counts_.Next(id);
    segment_ = "/";
    segment_ += name.substr(0, TreePath::kMaxBytes);
    if (number > 1) segment_ += "[" + std::to_string(number) + "]";
    path_.Push(segment_);
    counts_.Enter();
    if (depth_ == nodes_.size()) nodes_.emplace_back();
    Node& node = nodes_[depth_++];
    node.index = -1;
    node.in_text = in_text;
    node.text.Clear();
    node.suffix.clear();
    node.metadata.clear();
  }

  void TakeAttributes(const char** attributes) {
    Node& node = Top();
    node.metadata = R"({"attributes":{)";
    for (std::size_t i = 0; attributes[i] != nullptr; i += 2) {
      const std::string_view name = attributes[i], value = attributes[i + 1];
      if (i > 0) node.metadata += ',';
      node.metadata += base::JsonQuote(name);
      node.metadata += ':';
      node.metadata += base::JsonQuote(value);
      if (name == "xmlns" || name.starts_with("xmlns:") || value.empty()) continue;
      if (!node.suffix.empty()) node.suffix += ' ';
      node.suffix += name;
      node.suffix += '=';
      node.suffix += value;
    }
    node.metadata += "}}";
  }

  // Adds everything that waits, from the outermost: something comes that must stand after it.
  void AddOpen() {
    if (depth_ == 0) return;
    std::size_t first = depth_ - 1;
    while (first > 0 && nodes_[first].in_text > 0) --first;
    for (std::size_t i = first; i < depth_; ++i) {
      nodes_[i].in_text = 0;
      Flush(i);
    }
  }

  // Adds an element with the text so far; or, if it is there already, the text as one of its children.
  void Flush(std::size_t at) {
    Node& node = nodes_[at];
    if (node.index >= 0) {
      if (node.text.empty()) return;
      sink_.Add(Parent(at + 1), ElementType::kXmlText, node.text.text(), std::string(path_.text(at + 1)) + "/text()");
    } else {
      const std::string_view between = node.text.empty() || node.suffix.empty() ? "" : " ";
      both_ = node.text.text();
      both_ += between;
      both_ += node.suffix;
      node.index = sink_.Add(Parent(at), ElementType::kXmlElement, both_, path_.text(at + 1), 0, node.metadata);
    }
    node.text.Clear();
  }

  // Index of the element around one that is `depth` elements deep.
  [[nodiscard]] std::int32_t Parent(std::size_t depth) {
    if (depth == 0) return 0;
    if (depth > max_depth_) flattened_ = true;
    return nodes_[std::min(depth, max_depth_) - 1].index;
  }

  // expat says nothing of undeclared entities in attributes, it leaves them out; the tag's own text shows them.
  void NoteAttributeEntities() {
    const auto at = XML_GetCurrentByteIndex(parser_);
    const auto length = XML_GetCurrentByteCount(parser_);
    if (at < 0 || length <= 0 || static_cast<std::size_t>(at) >= input_.size()) return;
    const std::string_view tag = input_.substr(static_cast<std::size_t>(at), static_cast<std::size_t>(length));
    for (std::size_t amp = tag.find('&'); amp != std::string_view::npos; amp = tag.find('&', amp + 1)) {
      const std::size_t end = tag.find(';', amp);
      if (end == std::string_view::npos) return;
      const std::string name(tag.substr(amp + 1, end - amp - 1));
      static const std::set<std::string, std::less<>> kKnown = {"amp", "lt", "gt", "quot", "apos"};
      if (!name.starts_with('#') && !kKnown.contains(name) && !declared_.contains(name)) WarnEntity(name);
    }
  }

  void WarnEntity(std::string_view name) {
    if (warned_.size() >= kMaxNamedEntities || !warned_.emplace(name.substr(0, 100)).second) return;
    sink_.Warn("the entity &" + std::string(name.substr(0, 100)) +
               "; is not declared; in text it is kept as it stands");
  }

  XML_Parser parser_;
  std::string_view input_;
  std::size_t max_depth_;
  ElementSink& sink_;
  std::vector<Node> nodes_;  // the first depth_ are open
  std::size_t depth_ = 0;
  TreePath path_;
  SiblingCounts counts_;
  std::unordered_map<std::string, std::uint32_t> names_;
  std::set<std::string, std::less<>> declared_, warned_;
  std::string segment_, both_;
  bool flattened_ = false;
  std::exception_ptr thrown_;
};

XmlBuilder& Builder(void* user) { return *static_cast<XmlBuilder*>(user); }

void OnStart(void* user, const char* name, const char** attributes) {
  Builder(user).Guarded([&] { Builder(user).Start(name, attributes); });
}
void OnEnd(void* user, const char*) {
  Builder(user).Guarded([&] { Builder(user).End(); });
}
void OnText(void* user, const char* text, int length) {
  Builder(user).Guarded([&] { Builder(user).Text({text, static_cast<std::size_t>(length)}); });
}
void OnComment(void* user, const char* text) {
  Builder(user).Guarded([&] { Builder(user).Comment(text); });
}
void OnSkippedEntity(void* user, const char* name, int is_parameter) {
  if (is_parameter == 0) Builder(user).Guarded([&] { Builder(user).SkippedEntity(name); });
}
void OnEntityDeclared(void* user, const char* name, int is_parameter, const char* value, int, const char*, const char*,
                      const char*, const char*) {
  if (is_parameter == 0) Builder(user).Guarded([&] { Builder(user).DeclaredEntity(name, value == nullptr); });
}

struct FreeParser {
  void operator()(XML_Parser parser) const { XML_ParserFree(parser); }
};

// The XML declaration at the beginning of the text, white space before it included; empty when there is none.
std::string_view Declaration(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos || !text.substr(begin).starts_with("<?xml") || text.size() < begin + 6 ||
      !White(text[begin + 5])) {
    return {};
  }
  const std::size_t end = text.find("?>", begin);
  return end == std::string_view::npos || end > begin + 1000 ? std::string_view() : text.substr(0, end + 2);
}

// The encoding an XML declaration names, or empty.
std::string_view DeclaredEncoding(std::string_view declaration) {
  const std::size_t at = declaration.find("encoding");
  if (at == std::string_view::npos) return {};
  const std::size_t open = declaration.find_first_of("\"'", at);
  if (open == std::string_view::npos) return {};
  const std::size_t close = declaration.find(declaration[open], open + 1);
  return close == std::string_view::npos ? std::string_view() : declaration.substr(open + 1, close - open - 1);
}

ParseFailure Failure(XML_Parser parser) {
  const XML_Error error = XML_GetErrorCode(parser);
  if (error == XML_ERROR_NO_MEMORY) throw std::bad_alloc();
  std::string what = XML_ErrorString(error) == nullptr ? "not XML" : XML_ErrorString(error);
  if (error == XML_ERROR_AMPLIFICATION_LIMIT_BREACH) what = "entity expansion exceeds limits";
  return {"broken", std::to_string(XML_GetCurrentLineNumber(parser)) + ":" +
                        std::to_string(XML_GetCurrentColumnNumber(parser) + 1) + ": " + what};
}

// Whether the whole text was well-formed.
bool Feed(XML_Parser parser, std::string_view text) {
  for (;;) {
    const std::string_view piece = text.substr(0, kPiece);
    text.remove_prefix(piece.size());
    const int last = text.empty() ? 1 : 0;
    if (XML_Parse(parser, piece.data(), static_cast<int>(piece.size()), last) == XML_STATUS_ERROR) return false;
    if (last != 0) return true;
  }
}

void SetHandlers(XML_Parser parser, XmlBuilder& builder) {
  XML_SetUserData(parser, &builder);
  XML_SetElementHandler(parser, OnStart, OnEnd);
  XML_SetCharacterDataHandler(parser, OnText);
  XML_SetCommentHandler(parser, OnComment);
  XML_SetSkippedEntityHandler(parser, OnSkippedEntity);
  XML_SetEntityDeclHandler(parser, OnEntityDeclared);
  // As if a DTD stood elsewhere that is never fetched: an entity that is not declared here may be declared there, so it
  // is skipped and told instead of ending the parse.
  XML_UseForeignDTD(parser, XML_TRUE);
  XML_SetParamEntityParsing(parser, XML_PARAM_ENTITY_PARSING_NEVER);
}

}  // namespace

std::optional<ParseFailure> ParseXml(const ParserInput& input, ElementSink& sink) {
  DecodedText decoded = DecodeText(input.bytes, DeclaredEncoding(Declaration(input.bytes.substr(0, 2048))));
  if (decoded.lossy) sink.Warn("some bytes are not " + decoded.charset + " text; they were replaced");
  if (sink.metadata().media_type.empty()) sink.metadata().media_type = "application/xml";
  sink.metadata().charset = decoded.charset;
  // The text is UTF-8 now, whatever the declaration says; and its standalone="yes" would make undeclared entities
  // fatal.
  const std::size_t declaration = Declaration(decoded.text).size();
  std::replace_if(
      decoded.text.begin(), decoded.text.begin() + static_cast<std::ptrdiff_t>(declaration),
      [](char c) { return !White(c); }, ' ');

  const std::unique_ptr<XML_ParserStruct, FreeParser> parser(XML_ParserCreate("UTF-8"));
  if (!parser) throw std::bad_alloc();
  XmlBuilder builder(parser.get(), decoded.text, input.limits.max_depth, sink);
  SetHandlers(parser.get(), builder);
  const bool well_formed = Feed(parser.get(), decoded.text);
  builder.Rethrow();
  if (!well_formed) return Failure(parser.get());
  if (builder.flattened()) {
    sink.Warn("elements nested deeper than " + std::to_string(input.limits.max_depth) + " levels were flattened");
  }
  return std::nullopt;
}

}  // namespace millrace::documents
