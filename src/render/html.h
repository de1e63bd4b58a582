// HTML by pieces. Markup can only be a literal of ours, which the compiler checks; every value put
// into it is escaped, so that nothing from a file is ever read as markup.
#pragma once

#include <fmt/format.h>

#include <iterator>
#include <string>
#include <string_view>

namespace crossval {

// `bytes` as text of an element or of a quoted attribute, valid as XML too: control and invisible
// characters and broken UTF-8 are shown as in `visible`. Newlines become \n.
std::string html_text(std::string_view bytes);

// The same for <pre>: newlines and tabs stay.
std::string html_lines(std::string_view bytes);

// What a value of any type is when it is put into markup.
template <class T>
struct AsText {
  using type = std::string;
};

class Html {
 public:
  // "{}" in `markup` is replaced by the escaped value: text or number.
  template <class... T>
  void add(fmt::format_string<typename AsText<T>::type...> markup, const T&... values) {
    append(markup, fmt::make_format_args(html_text(fmt::format("{}", values))...));
  }
  void lines(std::string_view text) { out_ += html_lines(text); }

  const std::string& str() const { return out_; }

 private:
  void append(fmt::string_view markup, fmt::format_args values) {
    fmt::vformat_to(std::back_inserter(out_), markup, values);
  }
  std::string out_;
};

}  // namespace crossval
