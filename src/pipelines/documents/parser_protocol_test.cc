#include "pipelines/documents/parser_protocol.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <limits>

#include "pipelines/documents/parser_process.h"
#include "pipelines/documents/spool_document.h"

namespace millrace::documents {
namespace {

using testing::HasSubstr;

RC_GTEST_PROP(FieldTest, WhatIsWrittenIsRead, (std::uint64_t number, std::int64_t sign, const std::string& text)) {
  std::string bytes;
  FieldWriter writer(bytes);
  writer.Number(number);
  writer.Signed(sign);
  writer.Text(text);
  FieldReader reader(bytes);
  RC_ASSERT(reader.Number() == number);
  RC_ASSERT(reader.Signed() == sign);
  RC_ASSERT(reader.Text(text.size()) == text);
  RC_ASSERT(reader.ok() && reader.at_end());
}

TEST(FieldTest, ExtremesAndNonsense) {
  for (const std::int64_t value :
       {std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()}) {
    std::string bytes;
    FieldWriter(bytes).Signed(value);
    FieldReader reader(bytes);
    EXPECT_EQ(reader.Signed(), value);
  }
  FieldReader unending(std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"));
  unending.Number();
  EXPECT_FALSE(unending.ok());
  FieldReader too_large(std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"));
  too_large.Number();
  EXPECT_FALSE(too_large.ok());
  FieldReader too_long(std::string_view("\x05hello"));
  EXPECT_EQ(too_long.Text(4), "");
  EXPECT_FALSE(too_long.ok());
  FieldReader cut(std::string_view("\x05hell"));
  EXPECT_EQ(cut.Text(100), "");
  EXPECT_FALSE(cut.ok());
}

TEST(FrameTest, RoundTrip) {
  RequestFrame request;
  request.name = "a name.txt";
  request.limits.max_elements = 17;
  request.limits.wall = std::chrono::milliseconds(1234);
  request.limits.max_depth = 9;
  const auto read = DecodeRequest(EncodeRequest(request));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->name, "a name.txt");
  EXPECT_EQ(read->limits.max_elements, 17);
  EXPECT_EQ(read->limits.wall, std::chrono::milliseconds(1234));
  EXPECT_EQ(read->limits.max_depth, 9);
  ReplyFrame reply;
  reply.failure = {"broken", std::string(100'000, 'x')};
  const auto answer = DecodeReply(EncodeReply(reply));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->failure.reason, "broken");
  EXPECT_LT(EncodeReply(reply).size(), kMaxFrameBytes);
}

RC_GTEST_PROP(FrameTest, AnyBytesAreReadOrRefused, (const std::string& bytes)) {
  DecodeRequest(bytes);
  DecodeReply(bytes);
  DecodeTrailer(bytes);
  // Damaged ones, too.
  std::string reply = EncodeReply({});
  if (!bytes.empty()) reply[bytes.size() % reply.size()] = bytes[0];
  DecodeReply(reply);
  std::string trailer = EncodeTrailer({{}, {"a warning"}});
  if (!bytes.empty()) trailer[bytes.size() % trailer.size()] = bytes[0];
  if (const auto read = DecodeTrailer(trailer)) RC_ASSERT(read->warnings.size() <= kMaxWarnings + 1);
}

TEST(Utf8Test, KnowsWhatItIs) {
  for (const char* good : {"", "plain", "gr\u00fc\u00df", "\u20ac", "\U0001f600", "12345678\u00e9", "\ud7ff\ue000"}) {
    EXPECT_TRUE(IsUtf8(good)) << good;
  }
  for (const char* bad : {"\xff", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                          "abcdefgh\x80", "\xf0\x9f\x98"}) {
    EXPECT_FALSE(IsUtf8(bad));
    EXPECT_TRUE(IsUtf8(ReplaceBadUtf8(bad)));
  }
  EXPECT_FALSE(IsUtf8(std::string(9, '\0')));
  EXPECT_FALSE(IsUtf8(std::string("abcdefg\0", 8)));
  EXPECT_EQ(ReplaceBadUtf8("a\xff"
                           "b\xc3"),
            "a\ufffd"
            "b\ufffd");
  EXPECT_EQ(CutUtf8("a\u00e9", 2), "a");
  EXPECT_EQ(CutUtf8("a\u00e9", 3), "a\u00e9");
}

TEST(Utf8Test, SeesOneByteAnywhere) {
  for (std::size_t size = 0; size < 90; ++size) {
    const std::string plain(size, 'a');
    EXPECT_TRUE(IsUtf8(plain));
    for (std::size_t at = 0; at < size; ++at) {
      for (const char bad : {'\0', '\x80', '\xff'}) {
        std::string text = plain;
        text[at] = bad;
        EXPECT_FALSE(IsUtf8(text)) << size << " " << at;
      }
      std::string good = plain;
      good.replace(at, 1, "\u00e9");
      EXPECT_TRUE(IsUtf8(good)) << size << " " << at;
    }
  }
}

RC_GTEST_PROP(Utf8Test, AnyBytesCanBeRepaired, (const std::string& bytes)) {
  const std::string repaired = ReplaceBadUtf8(bytes);
  RC_ASSERT(IsUtf8(repaired));
  RC_ASSERT(ReplaceBadUtf8(repaired) == repaired);
  if (IsUtf8(bytes)) RC_ASSERT(repaired == bytes);
}

class SpoolTest : public testing::Test {
 protected:
  std::vector<Element> ReadBack(SpoolSink& sink) {
    reply_ = sink.Finish();
    document_ = SpoolDocument::Open(file_.get(), reply_, limits_).value();
    std::vector<Element> elements;
    auto done = document_->ForEach([&](const Element& element) -> Result<void> {
      elements.push_back(element);
      return {};
    });
    EXPECT_TRUE(done) << done.error().message;
    return elements;
  }
  OwnedFd file_{::memfd_create("spool", MFD_CLOEXEC)};
  ParseLimits limits_;
  ReplyFrame reply_;
  std::unique_ptr<SpoolDocument> document_;
};

TEST_F(SpoolTest, GivesBackWhatWasAdded) {
  SpoolSink spool(file_.get(), limits_);
  ElementSink& sink = spool;
  const std::int32_t section = sink.Add(0, ElementType::kSection, "", "");
  EXPECT_EQ(sink.Add(section, ElementType::kHeader, "Title", "line 3", 2, R"({"a":1})"), 2);
  sink.metadata().title = "The title";
  sink.metadata().pages = 12;
  sink.Warn("odd");
  sink.Warn("odd");
  const auto elements = ReadBack(spool);
  ASSERT_EQ(elements.size(), 3u);
  EXPECT_EQ(elements[0].type, ElementType::kRoot);
  EXPECT_EQ(elements[0].parent, -1);
  EXPECT_EQ(elements[2].parent, 1);
  EXPECT_EQ(elements[2].type, ElementType::kHeader);
  EXPECT_EQ(elements[2].text, "Title");
  EXPECT_EQ(elements[2].location, "line 3");
  EXPECT_EQ(elements[2].level, 2);
  EXPECT_EQ(elements[2].metadata, R"({"a":1})");
  EXPECT_EQ(document_->metadata().title, "The title");
  EXPECT_EQ(document_->metadata().pages, 12);
  EXPECT_EQ(document_->warnings(), std::vector<std::string>{"odd"});
}

TEST_F(SpoolTest, RepairsText) {
  SpoolSink spool(file_.get(), limits_);
  ElementSink& sink = spool;
  sink.Add(0, ElementType::kParagraph, std::string_view("a\xff\0b", 4), "\xfe", 0, "\xfd");
  sink.metadata().title = "\xe9";
  sink.Warn("\xe9");
  EXPECT_EQ(ReadBack(spool)[1].text, "a\ufffd\ufffdb");
  EXPECT_EQ(document_->metadata().title, "\ufffd");
}

TEST_F(SpoolTest, LongTextContinuesInChildren) {
  std::string text;
  while (text.size() < 3 * kMaxElementText) text += "\u20ac and more ";
  SpoolSink spool(file_.get(), limits_);
  ElementSink& sink = spool;
  sink.Add(0, ElementType::kCodeBlock, text, "line 1");
  sink.Add(0, ElementType::kParagraph, "after", "line 2");
  const auto elements = ReadBack(spool);
  std::string joined;
  for (std::size_t i = 1; i + 1 < elements.size(); ++i) {
    EXPECT_EQ(elements[i].parent, i == 1 ? 0 : 1);
    EXPECT_EQ(elements[i].type, ElementType::kCodeBlock);
    joined += elements[i].text;
  }
  EXPECT_TRUE(joined == text);
  EXPECT_EQ(elements.back().text, "after");
  EXPECT_EQ(elements.back().parent, 0);
}

TEST_F(SpoolTest, DeepContentIsFlattened) {
  limits_.max_depth = 3;
  SpoolSink spool(file_.get(), limits_);
  ElementSink& sink = spool;
  std::int32_t parent = 0;
  for (int i = 0; i < 10; ++i) parent = sink.Add(parent, ElementType::kBlockquote, std::to_string(i), "");
  const auto elements = ReadBack(spool);
  EXPECT_EQ(elements.size(), 11u);
  EXPECT_EQ(elements[3].parent, 2);
  for (std::size_t i = 4; i < elements.size(); ++i) EXPECT_EQ(elements[i].parent, 2) << i;
  EXPECT_THAT(document_->warnings(), testing::ElementsAre(HasSubstr("deeper than 3 levels")));
}

TEST_F(SpoolTest, WarningsEnd) {
  SpoolSink spool(file_.get(), limits_);
  ElementSink& sink = spool;
  for (int i = 0; i < 1000; ++i) sink.Warn("warning " + std::to_string(i) + std::string(10'000, 'x'));
  ReadBack(spool);
  EXPECT_EQ(document_->warnings().size(), kMaxWarnings + 1);
  EXPECT_EQ(document_->warnings().back(), "further warnings are left out");
}

TEST_F(SpoolTest, LimitsEndTheParse) {
  limits_.max_elements = 5;
  SpoolSink few_spool(file_.get(), limits_);
  ElementSink& few = few_spool;
  EXPECT_THROW(
      {
        for (int i = 0; i < 10; ++i) few.Add(0, ElementType::kLine, "x", "");
      },
      LimitReached);
  limits_ = {};
  limits_.max_output = 1 << 20;
  SpoolSink large_spool(file_.get(), limits_);
  ElementSink& large = large_spool;
  EXPECT_THROW(
      {
        for (int i = 0; i < 10'000; ++i) large.Add(0, ElementType::kLine, std::string(1000, 'x'), "");
      },
      LimitReached);
  SpoolSink wrong_spool(file_.get(), limits_);
  ElementSink& wrong = wrong_spool;
  EXPECT_THROW(wrong.Add(1, ElementType::kLine, "x", ""), std::logic_error);
}

TEST_F(SpoolTest, FileThatCannotBeWrittenIsTheMachinesFailure) {
  const OwnedFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  SpoolSink sink(full.get(), limits_);
  EXPECT_THROW(sink.Finish(), SpoolError);
}

}  // namespace
}  // namespace millrace::documents
