// What an XML parser asks for, for tests of markup.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace crossval {

// Tags that are opened and closed in order, attributes in quotes: what an XML parser asks for.
inline void expect_tags_match(const std::string& html) {
  std::vector<std::string> open;
  for (size_t at = html.find('<'); at != html.npos; at = html.find('<', at)) {
    const size_t end = html.find('>', at);
    ASSERT_NE(end, html.npos);
    const std::string tag = html.substr(at + 1, end - at - 1);
    at = end;
    ASSERT_EQ(tag.find('<'), tag.npos) << tag;
    if (tag[0] == '!' || tag.back() == '/') continue;
    const std::string name = tag.substr(tag[0] == '/', tag.find(' ') - (tag[0] == '/'));
    if (tag[0] != '/') {
      open.push_back(name);
      continue;
    }
    ASSERT_FALSE(open.empty()) << tag;
    ASSERT_EQ(open.back(), name);
    open.pop_back();
  }
  EXPECT_TRUE(open.empty());
}

}  // namespace crossval
