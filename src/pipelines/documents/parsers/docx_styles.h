// What a Word document's styles.xml and numbering.xml say that matters for its structure.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <unordered_map>

#include "millrace/error.h"
#include "pipelines/documents/elements.h"
#include "pipelines/documents/parsers/zip_archive.h"

namespace millrace::documents {

// One paragraph style, with what it inherits.
struct DocxStyle {
  int heading = 0;  // 1 to 9; 0: no heading
  int list = 0;     // id of its numbering; 0: none
  int list_level = 0;
  ElementType type = ElementType::kParagraph;  // or kBlockquote, kCaption, kPreformatted, by its name
};

// By style id. Headings are told by outline level and by the style's own name ("heading 1" in files of any language).
class DocxStyles {
 public:
  // The errors of OoxmlReader::Read.
  static Result<DocxStyles> Read(ZipArchive& zip, std::string_view part);
  // An unknown id is an ordinary paragraph, except that a document without styles may still call them "Heading1".
  [[nodiscard]] DocxStyle Find(std::string_view id) const;

 private:
  std::unordered_map<std::string, DocxStyle> styles_;
};

// Which numberings count and which have bullets.
class DocxNumbering {
 public:
  static Result<DocxNumbering> Read(ZipArchive& zip, std::string_view part);
  // Whether level `level` (from 0) of numbering `id` counts: 1, a, iv.
  [[nodiscard]] bool IsOrdered(int id, int level) const;

 private:
  struct Levels {
    std::array<bool, 9> ordered{};
  };
  std::unordered_map<int, Levels> numberings_;
};

}  // namespace millrace::documents
