#include "storage/tokenizer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace millrace::storage {
namespace {

std::vector<std::string> Words(std::string_view text, Tokenizer::Text kind = Tokenizer::Text::kDocument) {
  const auto tokenizer = Tokenizer::Open();
  if (!tokenizer) throw std::runtime_error(tokenizer.error().message);
  std::vector<std::string> words;
  const auto done = (*tokenizer)->Split(text, kind, [&](const Token& token) {
    words.push_back(std::string(token.word) + "=" + std::string(text.substr(token.begin, token.end - token.begin)));
  });
  if (!done) throw std::runtime_error(done.error().message);
  return words;
}

TEST(TokenizerTest, WordsAreFoldedAndStemmedAndSayWhereTheyStand) {
  using List = std::vector<std::string>;
  EXPECT_EQ(Words("Running, Z\xC3\xBCrich-2x!"), (List{"run=Running", "zurich=Z\xC3\xBCrich", "2x=2x"}));
  EXPECT_EQ(Words("qui", Tokenizer::Text::kPrefix), (List{"qui=qui"}));
  EXPECT_EQ(Words(""), List{});
  EXPECT_EQ(Words({}), List{});
  EXPECT_EQ(Words(std::string("a\0b\xFF"
                              "c",
                              5)),
            (List{"a=a", "b=b", "c=c"}));
}

}  // namespace
}  // namespace millrace::storage
