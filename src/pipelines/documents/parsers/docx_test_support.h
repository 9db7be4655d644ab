// Word documents for tests: parts of them as short calls, packages of parts, and what the parser makes of these.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/documents/parsers/parser.h"
#include "pipelines/documents/parsers/test_sink.h"
#include "pipelines/documents/parsers/zip_test_support.h"

namespace millrace::documents::docx_testing {

inline constexpr std::string_view kWord = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";
inline constexpr std::string_view kStrictWord = "http://purl.oclc.org/ooxml/wordprocessingml/main";
inline constexpr std::string_view kRels = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

inline std::string Namespaces(std::string_view word = kWord) {
  return "xmlns:w=\"" + std::string(word) + "\" xmlns:r=\"" + std::string(kRels) +
         "\" xmlns:mc=\"http://schemas.openxmlformats.org/markup-compatibility/2006\""
         " xmlns:a=\"http://schemas.openxmlformats.org/drawingml/2006/main\""
         " xmlns:wp=\"http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing\""
         " xmlns:v=\"urn:schemas-microsoft-com:vml\"";
}

inline std::string Part(std::string_view root, std::string_view content, std::string_view word = kWord) {
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?><w:" + std::string(root) + " " + Namespaces(word) + ">" +
         std::string(content) + "</w:" + std::string(root) + ">";
}

inline std::string R(std::string_view text) {
  return "<w:r><w:t xml:space=\"preserve\">" + std::string(text) + "</w:t></w:r>";
}
inline std::string P(std::string_view text) { return "<w:p>" + R(text) + "</w:p>"; }
inline std::string Styled(std::string_view style, std::string_view text) {
  return "<w:p><w:pPr><w:pStyle w:val=\"" + std::string(style) + "\"/></w:pPr>" + R(text) + "</w:p>";
}
inline std::string Item(int list, int level, std::string_view text) {
  return "<w:p><w:pPr><w:numPr><w:ilvl w:val=\"" + std::to_string(level) + "\"/><w:numId w:val=\"" +
         std::to_string(list) + "\"/></w:numPr></w:pPr>" + R(text) + "</w:p>";
}
inline std::string Tc(std::string_view content) { return "<w:tc>" + std::string(content) + "</w:tc>"; }
inline std::string Tr(std::string_view content) { return "<w:tr>" + std::string(content) + "</w:tr>"; }
inline std::string Tbl(std::string_view content) { return "<w:tbl><w:tblPr/>" + std::string(content) + "</w:tbl>"; }

struct Relation {
  std::string id, type, target;
  bool external = false;
};

inline std::string RelsPart(const std::vector<Relation>& relations) {
  std::string out = "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">";
  for (const Relation& r : relations) {
    out += "<Relationship Id=\"" + r.id + "\" Type=\"" + std::string(kRels) + "/" + r.type + "\" Target=\"" + r.target +
           "\"" + (r.external ? " TargetMode=\"External\"" : "") + "/>";
  }
  return out + "</Relationships>";
}

inline ZipContent Package(std::string_view body, const std::vector<Relation>& relations = {}, ZipContent more = {},
                          std::string_view word = kWord) {
  ZipContent members = {{"_rels/.rels", RelsPart({{"r1", "officeDocument", "word/document.xml"}})},
                        {"word/document.xml", Part("document", "<w:body>" + std::string(body) + "</w:body>", word)},
                        {"word/_rels/document.xml.rels", RelsPart(relations)}};
  members.insert(members.end(), more.begin(), more.end());
  return members;
}

struct Parsed {
  std::optional<ParseFailure> failure;
  CollectSink sink;
};

inline Parsed Parse(std::string_view bytes) {
  Parsed parsed;
  const ParseLimits limits;
  parsed.failure = ParseDocx({bytes, "test.docx", limits}, parsed.sink);
  return parsed;
}

inline std::string Tree(const ZipContent& package) {
  const Parsed parsed = Parse(MakeZip(package));
  EXPECT_FALSE(parsed.failure) << parsed.failure->reason << ": " << parsed.failure->message;
  EXPECT_TRUE(parsed.sink.warnings.empty()) << parsed.sink.warnings.front();
  return parsed.sink.Tree();
}

}  // namespace millrace::documents::docx_testing
