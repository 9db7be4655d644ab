// millrace_bench_bare FORMAT FILE..: what a parser library alone takes for these files, to compare the parse stage
// with. A program of its own, never installed, since it links Poppler. Prints the seconds of the second round.
#include <myhtml/myhtml.h>
#include <poppler-document.h>
#include <poppler-page.h>
#include <zip.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <pugixml.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

std::string Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
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

std::size_t ParseHtml(const std::string& path) {
  std::string bytes = Read(path);
  myhtml_t* html = myhtml_create();
  myhtml_init(html, MyHTML_OPTIONS_PARSE_MODE_SINGLE, 1, 0);
  myhtml_tree_t* tree = myhtml_tree_create();
  myhtml_tree_init(tree, html);
  myhtml_parse(tree, MyENCODING_UTF_8, bytes.data(), bytes.size());
  std::size_t total = 0;
  myhtml_tree_node_t* node = myhtml_tree_get_document(tree);
  while (node != nullptr) {
    if (myhtml_node_tag_id(node) == MyHTML_TAG__TEXT) {
      std::size_t length = 0;
      myhtml_node_text(node, &length);
      total += length;
    }
    myhtml_tree_node_t* next = myhtml_node_child(node);
    while (next == nullptr && node != nullptr) {
      next = myhtml_node_next(node);
      if (next == nullptr) node = myhtml_node_parent(node);
    }
    node = next;
  }
  myhtml_tree_destroy(tree);
  myhtml_destroy(html);
  return total;
}

std::size_t ParseDocx(const std::string& path) {
  int code = 0;
  zip_t* archive = zip_open(path.c_str(), ZIP_RDONLY, &code);
  if (archive == nullptr) throw std::runtime_error("cannot open " + path);
  zip_stat_t stat;
  std::size_t total = 0;
  if (zip_stat(archive, "word/document.xml", 0, &stat) == 0) {
    std::string xml(stat.size, '\0');
    zip_file_t* file = zip_fopen(archive, "word/document.xml", 0);
    zip_fread(file, xml.data(), xml.size());
    zip_fclose(file);
    pugi::xml_document document;
    document.load_buffer_inplace(xml.data(), xml.size(), pugi::parse_default | pugi::parse_ws_pcdata_single);
    for (const auto& text : document.select_nodes("//w:t")) total += std::string_view(text.node().text().get()).size();
  }
  zip_close(archive);
  return total;
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
