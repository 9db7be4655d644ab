// Makes small PDFs, for tests.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::documents {

// Writes a PDF of the given objects (number 1 and on), with a correct cross-reference table. Object 1 is the catalogue.
inline std::string MakePdf(const std::vector<std::string>& objects, std::string_view trailer = {}) {
  std::string pdf = "%PDF-1.4\n%\xE2\xE3\xCF\xD3\n";
  std::vector<std::size_t> offsets;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    offsets.push_back(pdf.size());
    pdf += std::to_string(i + 1) + " 0 obj\n" + objects[i] + "\nendobj\n";
  }
  const std::size_t start = pdf.size();
  pdf += "xref\n0 " + std::to_string(objects.size() + 1) + "\n0000000000 65535 f \n";
  for (const std::size_t offset : offsets) {
    char line[32];
    std::snprintf(line, sizeof line, "%010zu 00000 n \n", offset);
    pdf += line;
  }
  pdf += "trailer\n<< /Size " + std::to_string(objects.size() + 1) + " /Root 1 0 R " + std::string(trailer) +
         " >>\nstartxref\n" + std::to_string(start) + "\n%%EOF\n";
  return pdf;
}

inline std::string Stream(std::string_view content) {
  return "<< /Length " + std::to_string(content.size()) + " >>\nstream\n" + std::string(content) + "\nendstream";
}

// Lines of 12 points, 14 apart, from the top of the page; an empty one leaves a gap.
inline std::string PageContent(const std::vector<std::string>& lines) {
  std::string content = "BT /F1 12 Tf 72 720 Td";
  for (const std::string& line : lines) {
    content += line.empty() ? " 0 -40 Td" : " (" + line + ") Tj 0 -14 Td";
  }
  return content + " ET";
}

// Objects: 1 catalogue, 2 pages, 3 font, then a page and its content each.
inline std::vector<std::string> PagesOf(const std::vector<std::vector<std::string>>& pages,
                                        std::string_view catalog = {}) {
  std::vector<std::string> objects = {"<< /Type /Catalog /Pages 2 0 R " + std::string(catalog) + " >>", "",
                                      "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"};
  std::string kids;
  for (const std::vector<std::string>& lines : pages) {
    const std::string number = std::to_string(objects.size() + 1);
    const std::string content = std::to_string(objects.size() + 2);
    kids += number + " 0 R ";
    objects.push_back("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents " + content +
                      " 0 R /Resources << /Font << /F1 3 0 R >> >> >>");
    objects.push_back(Stream(PageContent(lines)));
  }
  objects[1] = "<< /Type /Pages /Kids [" + kids + "] /Count " + std::to_string(pages.size()) + " >>";
  return objects;
}

}  // namespace millrace::documents
