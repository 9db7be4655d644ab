#include "pipelines/documents/detect_binary.h"

#include <magic.h>

#include <array>
#include <memory>
#include <string>

#include "pipelines/documents/parser_protocol.h"
#include "pipelines/documents/parsers/zip_archive.h"

namespace millrace::documents {
namespace {

using namespace std::string_view_literals;

struct Signature {
  std::size_t offset;
  std::string_view bytes;
  std::string_view words;  // as in "... are not read by this version"
};

constexpr std::array kSignatures = {
    Signature{0, "{\\rtf"sv, "rich text documents (RTF)"sv},
    Signature{0, "\x1f\x8b"sv, "gzip archives"sv},
    Signature{0, "BZh"sv, "bzip2 archives"sv},
    Signature{0,
              "\xfd"
              "7zXZ\0"sv,
              "xz archives"sv},
    Signature{0, "\x28\xb5\x2f\xfd"sv, "zstd archives"sv},
    Signature{0, "7z\xbc\xaf\x27\x1c"sv, "7-zip archives"sv},
    Signature{0, "Rar!\x1a\x07"sv, "RAR archives"sv},
    Signature{257, "ustar"sv, "tar archives"sv},
    Signature{0, "!<arch>\n"sv, "ar archives and Debian packages"sv},
    Signature{0, "\x89PNG\r\n\x1a\n"sv, "images (PNG)"sv},
    Signature{0, "\xff\xd8\xff"sv, "images (JPEG)"sv},
    Signature{0, "GIF87a"sv, "images (GIF)"sv},
    Signature{0, "GIF89a"sv, "images (GIF)"sv},
    Signature{0, "II*\0"sv, "images (TIFF)"sv},
    Signature{0, "MM\0*"sv, "images (TIFF)"sv},
    Signature{8, "WEBP"sv, "images (WebP)"sv},
    Signature{8, "WAVE"sv, "sound files (WAV)"sv},
    Signature{4, "ftyp"sv, "films and sound files (MPEG-4)"sv},
    Signature{0, "ID3"sv, "sound files (MP3)"sv},
    Signature{0, "OggS"sv, "sound files (Ogg)"sv},
    Signature{0, "\0\1\0\0\0"sv, "fonts (TrueType)"sv},
    Signature{0, "OTTO\0"sv, "fonts (OpenType)"sv},
    Signature{0, "wOFF"sv, "fonts (WOFF)"sv},
    Signature{0, "wOF2"sv, "fonts (WOFF2)"sv},
    Signature{0,
              "\x7f"
              "ELF"sv,
              "programs (ELF)"sv},
    Signature{0, "\xca\xfe\xba\xbe"sv, "programs (Java classes, Mach-O)"sv},
    Signature{0, "SQLite format 3\0"sv, "databases (SQLite)"sv},
    Signature{0, "%!PS-Adobe"sv, "PostScript documents"sv},
};

Detected Unsupported(std::string_view words) {
  return {Format::kText, ParseFailure{"unsupported_format", std::string(words) + " are not read by this version"}};
}

// A media type as part of another text, and the format's name for people.
struct MediaType {
  std::string_view type;
  std::string_view words;
};

constexpr std::array kPackages = {
    MediaType{"opendocument.text", "text documents (ODT)"},
    MediaType{"opendocument.spreadsheet", "spreadsheets (ODS)"},
    MediaType{"opendocument.presentation", "presentations (ODP)"},
    MediaType{"opendocument", "OpenDocument files"},
    MediaType{"application/epub+zip", "electronic books (EPUB)"},
};

std::optional<Detected> DetectByMediaType(std::string_view media_type) {
  for (const auto& [type, words] : kPackages) {
    if (media_type.find(type) != std::string_view::npos) return Unsupported(words);
  }
  return std::nullopt;
}

// What the main part of an office package is.
Detected DetectOoxml(ZipArchive& zip) {
  const std::string types = zip.Read("[Content_Types].xml").value_or("");
  const auto has = [&](std::string_view type, std::string_view part) {
    return types.find(type) != std::string::npos || zip.Find(part) != nullptr;
  };
  if (has("wordprocessingml.document.main+xml", "word/document.xml") ||
      types.find("ms-word.document.macroEnabled.main+xml") != std::string::npos ||
      types.find("wordprocessingml.template.main+xml") != std::string::npos) {
    return {Format::kDocx, std::nullopt};
  }
  if (has("spreadsheetml.sheet.main+xml", "xl/workbook.xml")) return Unsupported("spreadsheets (XLSX)");
  if (has("presentationml", "ppt/presentation.xml")) return Unsupported("presentations (PPTX)");
  if (has("ms-visio.drawing", "visio/document.xml")) return Unsupported("drawings (Visio)");
  // Last, because other documents embed spreadsheets.
  if (has("spreadsheetml", "xl/workbook.bin")) return Unsupported("spreadsheets (XLSX)");
  return Unsupported("office packages other than DOCX");
}

Detected DetectZip(std::string_view bytes, std::string_view extension) {
  // OpenDocument and EPUB say what they are in their first member, which is not compressed.
  const std::string_view start = bytes.substr(0, 200);
  if (start.substr(std::min<std::size_t>(30, start.size())).starts_with("mimetype")) {
    if (auto found = DetectByMediaType(start.substr(38))) return *found;
  }
  auto zip = ZipArchive::Open(bytes);
  if (!zip) {
    // Damaged; the parser of DOCX says how, if it was to be one.
    if (extension == "docx" || bytes.find("word/") != std::string_view::npos) return {Format::kDocx, std::nullopt};
    return Unsupported("zip archives");
  }
  if ((*zip)->Find("[Content_Types].xml") != nullptr || (*zip)->Find("word/document.xml") != nullptr) {
    return DetectOoxml(**zip);
  }
  if ((*zip)->Find("mimetype") != nullptr) {
    if (auto found = DetectByMediaType((*zip)->Read("mimetype").value_or(""))) return *found;
  }
  if ((*zip)->Find("META-INF/MANIFEST.MF") != nullptr) return Unsupported("programs (Java archives)");
  return Unsupported("zip archives");
}

bool HasWideName(std::string_view bytes, std::string_view name) {
  std::string wide;
  for (const char c : name) wide.append(1, c).append(1, '\0');
  return bytes.find(wide) != std::string_view::npos;
}

// The compound files of older office programs, also the envelope of encrypted newer ones.
Detected DetectOle(std::string_view bytes) {
  if (HasWideName(bytes, "EncryptedPackage")) {
    return {Format::kText,
            ParseFailure{"encrypted", "the office document is encrypted; remove its password to have it read"}};
  }
  constexpr std::array<MediaType, 6> kStreams = {{{"WordDocument", "Word 97-2003 documents (DOC)"},
                                                  {"Workbook", "Excel 97-2003 spreadsheets (XLS)"},
                                                  {"PowerPoint Document", "PowerPoint 97-2003 presentations (PPT)"},
                                                  {"__nameid_version1.0", "Outlook messages (MSG)"},
                                                  {"VisioDocument", "drawings (Visio)"},
                                                  {"Book", "Excel 5 spreadsheets (XLS)"}}};
  for (const auto& [stream, words] : kStreams) {
    if (HasWideName(bytes, stream)) return Unsupported(words);
  }
  return Unsupported("older office files (OLE)");
}

}  // namespace

std::optional<Detected> DetectBinary(std::string_view bytes, std::string_view extension) {
  if (bytes.starts_with("PK\3\4") || bytes.starts_with("PK\5\6") || bytes.starts_with("PK\7\x8")) {
    return DetectZip(bytes, extension);
  }
  if (bytes.starts_with("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")) return DetectOle(bytes);
  for (const auto& [offset, signature, words] : kSignatures) {
    if (bytes.size() > offset && bytes.substr(offset).starts_with(signature)) return Unsupported(words);
  }
  return std::nullopt;
}

ParseFailure UnknownBinary(std::string_view bytes) {
  constexpr std::size_t kLookBytes = 64 << 10;
  const std::unique_ptr<magic_set, void (*)(magic_set*)> magic(magic_open(MAGIC_NO_CHECK_COMPRESS), magic_close);
  const char* words = nullptr;
  if (magic && magic_load(magic.get(), nullptr) == 0) {
    words = magic_buffer(magic.get(), bytes.data(), std::min(bytes.size(), kLookBytes));
  }
  const std::string found = words == nullptr || std::string_view(words) == "data" ? "unknown binary data" : words;
  return {"unsupported_format", "not a format that this version reads: " + ReplaceBadUtf8(CutUtf8(found, 200))};
}

}  // namespace millrace::documents
