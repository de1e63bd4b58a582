// Receipts that are cut, wrong or hostile: one Error that names the file, never a crash.
#include "render/receipt_reader.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "render/json.h"
#include "render/report_page.h"
#include "render/sample_report.h"
#include "support/damage.h"
#include "support/temp_dir.h"

namespace crossval {
namespace {

// The Error of reading and drawing `content`; nothing when it was drawn.
std::optional<Error> refusal(const std::string& content) {
  try {
    report_page(parse_receipts(content, "some.json"));
    return std::nullopt;
  } catch (const Error& error) {
    return error;
  }
}

void expect_refused(const std::string& content, const std::string& words) {
  const auto error = refusal(content);
  ASSERT_TRUE(error.has_value()) << content.substr(0, 200);
  EXPECT_EQ(error->status, Status::bad_input);
  EXPECT_NE(error->where.find("some.json"), std::string::npos);
  EXPECT_NE(error->what_.find(words), std::string::npos) << error->what_;
  EXPECT_FALSE(error->fix.empty());
}

std::string with(const std::string& from, const std::string& to) {
  std::string json = json_of(sample_report(), {});
  const size_t at = json.find(from);
  EXPECT_NE(at, json.npos) << from;
  return json.replace(at, from.size(), to);
}

TEST(ReceiptReader, OneObjectOrOneALine) {
  const std::string line = json_of(sample_report(), {.one_line = true});
  EXPECT_EQ(parse_receipts(json_of(sample_report(), {}), "a").size(), 1U);
  EXPECT_EQ(parse_receipts(line, "a").size(), 1U);
  const auto three =
      parse_receipts(line + "\n" + line + json_of(sample_run(), {.one_line = true}), "a");
  ASSERT_EQ(three.size(), 3U);
  EXPECT_EQ(three[0].where, "a, line 1");
  EXPECT_EQ(three[2].where, "a, line 4");
  EXPECT_EQ(three[2].schema, "crossval/run/1");
}

TEST(ReceiptReader, EveryStatusIsKnown) {
  for (const Status status : kStatuses) {
    std::string json =
        with("\"exit_code\": 1", fmt::format("\"exit_code\": {}", static_cast<int>(status)));
    const std::string from = "\"status\": \"diverged\"";
    json.replace(json.find(from), from.size(),
                 fmt::format("\"status\": \"{}\"", status_name(status)));
    EXPECT_EQ(parse_receipts(json, "a").size(), 1U) << status_name(status);
  }
}

TEST(ReceiptReader, NotAReceipt) {
  expect_refused("", "empty");
  expect_refused(" \n", "empty");
  expect_refused("<html>", "not JSON");
  expect_refused("[1]", "expected an object");
  expect_refused("null", "expected an object");
  expect_refused("{}", "\"schema\" is missing");
  expect_refused(R"({"schema": 3})", "schema: expected text");
  expect_refused(R"({"schema": "crossval/per-token/99", "status": "agree"})", "is not known");
  expect_refused(R"({"schema": "crossval/run/1", "status": "ok", "exit_code": 0})", "is missing");
  expect_refused(json_of(sample_report(), {.one_line = true}) + "{\"schema\"", "not JSON");
}

TEST(ReceiptReader, EveryCutIsRefused) {
  const std::string whole = json_of(sample_report(), {});
  const size_t end = whole.find_last_of('}');
  for (size_t n = 0; n <= end; n += 7) EXPECT_TRUE(refusal(whole.substr(0, n)).has_value()) << n;
}

TEST(ReceiptReader, WrongKindsAreNamed) {
  expect_refused(with("\"status\": \"diverged\"", "\"status\": \"fine\""), "is no status");
  expect_refused(with("\"exit_code\": 1", "\"exit_code\": 0"), "exit_code");
  expect_refused(with("\"exit_code\": 1", "\"exit_code\": 1.5"), "a whole number");
  expect_refused(with("\"exit_code\": 1", "\"exit_code\": 18446744073709551615"), "whole number");
  expect_refused(with("\"exit_code\": 1", "\"exit_code\": 1e999"), "not JSON");
  expect_refused(with("\"index\":0", "\"index\":\"0\""), "positions[0].index");
  expect_refused(with("\"verdict\":\"ok\"", "\"verdict\":\"fine\""), "positions[0].verdict");
  expect_refused(with("\"model\": {", "\"model\": [], \"x\": {"), "expected an object");
  expect_refused(with("\"settings\":{\"kv_type\":\"f16\"}", "\"settings\":{\"kv_type\":[]}"),
                 "engine.settings.kv_type");
  expect_refused(with("\"first_mismatch\":{\"index\":1", "\"first_mismatch\":{\"index\":1000000"),
                 "outside the ids");
}

TEST(ReceiptReader, DeepNestingIsRefused) {
  for (const char* bracket : {"[", "{\"a\":"}) {
    std::string deep;
    for (int i = 0; i < 200'000; ++i) deep += bracket;
    expect_refused(deep, "nested more than");
  }
}

// Whatever the damage: a page or an Error.
TEST(ReceiptReader, DamageNeverCrashes) {
  const std::string good = json_of(sample_report(), {});
  int n_refused = 0;
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    n_refused += refusal(testing::damaged_copy(good, good.size(), seed)).has_value();
  }
  EXPECT_GT(n_refused, 1000);
}

TEST(ReceiptReader, FilesThatCannotBeRead) {
  const testing::TempDir folder;
  EXPECT_THROW(read_receipts(folder.file("absent.json")), Error);
  EXPECT_THROW(read_receipts(folder.path()), Error);
}

}  // namespace
}  // namespace crossval
