// What people hand over instead of a model, and what is said of it.
#include "gguf/not_a_gguf.h"

#include <gtest/gtest.h>

#include <string>

namespace crossval {
namespace {

std::string what(const std::string& content) {
  return describe_other_file(std::as_bytes(std::span(content))).what;
}

TEST(NotAGguf, each_is_called_what_it_is) {
  using namespace std::string_literals;
  const struct {
    std::string content;
    const char* word;
  } cases[] = {
      {"", "empty"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:46\nsize 48123\n", "48123 bytes"},
      {"\n<!DOCTYPE html>\n<html>", "web page"},
      {"<HTML><head>", "web page"},
      {std::string(4096, '\0'), "zeros"},
      {"\x20\0\0\0\0\0\0\0{\"a\":{}}"s, "safetensors"},
      {"PK\x03\x04rest", "zip"},
      {"\x1f\x8b\x08rest", "compressed"},
      {"{\"error\":\"Repository not found\"}", "JSON"},
      {"XYZW", "begins with 'XYZW'"},
      {"G", "begins with 'G'"},
  };
  for (const auto& c : cases) {
    EXPECT_NE(what(c.content).find(c.word), std::string::npos) << c.word << ": " << what(c.content);
  }
}

}  // namespace
}  // namespace crossval
