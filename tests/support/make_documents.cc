#include "support/make_documents.h"

#include <zlib.h>

#include <array>
#include <cstdint>
#include <random>
#include <stdexcept>

namespace millrace::tests {
namespace {

std::string EscapePdf(std::string_view text) {
  std::string result;
  for (char c : text) {
    if (c == '(' || c == ')' || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

// The drawing of one page: each line 14 points below the last.
std::string PageContent(std::string_view text) {
  std::string result = "BT /F1 11 Tf 14 TL 56 780 Td\n";
  while (true) {
    std::size_t end = text.find('\n');
    result += "(" + EscapePdf(text.substr(0, end)) + ") Tj T*\n";
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return result + "ET\n";
}

void AppendLittle(std::string& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out += static_cast<char>((value >> (8 * i)) & 0xff);
}

std::string Deflate(std::string_view text) {
  z_stream stream{};
  if (deflateInit2(&stream, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::runtime_error("deflateInit2");
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

// What a local header and a directory entry share, from "version needed" to "extra length".
std::string ZipFields(std::uint32_t crc, std::size_t packed, std::size_t size, std::size_t name) {
  std::string out;
  AppendLittle(out, 20, 2);      // version needed
  AppendLittle(out, 0x0800, 2);  // names are UTF-8
  AppendLittle(out, 8, 2);       // deflated
  AppendLittle(out, 0, 2);       // time
  AppendLittle(out, 0x21, 2);    // date: 1980-01-01
  AppendLittle(out, crc, 4);
  AppendLittle(out, packed, 4);
  AppendLittle(out, size, 4);
  AppendLittle(out, name, 2);
  AppendLittle(out, 0, 2);  // extra
  return out;
}

std::string EscapeXml(std::string_view text) {
  std::string result;
  for (char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string DocxParagraph(std::string_view text) {
  return "<w:p><w:r><w:t xml:space=\"preserve\">" + EscapeXml(text) + "</w:t></w:r></w:p>";
}

constexpr std::array<std::string_view, 40> kWords = {
    "the",     "river",  "wheel",    "turns",  "while",  "grain",   "falls",  "into",    "stone",  "and",
    "a",       "miller", "counts",   "sacks",  "before", "morning", "carts",  "arrive",  "from",   "every",
    "village", "with",   "wheat",    "barley", "oats",   "some",    "bring",  "letters", "others", "news",
    "of",      "floods", "upstream", "which",  "the",    "old",     "sluice", "has",     "always", "held"};

}  // namespace

std::string MakePdf(const std::vector<std::string>& pages) {
  std::vector<std::string> objects;
  std::string kids;
  for (std::size_t i = 0; i < pages.size(); ++i) kids += std::to_string(4 + 2 * i) + " 0 R ";
  objects.emplace_back("<< /Type /Catalog /Pages 2 0 R >>");
  objects.push_back("<< /Type /Pages /Kids [" + kids + "] /Count " + std::to_string(pages.size()) + " >>");
  objects.emplace_back("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>");
  for (std::size_t i = 0; i < pages.size(); ++i) {
    objects.push_back(
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> /Contents " +
        std::to_string(5 + 2 * i) + " 0 R >>");
    std::string content = PageContent(pages[i]);
    objects.push_back("<< /Length " + std::to_string(content.size()) + " >>\nstream\n" + content + "endstream");
  }
  std::string pdf = "%PDF-1.4\n";
  std::string table = "0000000000 65535 f \n";
  for (std::size_t i = 0; i < objects.size(); ++i) {
    std::string offset = std::to_string(pdf.size());
    table += std::string(10 - offset.size(), '0') + offset + " 00000 n \n";
    pdf += std::to_string(i + 1) + " 0 obj\n" + objects[i] + "\nendobj\n";
  }
  std::string size = std::to_string(objects.size() + 1);
  std::string at = std::to_string(pdf.size());
  return pdf + "xref\n0 " + size + "\n" + table + "trailer\n<< /Size " + size + " /Root 1 0 R >>\nstartxref\n" + at +
         "\n%%EOF\n";
}

std::string MakeZip(const std::vector<std::pair<std::string, std::string>>& files) {
  std::string zip, directory;
  for (const auto& [name, content] : files) {
    auto crc = static_cast<std::uint32_t>(
        crc32(0, reinterpret_cast<const Bytef*>(content.data()), static_cast<uInt>(content.size())));
    std::string packed = Deflate(content);
    std::string fields = ZipFields(crc, packed.size(), content.size(), name.size());
    std::size_t offset = zip.size();
    zip += "PK\x03\x04" + fields + name + packed;
    directory += "PK\x01\x02";
    AppendLittle(directory, 20, 2);  // version made by
    directory += fields;
    AppendLittle(directory, 0, 6);  // comment, disk, internal attributes
    AppendLittle(directory, 0, 4);  // external attributes
    AppendLittle(directory, offset, 4);
    directory += name;
  }
  std::size_t start = zip.size();
  zip += directory + "PK\x05\x06";
  AppendLittle(zip, 0, 4);
  AppendLittle(zip, files.size(), 2);
  AppendLittle(zip, files.size(), 2);
  AppendLittle(zip, directory.size(), 4);
  AppendLittle(zip, start, 4);
  AppendLittle(zip, 0, 2);
  return zip;
}

std::string MakeDocx(const std::vector<std::string>& paragraphs, const std::vector<std::vector<std::string>>& table) {
  std::string body;
  for (const std::string& text : paragraphs) body += DocxParagraph(text);
  if (!table.empty()) {
    body += "<w:tbl>";
    for (const auto& row : table) {
      body += "<w:tr>";
      for (const std::string& cell : row) body += "<w:tc>" + DocxParagraph(cell) + "</w:tc>";
      body += "</w:tr>";
    }
    body += "</w:tbl>";
  }
  const std::string head = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
  const std::string packages = "http://schemas.openxmlformats.org/package/2006/";
  const std::string office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument";
  const std::string main = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml";
  return MakeZip(
      {{"[Content_Types].xml",
        head + "<Types xmlns=\"" + packages + "content-types\"><Default Extension=\"rels\" ContentType=\"application/" +
            "vnd.openxmlformats-package.relationships+xml\"/><Override PartName=\"/word/document.xml\" ContentType=\"" +
            main + "\"/></Types>"},
       {"_rels/.rels", head + "<Relationships xmlns=\"" + packages +
                           "relationships\"><Relationship Id=\"rId1\" Type=\"" + office +
                           "\" Target=\"word/document.xml\"/></Relationships>"},
       {"word/document.xml",
        head + "<w:document xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"><w:body>" + body +
            "</w:body></w:document>"}});
}

std::string MakeProse(std::size_t count, unsigned seed) {
  std::minstd_rand random(seed + 1);
  std::string result;
  for (std::size_t i = 0; i < count; ++i) {
    if (i != 0) result += i % 12 == 0 ? ". " : " ";
    result += kWords[random() % kWords.size()];
  }
  return result + ".";
}

std::string MakeHtml(std::size_t bytes, unsigned seed) {
  std::string html = "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Page " +
                     std::to_string(seed) + "</title></head><body>\n";
  for (unsigned section = 0; html.size() < bytes; ++section) {
    std::string number = std::to_string(section);
    unsigned salt = seed * 1000 + section;
    html += "<h2 id=\"s" + number + "\">Section " + number + "</h2>\n<p>" + MakeProse(60, salt) +
            " See <a href=\"#s0\">the start</a>.</p>\n<ul>";
    for (unsigned i = 0; i < 5; ++i) html += "<li>" + MakeProse(9, salt + i) + "</li>";
    html += "</ul>\n<table>";
    for (unsigned i = 0; i < 4; ++i) {
      html += "<tr><td>" + std::to_string(salt + i) + "</td><td>" + MakeProse(4, salt + 7 * i) + "</td></tr>";
    }
    html += "</table>\n<p>" + MakeProse(90, salt + 11) + "</p>\n";
  }
  return html + "</body></html>\n";
}

}  // namespace millrace::tests
