#include "base/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace crossval {
namespace {

TEST(Utf8, ReadsShortestFormsOnly) {
  const auto read = [](std::string_view text) { return decode_utf8(text); };
  EXPECT_EQ(read("a").code, U'a');
  EXPECT_EQ(read("é!").n_bytes, 2u);
  EXPECT_EQ(read("日").code, U'日');
  EXPECT_EQ(read("😀").code, U'😀');
  EXPECT_EQ(read("\xF4\x8F\xBF\xBF").code, char32_t{0x10FFFF});
  // Overlong, a surrogate, beyond Unicode, cut, a byte that begins nothing.
  for (const char* bad : {"\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                          "\xF0\x9F\x98", "\xE6\x97", "\x80", "\xFF"}) {
    EXPECT_FALSE(read(bad).valid) << bad;
    EXPECT_EQ(read(bad).n_bytes, 1u) << bad;
  }
}

TEST(Utf8, ReplacesWhatIsNone) {
  EXPECT_EQ(replace_invalid_utf8("a\xFF日\xF0\x9F"), "a\uFFFD日\uFFFD\uFFFD");
}

TEST(Utf8, ClipsBetweenCharacters) {
  EXPECT_EQ(clip_utf8("日本", 6), "日本");
  EXPECT_EQ(clip_utf8("日本", 5), "日");
  EXPECT_EQ(clip_utf8("日本", 2), "");
}

}  // namespace
}  // namespace crossval
