// Several engines at once: native, two llama.cpp builds two years apart, and a faulty engine, which
// is the real one behind a proxy that changes its RoPE base when the model is loaded.
#include <gtest/gtest.h>

#include <filesystem>

#include "support/crossval_run.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval::testing {
namespace {

namespace fs = std::filesystem;

// Speaks docs/protocol.md on both sides; asks for payloads, since rows in the memory of the real
// worker are not in the proxy's.
const char* const proxy = R"py(#!/usr/bin/env python3
import json, os, struct, subprocess, sys
requests_r, requests_w = os.pipe()
replies_r, replies_w = os.pipe()
def child_fds():
    os.dup2(requests_r, 203); os.dup2(replies_w, 204)
    os.dup2(203, 3); os.dup2(204, 4)
child = subprocess.Popen(["WORKER"], preexec_fn=child_fds, close_fds=False)
os.close(requests_r); os.close(replies_w)
def read(fd, n):
    data = b""
    while len(data) < n:
        part = os.read(fd, n - len(data))
        if not part: sys.exit(0)
        data += part
    return data
def frame(fd):
    head = read(fd, 16)
    n_json, n_payload = struct.unpack("<IQ", head[4:])
    return head, read(fd, n_json), read(fd, n_payload)
def write(fd, data):
    while data: data = data[os.write(fd, data):]
while True:
    head, text, payload = frame(3)
    request = json.loads(text)
    request.pop("memory", None)
    if request["op"] == "load": request["settings"]["rope_freq_base"] = "100"
    text = json.dumps(request).encode()
    write(requests_w, head[:4] + struct.pack("<IQ", len(text), len(payload)) + text + payload)
    if request["op"] == "quit": sys.exit(0)
    write(4, b"".join(frame(replies_r)))
)py";

class Parity : public ::testing::Test {
 protected:
  void SetUp() override {
    SKIP_WITHOUT(llama_new);
    SKIP_WITHOUT(llama_old);
    old_worker_ = worker_of(llama_old);
    ASSERT_NE(old_worker_, "");
    model_ = dir_.file("tiny.gguf");
    write_tiny_model(model_);
  }
  static std::string worker_of(const std::string& engine_dir) {
    const CrossvalResult result =
        run_crossval(CROSSVAL_BIN, {"backends"}, {.env = {{"LLAMA_CPP_DIR", engine_dir}}});
    for (const auto& backend : result.json()["backends"]) {
      if (backend["name"] == "llama" && backend["worker"].is_string()) return backend["worker"];
    }
    return "";
  }
  CrossvalResult parity(const std::string& backends) {
    std::vector<std::string> args = {
        "per-token", "--model", model_,         "--prompt", "hello world, hello again, and again",
        "--backend", backends,  "--max-tokens", "8"};
    return run_crossval(CROSSVAL_BIN, args, {.env = {{"LLAMA_CPP_DIR", llama_new}}});
  }
  std::string faulty_worker() {
    std::string script = proxy;
    const std::string mark = "WORKER";
    script.replace(script.find(mark), mark.size(), worker_of(llama_new));
    const std::string path = dir_.file("faulty-worker");
    write_text(path, script);
    fs::permissions(path, fs::perms::owner_all);
    return path;
  }
  TempDir dir_;
  std::string model_, old_worker_;
};

TEST_F(Parity, AllAgreeInEveryPair) {
  const CrossvalResult result = parity("llama,worker:" + old_worker_);
  ASSERT_EQ(result.run.exit_code, 0) << result.run.err << result.run.out;
  const auto& json = result.json();
  EXPECT_EQ(json["schema"], "crossval/parity/1");
  EXPECT_EQ(json["status"], "agree");
  EXPECT_TRUE(json["vote"].is_null());
  ASSERT_EQ(json["participants"].size(), 3u);
  ASSERT_EQ(json["pairs"].size(), 3u);
  EXPECT_EQ(json["pairs"][0]["engine"]["name"], "native");
  EXPECT_EQ(json["pairs"][2]["engine"]["name"], "llama.cpp");
  for (const auto& pair : json["pairs"]) {
    EXPECT_EQ(pair["schema"], "crossval/per-token/1");
    // Every pair was fed the same ids, the decoded ones too.
    ASSERT_EQ(pair["positions"].size(), json["pairs"][0]["positions"].size());
    for (size_t i = 0; i < pair["positions"].size(); ++i) {
      EXPECT_EQ(pair["positions"][i]["token"], json["pairs"][0]["positions"][i]["token"]);
    }
  }
}

TEST_F(Parity, TheFaultyEngineIsNamed) {
  const std::string faulty = "worker:" + faulty_worker();
  const CrossvalResult result = parity("llama," + faulty + ",worker:" + old_worker_);
  ASSERT_EQ(result.run.exit_code, 1) << result.run.err << result.run.out;
  const auto& json = result.json();
  ASSERT_EQ(json["pairs"].size(), 6u);
  ASSERT_TRUE(json["vote"].is_object()) << json.dump().substr(0, 3000);
  // The proxy has the name and version of the engine behind it: as the user named it, then.
  EXPECT_EQ(json["vote"]["outlier"], faulty);
  EXPECT_EQ(json["vote"]["agreeing"].size(), 3u);
}

TEST_F(Parity, AnEngineThatIsNotThereFailsItsPairsOnly) {
  const CrossvalResult result = parity("llama,worker:/nonexistent");
  ASSERT_EQ(result.run.exit_code, 4) << result.run.out;
  ASSERT_EQ(result.json()["pairs"].size(), 3u);
  EXPECT_EQ(result.json()["pairs"][0]["status"], "agree");
  EXPECT_EQ(result.json()["pairs"][1]["status"], "backend_failed");
  EXPECT_TRUE(result.json()["vote"].is_null());
}

TEST_F(Parity, ListsThatCannotBeUsedAreBadInput) {
  for (const char* list : {"llama,llama", "llama,auto", "llama,", "native,llama"}) {
    const CrossvalResult result = parity(list);
    ASSERT_EQ(result.run.exit_code, 3) << list;
    EXPECT_EQ(result.json()["schema"], "crossval/parity/1");
    EXPECT_TRUE(result.json()["pairs"][0]["error"].is_object());
  }
}

TEST_F(Parity, BothIsTheSeedsName) {
  const CrossvalResult result =
      run_crossval(CROSSVAL_BIN, {"parity-both", "--model", model_, "--prompt", "hello"},
                   {.env = {{"LLAMA_CPP_DIR", llama_new}, {"BITNET_CPP_DIR", "/nonexistent"}}});
  ASSERT_EQ(result.run.exit_code, 4) << result.run.out;  // there is no bitnet.cpp
  EXPECT_EQ(result.json()["participants"],
            nlohmann::json::parse(R"(["native", "bitnet.cpp", "llama.cpp"])"));
  EXPECT_EQ(result.json()["pairs"][1]["status"], "agree");  // native and llama.cpp
}

}  // namespace
}  // namespace crossval::testing
