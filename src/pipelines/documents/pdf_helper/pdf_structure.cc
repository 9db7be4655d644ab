#include "pipelines/documents/pdf_helper/pdf_structure.h"

#include <poppler-embedded-file.h>
#include <poppler-toc.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <memory>

#include "pipelines/documents/parser_protocol.h"
#include "pipelines/documents/pdf_helper/pdf_text.h"

namespace millrace::documents {
namespace {

constexpr int kMaxOutlineDepth = 64;
constexpr std::size_t kMaxProperty = 64 << 10;

std::string Iso8601(time_t time) {
  if (time == static_cast<time_t>(-1)) return {};
  std::tm utc{};
  if (gmtime_r(&time, &utc) == nullptr) return {};
  std::array<char, 40> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc)};
}

void ReplaceAll(std::string& text, std::string_view what, std::string_view by) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
}

// The first value of an element of the XMP packet: <dc:title><rdf:Alt><rdf:li xml:lang="..">text</rdf:li>. Enough for a
// title, and not a parser.
std::string XmpValue(std::string_view xmp, std::string_view element) {
  const std::size_t open = xmp.find("<" + std::string(element));
  if (open == std::string_view::npos) return {};
  const std::size_t end = xmp.find("</" + std::string(element), open);
  if (end == std::string_view::npos) return {};
  const std::string_view inside = xmp.substr(open, end - open);
  const std::size_t item = inside.find("<rdf:li");
  if (item == std::string_view::npos) return {};
  const std::size_t start = inside.find('>', item);
  if (start == std::string_view::npos) return {};
  std::string value(inside.substr(start + 1, inside.find('<', start) - start - 1));
  ReplaceAll(value, "&lt;", "<");
  ReplaceAll(value, "&gt;", ">");
  ReplaceAll(value, "&quot;", "\"");
  ReplaceAll(value, "&apos;", "'");
  ReplaceAll(value, "&amp;", "&");
  return value;
}

void Walk(const poppler::toc_item& item, int level, std::size_t max_items, std::vector<PdfOutlineItem>& out) {
  for (const poppler::toc_item* child : item.children()) {
    if (child == nullptr || out.size() >= max_items) return;
    out.push_back({PdfString(child->title()), level});
    if (level < kMaxOutlineDepth) Walk(*child, level + 1, max_items, out);
  }
}

}  // namespace

std::string PdfString(const poppler::ustring& text) {
  std::string out;
  AppendPdfText(text.data(), std::min(text.size(), kMaxProperty), out);
  std::replace(out.begin(), out.end(), '\n', ' ');
  while (!out.empty() && out.back() == ' ') out.pop_back();
  out.erase(0, std::min(out.find_first_not_of(' '), out.size()));
  return out;
}

void ReadPdfMetadata(const poppler::document& document, DocumentMetadata& metadata) {
  metadata.media_type = "application/pdf";
  metadata.title = PdfString(document.get_title());
  metadata.author = PdfString(document.get_author());
  metadata.subject = PdfString(document.get_subject());
  metadata.keywords = PdfString(document.get_keywords());
  metadata.producer = PdfString(document.get_producer());
  metadata.created = Iso8601(document.get_creation_date_t());
  metadata.modified = Iso8601(document.get_modification_date_t());
  // A date that cannot be read is kept as it was found.
  if (metadata.created.empty()) metadata.created = PdfString(document.info_key("CreationDate"));
  if (metadata.modified.empty()) metadata.modified = PdfString(document.info_key("ModDate"));
  metadata.pages = document.pages();
  if (metadata.title.empty() || metadata.author.empty()) {
    const poppler::byte_array packet = document.metadata().to_utf8();
    const std::string_view xmp(packet.data(), packet.size());
    if (metadata.title.empty()) metadata.title = ReplaceBadUtf8(XmpValue(xmp, "dc:title"));
    if (metadata.author.empty()) metadata.author = ReplaceBadUtf8(XmpValue(xmp, "dc:creator"));
  }
  int major = 0;
  int minor = 0;
  document.get_pdf_version(&major, &minor);
  std::string extra = R"({"pdf_version":")" + std::to_string(major) + "." + std::to_string(minor) + "\"";
  if (const std::string creator = PdfString(document.get_creator()); !creator.empty()) {
    extra += ",\"creator\":" + PdfJsonString(creator);
  }
  if (document.is_encrypted()) extra += ",\"encrypted\":true";
  metadata.extra = extra + "}";
}

std::vector<PdfOutlineItem> ReadPdfOutline(const poppler::document& document, std::size_t max_items) {
  std::vector<PdfOutlineItem> items;
  const std::unique_ptr<poppler::toc> toc(document.create_toc());
  if (toc != nullptr && toc->root() != nullptr) Walk(*toc->root(), 1, max_items, items);
  return items;
}

void AddPdfAttachments(const poppler::document& document, ElementSink& sink) {
  if (!document.has_embedded_files()) return;
  int number = 0;
  for (const poppler::embedded_file* file : document.embedded_files()) {
    ++number;
    if (file == nullptr || !file->is_valid()) {
      sink.Warn("attachment " + std::to_string(number) + " cannot be read");
      continue;
    }
    std::string metadata = "{\"bytes\":" + std::to_string(file->size());
    if (!file->mime_type().empty()) metadata += ",\"media_type\":" + PdfJsonString(file->mime_type());
    const std::string description = PdfString(file->description());
    if (!description.empty()) metadata += ",\"description\":" + PdfJsonString(description);
    sink.Add(0, ElementType::kAttachment, ReplaceBadUtf8(file->name()), "attachment " + std::to_string(number), 0,
             metadata + "}");
  }
}

std::string PdfJsonString(std::string_view text) {
  std::string out = "\"";
  for (const char c : ReplaceBadUtf8(text)) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      std::array<char, 8> escape{};
      std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned>(c));
      out += escape.data();
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace millrace::documents
