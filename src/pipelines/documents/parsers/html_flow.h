// The text of one paragraph of HTML while it is being gathered: white space collapsed, links and images noted.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pipelines/documents/elements.h"

namespace millrace::documents {

// `text` without HTML's white space at both ends.
std::string_view TrimHtml(std::string_view text);
// Whether `text`, in any case, is (starts with) `lower`, which is in lower case.
bool EqualsIgnoringCase(std::string_view text, std::string_view lower);
bool StartsIgnoringCase(std::string_view text, std::string_view lower);

// Two JSON objects, each of them possibly empty text, as one.
std::string JoinObjects(std::string first, std::string_view second);

class HtmlFlow {
 public:
  // An image or form field: added after the text it stands in.
  struct Aside {
    ElementType type;
    std::string text, location, metadata;
  };

  // Adds text with white space collapsed to single spaces; or as it is.
  void Append(std::string_view text);
  void AppendAsIs(std::string_view text);
  // A line ends here; words end here.
  void Break();
  void Space() { space_ = !text_.empty(); }

  // Text from here on is a link's. The view must stay valid until Clear.
  void OpenLink(std::string_view href);
  void CloseLink();
  // The target of the link that is open, or empty.
  [[nodiscard]] std::string_view href() const { return href_; }

  void Add(Aside aside) { asides_.push_back(std::move(aside)); }
  [[nodiscard]] const std::vector<Aside>& asides() const { return asides_; }

  // Without white space at its end; with `as_is`, without line ends at both ends.
  [[nodiscard]] std::string_view Text(bool as_is) const;
  // Nothing was gathered, white space apart.
  [[nodiscard]] bool empty() const { return text_.empty() && asides_.empty(); }
  // The whole text is one link.
  [[nodiscard]] bool OneLink() const;
  // {"links":["..."]}, or empty; the bare target of the first link.
  [[nodiscard]] std::string LinksJson() const;
  [[nodiscard]] std::string_view FirstHref() const { return links_.front().href; }
  // Ready for the next paragraph. A link that is open and has had no text yet goes on.
  void Clear();

 private:
  struct Link {
    std::string_view href;
    std::size_t begin = 0, end = std::string::npos;  // its text; npos: open
  };
  std::string text_;
  bool space_ = false;  // white space is due before more text
  std::vector<Link> links_;
  std::string_view href_;
  std::vector<Aside> asides_;
};

}  // namespace millrace::documents
