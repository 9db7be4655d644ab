// Reading the XML parts of an office package (OOXML, transitional and strict) by events.
//
// Small parts are parsed with pugixml, which is three times as fast, large ones with expat, which needs no memory for
// them. What pugixml refuses is read by expat too, for its say on where it is wrong.
//
// Names are told by namespace, not by prefix, and arrive as one of the tags below. A part with a DOCTYPE is refused
// (the format forbids it), so there are no entities to expand.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "millrace/error.h"
#include "pipelines/documents/parsers/parser.h"
#include "pipelines/documents/parsers/zip_archive.h"

namespace millrace::documents {

enum class OoxmlNs : std::uint8_t {
  kNone,  // no prefix bound, or a namespace nothing here needs
  kWord,
  kRelationship,   // the r: of r:id
  kPackage,        // relationships parts and [Content_Types].xml
  kDrawing,        // a:
  kWordDrawing,    // wp:
  kPicture,        // pic:
  kCompatibility,  // mc:
  kVml,
  kOffice,  // o:
  kMath,
  kChart,
  kDiagram,
  kCore,  // cp: of docProps/core.xml
  kDublinCore,
  kTerms,     // dcterms:
  kExtended,  // docProps/app.xml
  kCustom,    // docProps/custom.xml
};

enum class OoxmlTag : std::uint8_t {
  kOther,
  // WordprocessingML
  kAbstractNum,
  kAbstractNumId,
  kAltChunk,
  kBasedOn,
  kBody,
  kBr,
  kChange,  // pPrChange and its like: how it was before
  kComment,
  kCr,
  kDel,
  kDocument,
  kEndnote,
  kFldChar,
  kFldSimple,
  kFootnote,
  kFtr,
  kGridSpan,
  kHdr,
  kHyperlink,
  kIlvl,
  kLatentStyles,
  kInstrText,
  kLvl,
  kLvlOverride,
  kMoveFrom,
  kNoBreakHyphen,
  kNum,
  kNumFmt,
  kNumId,
  kNumStyleLink,
  kOutlineLvl,
  kP,
  kPPr,
  kPStyle,
  kRPr,
  kRt,
  kSdtPr,
  kStyle,
  kStyleName,
  kSym,
  kT,
  kTab,
  kTbl,
  kTblCaption,
  kTblHeader,
  kTc,
  kTr,
  kTrPr,
  kTxbxContent,
  kVMerge,
  // Other vocabularies
  kAlternateContent,
  kChoice,
  kFallback,
  kBlip,
  kDocPr,
  kPicturePr,
  kImageData,
  kOleObject,
  kChartReference,
  kDiagramReference,
  kDrawingParagraph,
  kDrawingText,
  kChartValue,
  kChartNumbers,
  kRelationship,
  kContentOverride,
  // Properties
  kPropTitle,
  kPropCreator,
  kPropSubject,
  kPropKeywords,
  kPropDescription,
  kPropLanguage,
  kPropCategory,
  kPropLastModifiedBy,
  kPropCreated,
  kPropModified,
  kPropPages,
  kPropApplication,
  kPropCompany,
  kPropTemplate,
  kPropCustom,
};

class OoxmlReader;

// The attributes of one element; good during the call it was given to.
class OoxmlAttributes {
 public:
  OoxmlAttributes(const OoxmlReader& reader, const char** pairs) : reader_(reader), pairs_(pairs) {}
  // The value of the attribute of this local name, whatever its prefix; nothing when it is not there.
  [[nodiscard]] std::optional<std::string_view> Find(std::string_view local) const;
  [[nodiscard]] std::string_view Get(std::string_view local) const { return Find(local).value_or(std::string_view()); }
  // The value as a number; `missing` when it is not one.
  [[nodiscard]] int Number(std::string_view local, int missing) const;
  // As Get, for a name in the relationships namespace only (r:id, r:embed).
  [[nodiscard]] std::string_view Relationship(std::string_view local) const;
  // Whether an on/off property such as <w:tblHeader w:val="0"/> is on.
  [[nodiscard]] bool On() const;

 private:
  const OoxmlReader& reader_;
  const char** pairs_;
};

// What takes the events. May throw; the exception leaves OoxmlReader::Read.
class OoxmlHandler {
 public:
  virtual ~OoxmlHandler() = default;
  virtual void Start(OoxmlTag tag, const OoxmlAttributes& attributes) = 0;
  virtual void End(OoxmlTag tag) = 0;
  virtual void Text(std::string_view text) = 0;

 protected:
  // To be called in Start: nothing inside this element is told, nor its end.
  void SkipElement() { skip_ = true; }

 private:
  friend class OoxmlReader;
  bool skip_ = false;
};

class OoxmlReader {
 public:
  // Reads one part. The errors of ZipArchive::Stream, and kCorrupt with part, line and column when it is not XML.
  static Result<void> Read(ZipArchive& zip, std::string_view part, OoxmlHandler& handler);

  OoxmlReader(const OoxmlReader&) = delete;
  OoxmlReader& operator=(const OoxmlReader&) = delete;

 private:
  friend class OoxmlAttributes;
  struct Expat;
  struct Rebound {  // a prefix that meant something else outside of an element
    int depth;
    std::string prefix;
    OoxmlNs before;
  };

  struct CachedTag {
    std::string name;  // qualified; empty: none
    OoxmlTag tag = OoxmlTag::kOther;
  };

  explicit OoxmlReader(OoxmlHandler& handler) : handler_(handler) {}
  static Result<void> ReadLarge(ZipArchive& zip, std::string_view part, OoxmlHandler& handler);
  // False: pugixml cannot read it, and nothing was told to the handler.
  static bool ReadSmall(std::string& bytes, OoxmlHandler& handler);
  [[nodiscard]] OoxmlTag LookUp(std::string_view name) const;
  void Forget();
  [[nodiscard]] OoxmlNs NamespaceOf(std::string_view prefix) const;
  OoxmlTag TagOf(const char* name);
  void Bind(std::string_view prefix, std::string_view uri);
  void Start(const char* name, const char** attributes);
  void End();

  OoxmlHandler& handler_;
  std::unordered_map<std::string, OoxmlNs> prefixes_;
  std::array<CachedTag, 256> tags_;  // good as long as no prefix changes its meaning
  bool any_tags_ = false;
  std::vector<Rebound> rebound_;
  std::vector<OoxmlTag> open_;  // elements that were told to the handler and have not ended
  int depth_ = 0;
  int skip_from_ = 0;  // depth of the element being skipped; 0: none
};

// The failure of a document from the error of one of its parts: kLimitExceeded is "too_large", kUnsupported (a member
// encrypted or packed in an unknown way) "unsupported_format", all else "broken".
ParseFailure OoxmlFailure(const Error& error);

}  // namespace millrace::documents
