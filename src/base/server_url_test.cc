#include "base/server_url.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace crossval {
namespace {

TEST(ServerUrl, Parts) {
  const ServerUrl plain = parse_server_url("http://127.0.0.1:8080", "--backend");
  EXPECT_EQ(plain.origin(), "http://127.0.0.1:8080");
  EXPECT_EQ(plain.path, "");
  EXPECT_FALSE(plain.is_name());
  EXPECT_EQ(parse_server_url("http://localhost", "").origin(), "http://localhost:80");
  EXPECT_FALSE(parse_server_url("http://localhost", "").is_name());
  const ServerUrl far = parse_server_url("https://gpu-1.example.org/llm/v2/", "");
  EXPECT_EQ(far.origin(), "https://gpu-1.example.org:443");
  EXPECT_EQ(far.path, "/llm/v2");
  EXPECT_TRUE(far.is_name());
  const ServerUrl v6 = parse_server_url("http://[::1]:9000", "");
  EXPECT_EQ(v6.host, "::1");
  EXPECT_EQ(v6.origin(), "http://[::1]:9000");
  EXPECT_FALSE(v6.is_name());
}

TEST(ServerUrl, WhatIsNoneIsRefusedAndNotRepeated) {
  for (const char* bad :
       {"", "http:", "http://", "ftp://a", "http://:80", "http://a:0", "http://a:65536",
        "http://a:80x", "http://a b", "http://a\r\nHost: b", "http://a/?q=1", "http://a/#f",
        "http://[::1", "http://[::1]x", "http://user:sesame@a", "http://a/x@b", "http://a\"b"}) {
    try {
      parse_server_url(bad, "--backend");
      ADD_FAILURE() << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.status, Status::bad_input);
      EXPECT_EQ(std::string(error.what()).find("sesame"), std::string::npos);
    }
  }
}

TEST(ServerUrl, CredentialsAreLeftOutOfACommandLine) {
  EXPECT_EQ(without_credentials("http://me:sesame@host:1/x"), "http://host:1/x");
  EXPECT_EQ(without_credentials("llama,http://me:p@ss@host,https://k@b"),
            "llama,http://host,https://b");
  EXPECT_EQ(without_credentials("mail a@b, http://host/x@y"), "mail a@b, http://host/x@y");
}

}  // namespace
}  // namespace crossval
