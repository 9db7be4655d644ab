#include "pipelines/documents/parsers/ooxml_reader.h"

#include <expat.h>

#include <array>
#include <charconv>
#include <exception>
#include <pugixml.hpp>
#include <utility>

namespace millrace::documents {
namespace {

using Ns = OoxmlNs;
using Tag = OoxmlTag;

// A tree takes several times the bytes it is made from, so large parts are not read into one.
constexpr std::int64_t kMaxTree = 4 << 20;

struct NamespaceUri {
  std::string_view uri;
  Ns ns;
};

constexpr NamespaceUri kUris[] = {
    {"http://schemas.openxmlformats.org/wordprocessingml/2006/main", Ns::kWord},
    {"http://purl.oclc.org/ooxml/wordprocessingml/main", Ns::kWord},
    {"http://schemas.openxmlformats.org/officeDocument/2006/relationships", Ns::kRelationship},
    {"http://purl.oclc.org/ooxml/officeDocument/relationships", Ns::kRelationship},
    {"http://schemas.openxmlformats.org/package/2006/relationships", Ns::kPackage},
    {"http://schemas.openxmlformats.org/package/2006/content-types", Ns::kPackage},
    {"http://schemas.openxmlformats.org/drawingml/2006/main", Ns::kDrawing},
    {"http://purl.oclc.org/ooxml/drawingml/main", Ns::kDrawing},
    {"http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing", Ns::kWordDrawing},
    {"http://purl.oclc.org/ooxml/drawingml/wordprocessingDrawing", Ns::kWordDrawing},
    {"http://schemas.openxmlformats.org/drawingml/2006/picture", Ns::kPicture},
    {"http://purl.oclc.org/ooxml/drawingml/picture", Ns::kPicture},
    {"http://schemas.openxmlformats.org/markup-compatibility/2006", Ns::kCompatibility},
    {"urn:schemas-microsoft-com:vml", Ns::kVml},
    {"urn:schemas-microsoft-com:office:office", Ns::kOffice},
    {"http://schemas.openxmlformats.org/officeDocument/2006/math", Ns::kMath},
    {"http://purl.oclc.org/ooxml/officeDocument/math", Ns::kMath},
    {"http://schemas.openxmlformats.org/drawingml/2006/chart", Ns::kChart},
    {"http://purl.oclc.org/ooxml/drawingml/chart", Ns::kChart},
    {"http://schemas.openxmlformats.org/drawingml/2006/diagram", Ns::kDiagram},
    {"http://purl.oclc.org/ooxml/drawingml/diagram", Ns::kDiagram},
    {"http://schemas.openxmlformats.org/package/2006/metadata/core-properties", Ns::kCore},
    {"http://purl.org/dc/elements/1.1/", Ns::kDublinCore},
    {"http://purl.org/dc/terms/", Ns::kTerms},
    {"http://schemas.openxmlformats.org/officeDocument/2006/extended-properties", Ns::kExtended},
    {"http://purl.oclc.org/ooxml/officeDocument/extendedProperties", Ns::kExtended},
    {"http://schemas.openxmlformats.org/officeDocument/2006/custom-properties", Ns::kCustom},
    {"http://purl.oclc.org/ooxml/officeDocument/customProperties", Ns::kCustom},
};

struct TagName {
  Ns ns;
  std::string_view local;
  Tag tag;
};

constexpr TagName kTags[] = {
    {Ns::kWord, "abstractNum", Tag::kAbstractNum},
    {Ns::kWord, "abstractNumId", Tag::kAbstractNumId},
    {Ns::kWord, "altChunk", Tag::kAltChunk},
    {Ns::kWord, "basedOn", Tag::kBasedOn},
    {Ns::kWord, "body", Tag::kBody},
    {Ns::kWord, "br", Tag::kBr},
    {Ns::kWord, "pPrChange", Tag::kChange},
    {Ns::kWord, "rPrChange", Tag::kChange},
    {Ns::kWord, "sectPrChange", Tag::kChange},
    {Ns::kWord, "tblPrChange", Tag::kChange},
    {Ns::kWord, "tblPrExChange", Tag::kChange},
    {Ns::kWord, "tblGridChange", Tag::kChange},
    {Ns::kWord, "trPrChange", Tag::kChange},
    {Ns::kWord, "tcPrChange", Tag::kChange},
    {Ns::kWord, "comment", Tag::kComment},
    {Ns::kWord, "cr", Tag::kCr},
    {Ns::kWord, "del", Tag::kDel},
    {Ns::kWord, "document", Tag::kDocument},
    {Ns::kWord, "endnote", Tag::kEndnote},
    {Ns::kWord, "fldChar", Tag::kFldChar},
    {Ns::kWord, "fldSimple", Tag::kFldSimple},
    {Ns::kWord, "footnote", Tag::kFootnote},
    {Ns::kWord, "ftr", Tag::kFtr},
    {Ns::kWord, "gridSpan", Tag::kGridSpan},
    {Ns::kWord, "hdr", Tag::kHdr},
    {Ns::kWord, "hyperlink", Tag::kHyperlink},
    {Ns::kWord, "ilvl", Tag::kIlvl},
    {Ns::kWord, "latentStyles", Tag::kLatentStyles},
    {Ns::kWord, "instrText", Tag::kInstrText},
    {Ns::kWord, "lvl", Tag::kLvl},
    {Ns::kWord, "lvlOverride", Tag::kLvlOverride},
    {Ns::kWord, "moveFrom", Tag::kMoveFrom},
    {Ns::kWord, "noBreakHyphen", Tag::kNoBreakHyphen},
    {Ns::kWord, "num", Tag::kNum},
    {Ns::kWord, "numFmt", Tag::kNumFmt},
    {Ns::kWord, "numId", Tag::kNumId},
    {Ns::kWord, "numStyleLink", Tag::kNumStyleLink},
    {Ns::kWord, "outlineLvl", Tag::kOutlineLvl},
    {Ns::kWord, "p", Tag::kP},
    {Ns::kWord, "pPr", Tag::kPPr},
    {Ns::kWord, "pStyle", Tag::kPStyle},
    {Ns::kWord, "rPr", Tag::kRPr},
    {Ns::kWord, "rt", Tag::kRt},
    {Ns::kWord, "sdtPr", Tag::kSdtPr},
    {Ns::kWord, "style", Tag::kStyle},
    {Ns::kWord, "name", Tag::kStyleName},
    {Ns::kWord, "sym", Tag::kSym},
    {Ns::kWord, "t", Tag::kT},
    {Ns::kWord, "tab", Tag::kTab},
    {Ns::kWord, "ptab", Tag::kTab},
    {Ns::kWord, "tbl", Tag::kTbl},
    {Ns::kWord, "tblCaption", Tag::kTblCaption},
    {Ns::kWord, "tblHeader", Tag::kTblHeader},
    {Ns::kWord, "tc", Tag::kTc},
    {Ns::kWord, "tr", Tag::kTr},
    {Ns::kWord, "trPr", Tag::kTrPr},
    {Ns::kWord, "txbxContent", Tag::kTxbxContent},
    {Ns::kWord, "vMerge", Tag::kVMerge},
    {Ns::kMath, "t", Tag::kT},
    {Ns::kCompatibility, "AlternateContent", Tag::kAlternateContent},
    {Ns::kCompatibility, "Choice", Tag::kChoice},
    {Ns::kCompatibility, "Fallback", Tag::kFallback},
    {Ns::kDrawing, "blip", Tag::kBlip},
    {Ns::kDrawing, "p", Tag::kDrawingParagraph},
    {Ns::kDrawing, "t", Tag::kDrawingText},
    {Ns::kWordDrawing, "docPr", Tag::kDocPr},
    {Ns::kPicture, "cNvPr", Tag::kPicturePr},
    {Ns::kVml, "imagedata", Tag::kImageData},
    {Ns::kOffice, "OLEObject", Tag::kOleObject},
    {Ns::kChart, "chart", Tag::kChartReference},
    {Ns::kChart, "v", Tag::kChartValue},
    {Ns::kChart, "numCache", Tag::kChartNumbers},
    {Ns::kChart, "numLit", Tag::kChartNumbers},
    {Ns::kDiagram, "relIds", Tag::kDiagramReference},
    {Ns::kPackage, "Relationship", Tag::kRelationship},
    {Ns::kPackage, "Override", Tag::kContentOverride},
    {Ns::kDublinCore, "title", Tag::kPropTitle},
    {Ns::kDublinCore, "creator", Tag::kPropCreator},
    {Ns::kDublinCore, "subject", Tag::kPropSubject},
    {Ns::kDublinCore, "description", Tag::kPropDescription},
    {Ns::kDublinCore, "language", Tag::kPropLanguage},
    {Ns::kCore, "keywords", Tag::kPropKeywords},
    {Ns::kCore, "category", Tag::kPropCategory},
    {Ns::kCore, "lastModifiedBy", Tag::kPropLastModifiedBy},
    {Ns::kTerms, "created", Tag::kPropCreated},
    {Ns::kTerms, "modified", Tag::kPropModified},
    {Ns::kExtended, "Pages", Tag::kPropPages},
    {Ns::kExtended, "Application", Tag::kPropApplication},
    {Ns::kExtended, "Company", Tag::kPropCompany},
    {Ns::kExtended, "Template", Tag::kPropTemplate},
    {Ns::kCustom, "property", Tag::kPropCustom},
};

// "w:p" is {"w", "p"}; "p" is {"", "p"}.
std::pair<std::string_view, std::string_view> SplitName(std::string_view name) {
  const std::size_t colon = name.find(':');
  if (colon == std::string_view::npos) return {{}, name};
  return {name.substr(0, colon), name.substr(colon + 1)};
}

std::string_view LocalName(std::string_view name) { return SplitName(name).second; }

}  // namespace

std::optional<std::string_view> OoxmlAttributes::Find(std::string_view local) const {
  for (const char** pair = pairs_; *pair != nullptr; pair += 2) {
    if (LocalName(pair[0]) == local) return pair[1];
  }
  return std::nullopt;
}

int OoxmlAttributes::Number(std::string_view local, int missing) const {
  const std::string_view text = Get(local);
  int value = missing;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() ? value : missing;
}

std::string_view OoxmlAttributes::Relationship(std::string_view local) const {
  for (const char** pair = pairs_; *pair != nullptr; pair += 2) {
    const auto [prefix, name] = SplitName(pair[0]);
    if (name == local && !prefix.empty() && reader_.NamespaceOf(prefix) == Ns::kRelationship) return pair[1];
  }
  return {};
}

bool OoxmlAttributes::On() const {
  const std::string_view value = Find("val").value_or("1");
  return value != "0" && value != "false" && value != "off";
}

// The C side: what expat calls, and what keeps exceptions from crossing it.
struct OoxmlReader::Expat {
  explicit Expat(OoxmlReader& reader) : reader(reader), parser(XML_ParserCreate(nullptr)) {
    if (parser == nullptr) throw std::bad_alloc();
    XML_SetUserData(parser, this);
    XML_SetElementHandler(
        parser,
        [](void* self, const char* name, const char** attributes) {
          Guard(self, [&](OoxmlReader& r) { r.Start(name, attributes); });
        },
        [](void* self, const char*) { Guard(self, [](OoxmlReader& r) { r.End(); }); });
    XML_SetCharacterDataHandler(parser, [](void* self, const char* text, int size) {
      Guard(self, [&](OoxmlReader& r) {
        if (r.skip_from_ == 0) r.handler_.Text({text, static_cast<std::size_t>(size)});
      });
    });
    XML_SetStartDoctypeDeclHandler(parser, [](void* self, const char*, const char*, const char*, int) {
      static_cast<Expat*>(self)->doctype = true;
      XML_StopParser(static_cast<Expat*>(self)->parser, XML_FALSE);
    });
  }
  ~Expat() { XML_ParserFree(parser); }
  Expat(const Expat&) = delete;
  Expat& operator=(const Expat&) = delete;

  template <class Call>
  static void Guard(void* self, const Call& call) {
    auto* expat = static_cast<Expat*>(self);
    if (expat->thrown != nullptr) return;
    try {
      call(expat->reader);
    } catch (...) {
      expat->thrown = std::current_exception();
      XML_StopParser(expat->parser, XML_FALSE);
    }
  }

  Result<void> Feed(std::string_view part, std::string_view bytes, bool last) {
    if (XML_Parse(parser, bytes.data(), static_cast<int>(bytes.size()), last ? 1 : 0) == XML_STATUS_OK) return {};
    if (thrown != nullptr) std::rethrow_exception(thrown);
    const std::string where = "part '" + std::string(part) + "' line " +
                              std::to_string(XML_GetCurrentLineNumber(parser)) + " column " +
                              std::to_string(XML_GetCurrentColumnNumber(parser) + 1) + ": ";
    if (doctype) return fail(ErrorCode::kCorrupt, where + "has a DOCTYPE, which office documents may not have");
    const XML_Error error = XML_GetErrorCode(parser);
    if (error == XML_ERROR_NO_MEMORY) throw std::bad_alloc();
    return fail(ErrorCode::kCorrupt, where + "not well-formed XML (" + XML_ErrorString(error) + ")");
  }

  OoxmlReader& reader;
  XML_Parser parser;
  std::exception_ptr thrown;
  bool doctype = false;
};

Result<void> OoxmlReader::Read(ZipArchive& zip, std::string_view part, OoxmlHandler& handler) {
  const ZipMember* member = zip.Find(part);
  if (member != nullptr && member->size <= kMaxTree) {
    auto bytes = zip.Read(part);
    if (!bytes) return fail(bytes.error());
    // The size was a claim.
    if (static_cast<std::int64_t>(bytes->size()) <= kMaxTree && ReadSmall(*bytes, handler)) return {};
  }
  return ReadLarge(zip, part, handler);
}

Result<void> OoxmlReader::ReadLarge(ZipArchive& zip, std::string_view part, OoxmlHandler& handler) {
  OoxmlReader reader(handler);
  Expat expat(reader);
  auto streamed = zip.Stream(part, [&](std::string_view bytes) { return expat.Feed(part, bytes, false); });
  if (!streamed) return fail(streamed.error());
  return expat.Feed(part, {}, true);
}

bool OoxmlReader::ReadSmall(std::string& bytes, OoxmlHandler& handler) {
  pugi::xml_document document;
  constexpr unsigned kOptions = pugi::parse_cdata | pugi::parse_escapes | pugi::parse_eol | pugi::parse_doctype |
                                pugi::parse_ws_pcdata_single | pugi::parse_embed_pcdata;
  if (!document.load_buffer_inplace(bytes.data(), bytes.size(), kOptions)) return false;
  pugi::xml_node node = document.document_element();
  // Nothing, a DOCTYPE, or more than one element.
  if (node.empty() || document.first_child() != node || !node.next_sibling().empty()) return false;
  OoxmlReader reader(handler);
  std::vector<const char*> attributes;
  while (!node.empty()) {
    pugi::xml_node next;
    bool element = node.type() == pugi::node_element;
    if (element) {
      attributes.clear();
      for (pugi::xml_attribute it = node.first_attribute(); !it.empty(); it = it.next_attribute()) {
        attributes.push_back(it.name());
        attributes.push_back(it.value());
      }
      attributes.push_back(nullptr);
      reader.Start(node.name(), attributes.data());
      if (reader.skip_from_ == 0) {
        if (const char* text = node.value(); *text != '\0') handler.Text(text);
        next = node.first_child();
      }
    } else {
      handler.Text(node.value());
    }
    // Up to where there is a next one, ending elements on the way: all that are above a node are elements, but the
    // document.
    while (next.empty()) {
      if (element) reader.End();
      next = node.next_sibling();
      if (!next.empty()) break;
      node = node.parent();
      element = true;
      if (node == document) break;
    }
    node = next;
  }
  return true;
}

OoxmlNs OoxmlReader::NamespaceOf(std::string_view prefix) const {
  const auto found = prefixes_.find(std::string(prefix));
  return found == prefixes_.end() ? Ns::kNone : found->second;
}

void OoxmlReader::Bind(std::string_view prefix, std::string_view uri) {
  Ns ns = Ns::kNone;
  for (const NamespaceUri& known : kUris) {
    if (known.uri == uri) ns = known.ns;
  }
  const auto [bound, added] = prefixes_.emplace(prefix, ns);
  // A prefix is not forgotten where its element ends: using it further out would be an error, which nobody makes.
  if (!added && bound->second != ns) rebound_.push_back({depth_, std::string(prefix), bound->second});
  if (added || bound->second != ns) {
    bound->second = ns;
    Forget();
  }
}

OoxmlTag OoxmlReader::LookUp(std::string_view name) const {
  const auto [prefix, local] = SplitName(name);
  const Ns ns = NamespaceOf(prefix);
  if (ns == Ns::kNone) return Tag::kOther;
  for (const TagName& entry : kTags) {
    if (entry.ns == ns && entry.local == local) return entry.tag;
  }
  return Tag::kOther;
}

OoxmlTag OoxmlReader::TagOf(const char* name) {
  std::uint32_t hash = 2166136261u;  // FNV-1a
  std::size_t size = 0;
  for (; name[size] != '\0'; ++size) hash = (hash ^ static_cast<unsigned char>(name[size])) * 16777619u;
  CachedTag& slot = tags_[(hash ^ hash >> 16) % tags_.size()];
  const std::string_view qualified(name, size);
  if (slot.name != qualified) {
    slot.tag = LookUp(qualified);
    slot.name = qualified;
    any_tags_ = true;
  }
  return slot.tag;
}

void OoxmlReader::Forget() {
  if (std::exchange(any_tags_, false)) tags_.fill({});
}

void OoxmlReader::Start(const char* name, const char** attributes) {
  ++depth_;
  if (skip_from_ != 0) return;
  for (const char** pair = attributes; *pair != nullptr; pair += 2) {
    const std::string_view key(pair[0]);
    if (!key.starts_with("xmlns")) continue;
    if (key.size() == 5) Bind({}, pair[1]);
    if (key.size() > 6 && key[5] == ':') Bind(key.substr(6), pair[1]);
  }
  open_.push_back(TagOf(name));
  handler_.Start(open_.back(), OoxmlAttributes(*this, attributes));
  if (std::exchange(handler_.skip_, false)) skip_from_ = depth_;
}

void OoxmlReader::End() {
  if (skip_from_ == 0) {
    handler_.End(open_.back());
    open_.pop_back();
  } else if (skip_from_ == depth_) {
    skip_from_ = 0;
    open_.pop_back();
  }
  while (!rebound_.empty() && rebound_.back().depth == depth_) {
    prefixes_[rebound_.back().prefix] = rebound_.back().before;
    rebound_.pop_back();
    Forget();
  }
  --depth_;
}

ParseFailure OoxmlFailure(const Error& error) {
  switch (error.code) {
    case ErrorCode::kLimitExceeded:
      return {"too_large", error.message};
    case ErrorCode::kUnsupported:
      return {"unsupported_format", error.message};
    default:
      return {"broken", error.message};
  }
}

}  // namespace millrace::documents
