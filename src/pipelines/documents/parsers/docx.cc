// Word documents (WordprocessingML), transitional and strict, macro-enabled and templates.
#include <algorithm>
#include <string>
#include <utility>

#include "pipelines/documents/parsers/docx_alt_chunk.h"
#include "pipelines/documents/parsers/docx_body.h"
#include "pipelines/documents/parsers/docx_styles.h"
#include "pipelines/documents/parsers/ooxml_package.h"
#include "pipelines/documents/parsers/ooxml_reader.h"
#include "pipelines/documents/parsers/parser.h"
#include "pipelines/documents/parsers/zip_archive.h"

namespace millrace::documents {
namespace {

constexpr std::string_view kMediaType = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
constexpr std::string_view kContentTypes = "[Content_Types].xml";
constexpr std::size_t kMaxDrawingText = 256 << 10;

// The content type of one part.
class ContentTypeHandler : public OoxmlHandler {
 public:
  explicit ContentTypeHandler(std::string_view part) : part_("/" + std::string(part)) {}
  void Start(OoxmlTag tag, const OoxmlAttributes& attributes) override {
    if (tag == OoxmlTag::kContentOverride && attributes.Get("PartName") == part_) type = attributes.Get("ContentType");
  }
  void End(OoxmlTag) override {}
  void Text(std::string_view) override {}

  std::string type;

 private:
  std::string part_;
};

// The words of a chart or diagram: titles, names of series and categories, but not the numbers.
class DrawingTextHandler : public OoxmlHandler {
 public:
  void Start(OoxmlTag tag, const OoxmlAttributes&) override {
    if (tag == OoxmlTag::kChartNumbers) return SkipElement();
    if (tag == OoxmlTag::kDrawingText || tag == OoxmlTag::kChartValue) taking_ = true;
  }
  void End(OoxmlTag tag) override {
    if (tag == OoxmlTag::kDrawingText || tag == OoxmlTag::kChartValue) taking_ = false;
    if (tag == OoxmlTag::kDrawingParagraph || tag == OoxmlTag::kChartValue) text += '\n';
  }
  void Text(std::string_view piece) override {
    if (taking_ && text.size() < kMaxDrawingText) text += piece;
  }

  std::string text;

 private:
  bool taking_ = false;
};

class DocxParser {
 public:
  DocxParser(ZipArchive& zip, const ParseLimits& limits, ElementSink& sink) : zip_(zip), limits_(limits), sink_(sink) {}

  std::optional<ParseFailure> Parse();

 private:
  std::optional<ParseFailure> FindMain();
  std::optional<ParseFailure> ReadBody(DocxContext& context);
  void ReadMediaType();
  void ReadStyles();
  void ReadNotes(DocxContext& context);
  void ReadSide(DocxContext& context, const std::string& part, int number);
  void ReadDrawings(const DocxContext& context);
  [[nodiscard]] const OoxmlRelationship* PartOfType(std::string_view type) const;

  ZipArchive& zip_;
  const ParseLimits& limits_;
  ElementSink& sink_;
  std::string main_ = "word/document.xml";
  OoxmlRelationships package_;
  OoxmlRelationships relationships_;
  DocxStyles styles_;
  DocxNumbering numbering_;
};

std::optional<ParseFailure> DocxParser::FindMain() {
  if (auto package = ReadRelationships(zip_, ""); package) {
    package_ = std::move(*package);
  } else {
    sink_.Warn("the package's relationships were left out: " + package.error().message);
  }
  if (const auto* main = package_.FirstOfType("officeDocument");
      main != nullptr && zip_.Find(main->target) != nullptr) {
    main_ = main->target;
  }
  if (zip_.Find(main_) == nullptr) {
    return ParseFailure{"broken", "the document has no part '" + main_ + "', which would hold its text"};
  }
  auto relationships = ReadRelationships(zip_, main_);
  if (relationships) {
    relationships_ = std::move(*relationships);
  } else {
    sink_.Warn("links, notes and images were left out: " + relationships.error().message);
  }
  return std::nullopt;
}

void DocxParser::ReadMediaType() {
  sink_.metadata().media_type = kMediaType;
  ContentTypeHandler handler(main_);
  if (!OoxmlReader::Read(zip_, kContentTypes, handler)) return;
  const std::size_t plus = handler.type.rfind(".main+xml");
  if (plus != std::string::npos) sink_.metadata().media_type = handler.type.substr(0, plus);
}

const OoxmlRelationship* DocxParser::PartOfType(std::string_view type) const {
  const auto* found = relationships_.FirstOfType(type);
  return found != nullptr && !found->external && zip_.Find(found->target) != nullptr ? found : nullptr;
}

void DocxParser::ReadStyles() {
  if (const auto* part = PartOfType("styles"); part != nullptr) {
    auto styles = DocxStyles::Read(zip_, part->target);
    if (styles) styles_ = std::move(*styles);
    if (!styles) sink_.Warn("styles were left out, so headings may be missing: " + styles.error().message);
  }
  if (const auto* part = PartOfType("numbering"); part != nullptr) {
    auto numbering = DocxNumbering::Read(zip_, part->target);
    if (numbering) numbering_ = std::move(*numbering);
    if (!numbering) sink_.Warn("numbering was left out: " + numbering.error().message);
  }
}

std::optional<ParseFailure> DocxParser::ReadBody(DocxContext& context) {
  DocxBodyHandler handler(context, relationships_);
  if (auto r = OoxmlReader::Read(zip_, main_, handler); !r) return OoxmlFailure(r.error());
  if (!handler.was_document()) {
    return ParseFailure{"broken", "part '" + main_ + "' is XML, but not that of a Word document (no w:document)"};
  }
  return std::nullopt;
}

// Notes, comments, headers, footers: what is wrong with one of these keeps nobody from reading the rest.
void DocxParser::ReadSide(DocxContext& context, const std::string& part, int number) {
  auto relationships = ReadRelationships(zip_, part);
  const OoxmlRelationships none;
  DocxBodyHandler handler(context, relationships ? *relationships : none, number);
  if (auto r = OoxmlReader::Read(zip_, part, handler); !r) {
    sink_.Warn("'" + part + "' was read in part only: " + r.error().message);
  }
}

void DocxParser::ReadNotes(DocxContext& context) {
  for (const std::string_view type : {"footnotes", "endnotes", "comments"}) {
    if (const auto* part = PartOfType(type); part != nullptr) ReadSide(context, part->target, 0);
  }
  for (const std::string_view type : {"header", "footer"}) {
    std::vector<std::string> parts;
    for (const OoxmlRelationship& relationship : relationships_.all()) {
      if (relationship.type == type && !relationship.external && zip_.Find(relationship.target) != nullptr) {
        parts.push_back(relationship.target);
      }
    }
    std::sort(parts.begin(), parts.end(), [](const std::string& a, const std::string& b) {
      return std::pair(a.size(), a) < std::pair(b.size(), b);  // header2 before header10
    });
    parts.erase(std::unique(parts.begin(), parts.end()), parts.end());
    for (std::size_t i = 0; i < parts.size(); ++i) ReadSide(context, parts[i], static_cast<int>(i) + 1);
  }
}

void DocxParser::ReadDrawings(const DocxContext& context) {
  for (const DocxDrawingPart& drawing : context.drawings) {
    DrawingTextHandler handler;
    if (auto r = OoxmlReader::Read(zip_, drawing.part, handler); !r) {
      sink_.Warn("the " + drawing.kind + " at " + drawing.location + " was left out: " + r.error().message);
      continue;
    }
    const std::string text = CleanText(handler.text);
    if (text.empty()) continue;
    sink_.Add(0, ElementType::kEmbedded, text, drawing.location + " " + drawing.kind, 0,
              drawing.kind == "chart" ? R"({"kind":"chart"})" : R"({"kind":"diagram"})");
  }
}

std::optional<ParseFailure> DocxParser::Parse() {
  if (auto failure = FindMain()) return failure;
  ReadMediaType();
  ReadOoxmlProperties(zip_, package_, sink_);
  ReadStyles();
  DocxContext context{sink_, styles_, numbering_, {}, {}};
  context.alt_chunk = [this](const std::string& part, std::int32_t parent, const std::string& location) {
    ReadAltChunk(zip_, part, parent, location, limits_, sink_);
  };
  if (auto failure = ReadBody(context)) return failure;
  ReadNotes(context);
  ReadDrawings(context);
  return std::nullopt;
}

}  // namespace

std::optional<ParseFailure> ParseDocx(const ParserInput& input, ElementSink& sink) {
  auto zip = ZipArchive::Open(input.bytes, ZipLimitsFor(input.limits));
  if (!zip) return OoxmlFailure(zip.error());
  return DocxParser(**zip, input.limits, sink).Parse();
}

}  // namespace millrace::documents
