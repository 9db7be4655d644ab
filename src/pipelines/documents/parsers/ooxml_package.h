// An office package (OPC): parts in a zip archive, and the relationships by which one names another.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/error.h"
#include "pipelines/documents/parsers/ooxml_reader.h"
#include "pipelines/documents/parsers/zip_archive.h"

namespace millrace::documents {

struct OoxmlRelationship {
  std::string id;
  std::string type;    // the last step of its type's URI ("hyperlink", "image"), the same in transitional and strict
  std::string target;  // a part's name without a leading slash; as written when external
  bool external = false;
};

// The relationships of one part. Copyable.
class OoxmlRelationships {
 public:
  void Add(OoxmlRelationship relationship) { all_.push_back(std::move(relationship)); }
  [[nodiscard]] const std::vector<OoxmlRelationship>& all() const { return all_; }
  // Null when there is none.
  [[nodiscard]] const OoxmlRelationship* ById(std::string_view id) const;
  [[nodiscard]] const OoxmlRelationship* FirstOfType(std::string_view type) const;

 private:
  std::vector<OoxmlRelationship> all_;
};

// The relationships of `part` ("" for those of the package itself); none when there is no such file. The errors of
// OoxmlReader::Read.
Result<OoxmlRelationships> ReadRelationships(ZipArchive& zip, std::string_view part);

// Fills in title, author, dates, pages and the like from docProps. What cannot be read becomes a warning.
void ReadOoxmlProperties(ZipArchive& zip, const OoxmlRelationships& package, ElementSink& sink);

// The name a target has when `part` names it: "word/document.xml" and "../media/a.png" give "media/a.png".
std::string ResolvePartName(std::string_view part, std::string_view target);

// The name behind the last slash.
std::string_view BaseName(std::string_view part);

// Limits for the members of a package, from those for documents.
ZipLimits ZipLimitsFor(const ParseLimits& limits);

}  // namespace millrace::documents
