#include "render/junit.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"
#include "render/checks.h"

namespace crossval {
namespace {

// XML 1.0, production 2 (Char): control characters other than tab and line ends cannot be written.
bool is_xml_char(char32_t c) {
  return c == 0x9 || c == 0xa || c == 0xd || (c >= 0x20 && c <= 0xd7ff) ||
         (c >= 0xe000 && c <= 0xfffd) || (c >= 0x10000 && c <= 0x10ffff);
}

std::string escaped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const DecodedChar c = decode_utf8(text);
    const std::string_view bytes = text.substr(0, c.n_bytes);
    text.remove_prefix(c.n_bytes);
    if (!c.valid || !is_xml_char(c.code)) {
      out += "\xEF\xBF\xBD";
    } else if (c.code == '&') {
      out += "&amp;";
    } else if (c.code == '<') {
      out += "&lt;";
    } else if (c.code == '>') {
      out += "&gt;";
    } else if (c.code == '"') {
      out += "&quot;";
    } else if (c.code < 0x20) {
      out += fmt::format("&#{};", static_cast<unsigned>(c.code));  // kept in attributes too
    } else {
      out += bytes;
    }
  }
  return out;
}

std::string testcase(const Check& check, const std::string& classname) {
  std::string out = fmt::format("  <testcase name=\"{}\" classname=\"{}\"", escaped(check.name),
                                escaped(classname));
  const char* element = nullptr;
  const char* type = nullptr;
  switch (check.outcome) {
    case Check::Outcome::passed:
      return out + "/>\n";
    case Check::Outcome::skipped:
      return out + fmt::format(">\n   <skipped message=\"{}\"/>\n  </testcase>\n",
                               escaped(check.message));
    case Check::Outcome::failed:
      element = "failure";
      type = "diverged";
      break;
    case Check::Outcome::error:
      element = "error";
      type = "error";
      break;
  }
  return out + fmt::format(">\n   <{0} message=\"{1}\" type=\"{2}\">{3}</{0}>\n  </testcase>\n",
                           element, escaped(check.message), type, escaped(check.details));
}

}  // namespace

std::string junit_begin() {
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"crossval\">\n";
}

std::string junit_end() { return "</testsuites>\n"; }

std::string junit_result(const Result& result, const RenderOptions& options) {
  std::string out;
  for (const CheckList& list : checks_of(result)) {
    const auto count = [&](Check::Outcome outcome) {
      return std::count_if(list.checks.begin(), list.checks.end(),
                           [&](const Check& check) { return check.outcome == outcome; });
    };
    std::string name = fmt::format("{}: {}", list.name, list.sides);
    if (options.number > 0) name += fmt::format(", prompt {}", options.number);
    // Seconds are what readers expect of a timestamp; a zone is not in the schema.
    const std::string date = list.date.substr(0, 19);
    out += fmt::format(
        " <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" "
        "time=\"{:.3f}\"{}>\n",
        escaped(name), list.checks.size(), count(Check::Outcome::failed),
        count(Check::Outcome::error), count(Check::Outcome::skipped), list.time_ms / 1000,
        date.empty() ? "" : fmt::format(" timestamp=\"{}\"", date));
    const std::string model = list.model.substr(list.model.rfind('/') + 1);
    const std::string classname = fmt::format("{}.{}", list.name, model.empty() ? "model" : model);
    for (const Check& check : list.checks) out += testcase(check, classname);
    std::string words = fmt::format("{}: {}\n", status_name(list.status), list.finding.headline);
    for (const std::string& note : list.finding.notes) words += note + "\n";
    out += fmt::format("  <system-out>{}</system-out>\n </testsuite>\n", escaped(words));
  }
  return out;
}

}  // namespace crossval
