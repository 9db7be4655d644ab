// millrace_bench_bare FORMAT FILE..: what a parser library alone takes for these files, to compare the parse stage
// with: it reads what the stage must read of a file, parses it and gathers its text in one walk. For a Word document
// that is every XML part the stage reads, not the body alone; for HTML the charset is the library's own finding. A
// program of its own, never installed, since it links Poppler. Prints the seconds of the second round.
#include <myencoding/encoding.h>
#include <myhtml/myhtml.h>
#include <poppler-document.h>
#include <poppler-page.h>
#include <zip.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <pugixml.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

std::string Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::string bytes(static_cast<std::size_t>(file.tellg()), '\0');
  file.seekg(0);
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

std::size_t ParsePdf(const std::string& path) {
  std::unique_ptr<poppler::document> document(poppler::document::load_from_file(path));
  if (!document) throw std::runtime_error("cannot load " + path);
  std::size_t total = 0;
  for (int i = 0; i < document->pages(); ++i) {
    std::unique_ptr<poppler::page> page(document->create_page(i));
    if (page) total += page->text().to_utf8().size();
  }
  return total;
}

// The text of all nodes, gathered in one walk.
std::string TextBelow(myhtml_tree_node_t* node) {
  std::string text;
  while (node != nullptr) {
    if (myhtml_node_tag_id(node) == MyHTML_TAG__TEXT) {
      std::size_t length = 0;
      const char* piece = myhtml_node_text(node, &length);
      if (piece != nullptr) text.append(piece, length);
    }
    myhtml_tree_node_t* next = myhtml_node_child(node);
    while (next == nullptr && node != nullptr) {
      next = myhtml_node_next(node);
      if (next == nullptr) node = myhtml_node_parent(node);
    }
    node = next;
  }
  return text;
}

std::size_t ParseHtml(const std::string& path) {
  std::string bytes = Read(path);
  // The charset as the library finds it; it converts while it parses.
  myencoding_t encoding = MyENCODING_UTF_8;
  if (!myencoding_detect_bom(bytes.data(), bytes.size(), &encoding)) {
    myencoding_t declared =
        myencoding_prescan_stream_to_determine_encoding(bytes.data(), std::min<std::size_t>(bytes.size(), 1024));
    if (declared != MyENCODING_NOT_DETERMINED) encoding = declared;
  }
  myhtml_t* html = myhtml_create();
  myhtml_init(html, MyHTML_OPTIONS_PARSE_MODE_SINGLE, 1, 0);
  myhtml_tree_t* tree = myhtml_tree_create();
  myhtml_tree_init(tree, html);
  myhtml_parse(tree, encoding, bytes.data(), bytes.size());
  std::string text = TextBelow(myhtml_tree_get_document(tree));
  myhtml_tree_destroy(tree);
  myhtml_destroy(html);
  return text.size();
}

// Whether reading a Word document takes this member: the text, what says what that text is (styles, numbering,
// relationships, content types), and the document's properties.
bool IsNeeded(std::string_view name) {
  if (name == "[Content_Types].xml" || name == "_rels/.rels") return true;
  const std::string_view folder = name.substr(0, name.rfind('/') + 1);
  std::string_view file = name.substr(folder.size());
  if (folder == "docProps/") return file == "core.xml" || file == "app.xml" || file == "custom.xml";
  if (folder == "word/charts/") return file.starts_with("chart") && file.ends_with(".xml");
  if (folder == "word/diagrams/") return file.starts_with("data") && file.ends_with(".xml");
  if (folder == "word/_rels/" && file.ends_with(".rels")) {
    file.remove_suffix(5);
  } else if (folder != "word/") {
    return false;
  }
  for (std::string_view part :
       {"document.xml", "styles.xml", "numbering.xml", "footnotes.xml", "endnotes.xml", "comments.xml"}) {
    if (file == part) return true;
  }
  return (file.starts_with("header") || file.starts_with("footer")) && file.ends_with(".xml");
}

void AppendText(pugi::xml_node node, std::string& text) {
  text += node.value();
  for (pugi::xml_node child : node.children()) AppendText(child, text);
}

// Unpacks a member, parses it and walks all of its tree.
void ReadMember(zip_t* archive, zip_uint64_t index, const zip_stat_t& stat, std::string& text) {
  std::string xml(stat.size, '\0');
  zip_file_t* file = zip_fopen_index(archive, index, 0);
  if (file == nullptr) return;
  zip_fread(file, xml.data(), xml.size());
  zip_fclose(file);
  pugi::xml_document document;
  document.load_buffer_inplace(xml.data(), xml.size(),
                               pugi::parse_cdata | pugi::parse_escapes | pugi::parse_eol |
                                   pugi::parse_ws_pcdata_single | pugi::parse_embed_pcdata);
  AppendText(document, text);
}

std::size_t ParseDocx(const std::string& path) {
  std::string bytes = Read(path);
  zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, nullptr);
  zip_t* archive = zip_open_from_source(source, ZIP_RDONLY, nullptr);
  if (archive == nullptr) throw std::runtime_error("cannot open " + path);
  std::string text;
  auto members = static_cast<zip_uint64_t>(zip_get_num_entries(archive, 0));
  for (zip_uint64_t i = 0; i < members; ++i) {
    zip_stat_t stat;
    if (zip_stat_index(archive, i, 0, &stat) == 0 && IsNeeded(stat.name)) ReadMember(archive, i, stat, text);
  }
  zip_discard(archive);
  return text.size();
}

int Measure(const std::string& format, const std::vector<std::string>& files) {
  auto parse = format == "pdf" ? ParsePdf : format == "html" ? ParseHtml : ParseDocx;
  double seconds = 0;
  std::size_t text = 0;
  for (int round = 0; round < 2; ++round) {
    auto start = std::chrono::steady_clock::now();
    for (const std::string& path : files) text += parse(path);
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  std::printf("%.6f\n", seconds);
  return text > 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  try {
    return Measure(argv[1], {argv + 2, argv + argc});
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
