// Small real documents made on the spot, so that tests need no files of others.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace::tests {

// A PDF of one font, one page for each entry, the lines of a page separated by '\n' (ASCII).
std::string MakePdf(const std::vector<std::string>& pages);

// A zip archive, deflated, of (name, content).
std::string MakeZip(const std::vector<std::pair<std::string, std::string>>& files);

// A DOCX: paragraphs, then one table, as rows of cells. Texts are escaped.
std::string MakeDocx(const std::vector<std::string>& paragraphs, const std::vector<std::vector<std::string>>& table);

// An HTML page of about `bytes` bytes of headings, paragraphs, lists, links and tables; the same for the same seed.
std::string MakeHtml(std::size_t bytes, unsigned seed);

// `count` words of a small vocabulary; the same for the same seed.
std::string MakeProse(std::size_t count, unsigned seed);

}  // namespace millrace::tests
