// Reads the parts of a Word document that hold text: the body, notes, comments, headers and footers.
//
// Left out: tracked deletions, field codes, what a property was before a change. Kept: insertions, field results, text
// boxes (of the two forms a file holds of one, the first).
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/documents/parsers/docx_styles.h"
#include "pipelines/documents/parsers/docx_tree.h"
#include "pipelines/documents/parsers/ooxml_package.h"
#include "pipelines/documents/parsers/ooxml_reader.h"

namespace millrace::documents {

// A part the body names whose text is read after it: a chart or a diagram.
struct DocxDrawingPart {
  std::string part;
  std::string kind;  // "chart" or "diagram"
  std::string location;
};

// What the parts share. Outlives the handlers.
struct DocxContext {
  ElementSink& sink;
  const DocxStyles& styles;
  const DocxNumbering& numbering;
  std::vector<DocxDrawingPart> drawings;
  // Reads an altChunk: a part of another format within the document, below `parent`.
  std::function<void(const std::string& part, std::int32_t parent, const std::string& location)> alt_chunk;
};

class DocxBodyHandler : public OoxmlHandler {
 public:
  // `number` is that of a header or footer, from 1.
  DocxBodyHandler(DocxContext& context, const OoxmlRelationships& relationships, int number = 0)
      : context_(context),
        relationships_(relationships),
        number_(number),
        tree_(context.sink, context.numbering),
        text_(1) {}

  void Start(OoxmlTag tag, const OoxmlAttributes& attributes) override;
  void End(OoxmlTag tag) override;
  void Text(std::string_view text) override;

  // Whether the part had the root element of a Word document.
  [[nodiscard]] bool was_document() const { return was_document_; }

 private:
  struct Field {
    bool in_result = false;
    bool code_open = true;  // its code hides text, until the paragraph ends
    std::string code;
  };
  // Everything of the paragraph under way; text boxes within it have one of their own.
  struct Flow {
    DocxParagraph paragraph;
    bool in_paragraph = false;
    std::vector<Field> fields;
    std::string picture_text;  // alternative text of the drawing under way
  };

  bool StartStructure(OoxmlTag tag, const OoxmlAttributes& attributes);
  bool StartTable(OoxmlTag tag, const OoxmlAttributes& attributes);
  bool StartProperty(OoxmlTag tag, const OoxmlAttributes& attributes);
  bool StartInline(OoxmlTag tag, const OoxmlAttributes& attributes);
  bool StartDrawing(OoxmlTag tag, const OoxmlAttributes& attributes);
  void StartAlternative(OoxmlTag tag);
  void StartNote(ElementType type, const OoxmlAttributes& attributes);
  void StartDeletion();
  void StartParagraph();
  void FlushDeletedMark();
  void EndParagraph();
  void FieldChar(std::string_view type);
  void AddImage(std::string_view relationship, std::string_view text);
  void AddEmbedded(const OoxmlAttributes& attributes);
  void AddAltChunk(std::string_view relationship);
  void AddLink(std::string link);
  void Append(std::string_view text);
  [[nodiscard]] bool Hidden() const;
  [[nodiscard]] Flow& flow() { return text_.back(); }

  DocxContext& context_;
  const OoxmlRelationships& relationships_;
  int number_;
  int notes_ = 0;
  bool was_document_ = false;
  bool taking_text_ = false;
  bool taking_code_ = false;
  bool in_paragraph_properties_ = false;
  bool in_mark_properties_ = false;  // of the paragraph mark
  bool in_row_properties_ = false;
  bool row_deleted_ = false;
  int table_depth_ = 0;
  std::vector<bool> alternatives_;  // of each AlternateContent, whether a choice was taken
  DocxTree tree_;
  std::vector<Flow> text_;
};

}  // namespace millrace::documents
