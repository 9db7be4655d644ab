#include "pipelines/documents/sources/file_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "pipelines/documents/test_support.h"

namespace millrace::documents {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class FileSourceTest : public testing::Test {
 protected:
  FileSource Source() {
    FileSource source;
    source.name = "s";
    source.base_path = dir_.path();
    auto resolved = ResolveFileSource(source);
    EXPECT_TRUE(resolved.has_value()) << resolved.error().message;
    return *resolved;
  }
  static std::vector<FileEntry> List(const FileSource& source, std::size_t chunk = 3, std::size_t window = 65536) {
    std::vector<FileEntry> all;
    auto listing = FileListing::Open(source, window);
    EXPECT_TRUE(listing.has_value()) << listing.error().message;
    if (!listing) return all;
    while (true) {
      auto next = (*listing)->Next(chunk);
      EXPECT_TRUE(next.has_value());
      if (!next || next->empty()) return all;
      if (all.size() > 10'000) return ADD_FAILURE() << "the listing does not end", all;
      EXPECT_LE(next->size(), chunk);
      all.insert(all.end(), next->begin(), next->end());
    }
  }
  // Paths, with "!reason" where there is one.
  static std::vector<std::string> Paths(const std::vector<FileEntry>& entries) {
    std::vector<std::string> paths;
    for (const FileEntry& e : entries) paths.push_back(e.reason.empty() ? e.path : e.path + "!" + e.reason);
    return paths;
  }

  TempFolder dir_;
};

TEST_F(FileSourceTest, ListsInTheOrderOfPathBytes) {
  for (const char* name : {"b.txt", "a/z", "a.txt", "a/b/c", "a0", "a/b.x", "B"}) dir_.Write(name, "x");
  const auto paths = Paths(List(Source()));
  EXPECT_THAT(paths, ElementsAre("B", "a.txt", "a/b.x", "a/b/c", "a/z", "a0", "b.txt"));
  EXPECT_TRUE(std::is_sorted(paths.begin(), paths.end()));
}

TEST_F(FileSourceTest, ASmallWindowGivesTheSameList) {
  for (int i = 0; i < 57; ++i) dir_.Write("d" + std::to_string(i % 5) + "/f" + std::to_string(i * 7919 % 101), "x");
  const auto all = Paths(List(Source()));
  EXPECT_EQ(all.size(), 57u);
  for (const std::size_t window : {1u, 2u, 7u}) EXPECT_EQ(Paths(List(Source(), 5, window)), all) << window;
}

TEST_F(FileSourceTest, TellsSizeAndTime) {
  dir_.Write("f", "12345");
  dir_.SetTime("f", 1'600'000'000'123'456'789);
  const auto entries = List(Source());
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].size, 5);
  EXPECT_EQ(entries[0].mtime_ns, 1'600'000'000'123'456'789);
}

TEST_F(FileSourceTest, ChoosesByPatternsAndExtensions) {
  for (const char* name : {"a.pdf", "a.PDF", "sub/b.pdf", "sub/c.txt", "skip/d.pdf", ".git/e.pdf"})
    dir_.Write(name, "x");
  FileSource source = Source();
  source.include = {"**/*.pdf"};
  source.exclude = {"skip", ".git"};
  EXPECT_THAT(Paths(List(source)), ElementsAre("a.pdf", "sub/b.pdf"));
  source.include.clear();
  source.extensions = {".pdf", "txt"};
  EXPECT_THAT(Paths(List(source)), ElementsAre("a.PDF", "a.pdf", "sub/b.pdf", "sub/c.txt"));
  source.recursive = false;
  EXPECT_THAT(Paths(List(source)), ElementsAre("a.PDF", "a.pdf"));
}

TEST_F(FileSourceTest, AWrongPatternIsAnError) {
  FileSource source = Source();
  source.exclude = {"[x"};
  const auto resolved = ResolveFileSource(source);
  ASSERT_FALSE(resolved.has_value());
  EXPECT_EQ(resolved.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(resolved.error().message, HasSubstr("'[x'"));
}

TEST_F(FileSourceTest, LinksAreListedWithAReasonAndNeverFollowed) {
  TempFolder outside;
  outside.Write("secret.txt", "secret");
  dir_.Write("real/file.txt", "x");
  fs::create_symlink("real/file.txt", dir_ / "inside");
  fs::create_directory_symlink("real", dir_ / "inside_folder");
  fs::create_symlink(outside / "secret.txt", dir_ / "out");
  fs::create_directory_symlink(outside.path(), dir_ / "out_folder");
  fs::create_symlink("nowhere", dir_ / "broken");
  fs::create_symlink("loop_b", dir_ / "loop_a");
  fs::create_symlink("loop_a", dir_ / "loop_b");
  fs::create_directory_symlink("..", dir_ / "real/up");
  const auto entries = List(Source());
  EXPECT_THAT(Paths(entries), ElementsAre("broken!link_broken", "inside!link", "inside_folder!link",
                                          "loop_a!link_broken", "loop_b!link_broken", "out!link_outside",
                                          "out_folder!link_outside", "real/file.txt", "real/up!link"));
  for (const FileEntry& entry : entries) EXPECT_EQ(entry.message.empty(), entry.reason.empty()) << entry.path;
}

TEST_F(FileSourceTest, OpeningNeverFollowsALinkEither) {
  TempFolder outside;
  outside.Write("secret.txt", "secret");
  dir_.Write("real/file.txt", "x");
  fs::create_symlink(outside / "secret.txt", dir_ / "out");
  fs::create_directory_symlink(outside.path(), dir_ / "out_folder");
  ASSERT_EQ(mkfifo((dir_ / "pipe").c_str(), 0600), 0);
  const FileSource source = Source();
  EXPECT_TRUE(OpenEntry(source, "real/file.txt").has_value());
  for (const char* path :
       {"out", "out_folder/secret.txt", "../secret", "real/../real/file.txt", "/etc/passwd", "", "real", "missing",
        "real/file.txt/x", "pipe", "real/%2E%2E/x", "real%2Ffile.txt", "./real/file.txt"}) {
    const auto opened = OpenEntry(source, path);
    ASSERT_FALSE(opened.has_value()) << path;
    EXPECT_EQ(opened.error().code, ErrorCode::kNotFound) << path << ": " << opened.error().message;
  }
}

TEST_F(FileSourceTest, ThingsThatAreNoFilesAreListedWithAReason) {
  ASSERT_EQ(mkfifo((dir_ / "pipe").c_str(), 0600), 0);
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (dir_ / "sock").string().copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  close(fd);
  EXPECT_THAT(Paths(List(Source())), ElementsAre("pipe!not_regular", "sock!not_regular"));
}

TEST_F(FileSourceTest, NamesThatAreNotUtf8Survive) {
  const std::string raw = "caf\xE9\n%41.txt";
  dir_.Write(raw, "bytes");
  const FileSource source = Source();
  const auto entries = List(source);
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].path, "caf%E9%0A%2541.txt");
  EXPECT_TRUE(OpenEntry(source, entries[0].path).has_value());
}

TEST_F(FileSourceTest, FoldersThatCannotBeReadAreListed) {
  dir_.Write("closed/file", "x");
  dir_.Write("open/file", "x");
  fs::permissions(dir_ / "closed", fs::perms::none);
  {
    const Unprivileged unprivileged;
    EXPECT_THAT(Paths(List(Source())), ElementsAre("closed/!unreadable", "open/file"));
  }
  fs::permissions(dir_ / "closed", fs::perms::owner_all);
}

TEST_F(FileSourceTest, AFolderTooDeepIsListedWithAReason) {
  std::string deep;
  for (int i = 0; i < 140; ++i) deep += "d/";
  dir_.Write(deep + "file", "x");
  const auto entries = List(Source());
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].reason, "too_deep");
  EXPECT_TRUE(entries[0].path.ends_with("d/"));
}

TEST_F(FileSourceTest, FilesThatVanishWhileListingAreTold) {
  dir_.Write("a", "x");
  dir_.Write("b", "x");
  dir_.Write("c/d", "x");
  auto listing = FileListing::Open(Source());
  ASSERT_TRUE(listing.has_value());
  fs::remove(dir_ / "b");
  fs::remove_all(dir_ / "c");
  const auto entries = (*listing)->Next(10);
  ASSERT_TRUE(entries.has_value());
  EXPECT_THAT(Paths(*entries), ElementsAre("a", "b!vanished", "c/!vanished"));
}

TEST_F(FileSourceTest, AFolderSwappedForALinkIsNotEntered) {
  TempFolder outside;
  outside.Write("secret.txt", "secret");
  dir_.Write("sub/file", "x");
  auto listing = FileListing::Open(Source());
  ASSERT_TRUE(listing.has_value());
  fs::remove_all(dir_ / "sub");
  fs::create_directory_symlink(outside.path(), dir_ / "sub");
  const auto entries = (*listing)->Next(10);
  ASSERT_TRUE(entries.has_value());
  EXPECT_THAT(Paths(*entries), ElementsAre("sub/!vanished"));
}

TEST_F(FileSourceTest, ListingStopsWhenAsked) {
  dir_.Write("a", "x");
  auto listing = FileListing::Open(Source());
  ASSERT_TRUE(listing.has_value());
  std::stop_source stop;
  stop.request_stop();
  const auto entries = (*listing)->Next(10, stop.get_token());
  ASSERT_FALSE(entries.has_value());
  EXPECT_EQ(entries.error().code, ErrorCode::kCancelled);
}

TEST_F(FileSourceTest, AnInputMayBeAFolderOrAFile) {
  dir_.Write("sub/one.txt", "x");
  dir_.Write("sub/two.txt", "x");
  const auto folder = FileSourceOf((dir_ / "sub").string() + "/");
  ASSERT_TRUE(folder.has_value());
  EXPECT_EQ(folder->name, (fs::canonical(dir_.path()) / "sub").string());
  EXPECT_EQ(List(*folder).size(), 2u);
  const auto file = FileSourceOf((dir_ / "sub/two.txt").string());
  ASSERT_TRUE(file.has_value());
  EXPECT_EQ(file->name, (fs::canonical(dir_.path()) / "sub/two.txt").string());
  EXPECT_THAT(Paths(List(*file)), ElementsAre("two.txt"));
}

TEST_F(FileSourceTest, WhatCannotBeASourceIsNamed) {
  const auto missing = FileSourceOf((dir_ / "missing").string());
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(missing.error().message, HasSubstr("missing"));
  ASSERT_EQ(mkfifo((dir_ / "pipe").c_str(), 0600), 0);
  const auto pipe = FileSourceOf((dir_ / "pipe").string());
  ASSERT_FALSE(pipe.has_value());
  EXPECT_EQ(pipe.error().code, ErrorCode::kUnsupported);
  EXPECT_FALSE(FileSourceOf("").has_value());
  EXPECT_FALSE(FileSourceOf(std::string_view("/tmp\0x", 6)).has_value());
}

TEST_F(FileSourceTest, HashesTheWholeFile) {
  dir_.Write("empty", "");
  dir_.Write("abc", "abc");
  dir_.Write("large", std::string(300'000, 'a'));
  const FileSource source = Source();
  const auto hash = [&](const char* path) { return HashFile(*OpenEntry(source, path)).value_or("failed"); };
  EXPECT_EQ(hash("empty"), "e3b0c44298fc1c149afbf4c8996fb924");
  EXPECT_EQ(hash("abc"), "ba7816bf8f01cfea414140de5dae2223");
  EXPECT_EQ(hash("large"), ContentHash(std::string(300'000, 'a')));
}

}  // namespace
}  // namespace millrace::documents
