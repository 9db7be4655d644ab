#include "cli/output.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "cli/progress_bar.h"
#include "cli/search_hint.h"

namespace millrace::cli {
namespace {

TEST(OutputTest, ControlCharactersNeverReachATerminal) {
  EXPECT_EQ(Printable("a\033[31mb\r\nc\x7F"), "a [31mb  c ");
  EXPECT_EQ(Printable("\xC2\x9B"
                      "31m"),
            "  31m");  // the one-byte escape sequence introducer of ISO 6429
  EXPECT_EQ(Printable("Grüße"), "Grüße");
}

TEST(OutputTest, NothingTurnsALineRoundOrEndsIt) {
  EXPECT_EQ(Printable("a\u202Eb\u2066c\u2069d\u2028e"), "a   b   c   d   e");
  EXPECT_EQ(Printable("שלום\u2026 \u2070 \u2019"), "שלום\u2026 \u2070 \u2019");
  EXPECT_EQ(Printable("\xE2\x80"), "\xE2\x80");
}

TEST(OutputTest, PasswordsAreHidden) {
  for (const char* text : {"postgres://ann:secret@db/jobs", "see postgres://ann:secret@db/jobs, and",
                           "postgres://ann:se@cret@db/jobs", "--db=postgres://ann:se/cret?x@db/jobs",
                           "postgres://db/jobs?password=secret&user=ann", "host=db password=secret",
                           "host=db password='sec ret' user=ann", "psql postgres://a:secret@x b://c:secret@d"}) {
    const std::string hidden = WithoutPasswords(text);
    EXPECT_EQ(hidden.find("cret"), std::string::npos) << hidden;
    EXPECT_EQ(hidden.find("sec"), std::string::npos) << hidden;
    EXPECT_EQ(hidden.size(), std::string_view(text).size());
  }
  EXPECT_EQ(WithoutPasswords("postgres://ann:secret@db:5432/jobs?user=b"), "postgres://ann:******@db:5432/jobs?user=b");
  for (const char* text : {"postgres://ann@db:5432/jobs", "postgres://db:5432/jobs", "./m.db", "a@b:c", ""}) {
    EXPECT_EQ(WithoutPasswords(text), text);
  }
}

TEST(OutputTest, ShortensAtCharacters) {
  EXPECT_EQ(Shorten("Grüße an alle", 8), "Grüße...");
  EXPECT_EQ(Shorten("short", 5), "short");
}

TEST(OutputTest, GroupsDigits) {
  EXPECT_EQ(Grouped(0), "0");
  EXPECT_EQ(Grouped(999), "999");
  EXPECT_EQ(Grouped(1000), "1,000");
  EXPECT_EQ(Grouped(1234567), "1,234,567");
  EXPECT_EQ(Grouped(-123456), "-123,456");
}

TEST(OutputTest, SaysHowLongAgo) {
  const Time now = base::Clock::System().Now();
  EXPECT_EQ(Ago(base::FormatTime(now - std::chrono::minutes(10))), "10m");
  EXPECT_EQ(Ago(base::FormatTime(now - std::chrono::hours(5) - std::chrono::minutes(1))), "5h");
  EXPECT_EQ(Ago(base::FormatTime(now + std::chrono::hours(72) + std::chrono::minutes(1))), "in 3d");
  EXPECT_EQ(Ago(""), "");
}

TEST(OutputTest, TablesAlign) {
  Table table({"ID", "NAME", "N"});
  table.AlignRight({0, 2});
  table.Add({"1", "ä", "10"});
  table.Add({"22", "two", "5"});
  testing::internal::CaptureStdout();
  table.Print();
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "ID  NAME   N\n 1  ä     10\n22  two    5\n");
}

TEST(SearchHintTest, TakesNeighbouringWords) {
  EXPECT_EQ(PhraseOf("The quarterly figures show"), "quarterly figures");
  EXPECT_EQ(PhraseOf("it was elephants, and mice"), "elephants");
  EXPECT_EQ(PhraseOf("see http://example.net/path"), "");
  EXPECT_EQ(PhraseOf("a b c 12345"), "");
}

TEST(ProgressBarTest, LineSaysHowFarAndHowFast) {
  documents::DocumentsProgress progress;
  progress.discovered = 200;
  progress.done = 48;
  progress.failed = 2;
  progress.open = 150;
  EXPECT_EQ(ProgressBar::Line(progress, 10, 200), "listing  50 of 200+ documents  5/s  2 dead");
  progress.listed = true;
  EXPECT_EQ(ProgressBar::Line(progress, 10, 200),
            "[######                  ]  25 %  50 of 200 documents  5/s  2 dead  30s left");
  EXPECT_EQ(ProgressBar::Line(progress, 10, 10).size(), 10u);
  EXPECT_NE(ProgressBar::Line({true, 0, 0, 0, 0, true}, 0, 200).find("100 %"), std::string::npos);
}

}  // namespace
}  // namespace millrace::cli
