// The test worker with a broken kernel (support/tools/faulty_worker.cc) does what the fault suite
// relies on: the named tensor is the first that differs, and what follows is computed from it. And
// a trace that could not recompute a product says so.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <map>
#include <string>

#include "backends/engine_ref.h"
#include "support/crossval_run.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval::testing {
namespace {

struct Captured {
  std::vector<Tap> taps;
  std::vector<float> logits;
};

Captured capture(const std::string& backend, const std::string& model) {
  const auto engine = open_engine(
      find_engine(backend, "--backend"),
      {.model = model, .n_threads = 1, .settings = {}, .timeout_ms = 120'000, .on_message = {}});
  const std::vector<TokenId> ids = {5, 80, 120, 7, 200, 33, 12, 259};
  Captured out;
  engine->reset(static_cast<int>(ids.size()));
  engine->eval_with_taps(ids, {}, [&](Tap&& tap) { out.taps.push_back(std::move(tap)); });
  out.logits.resize(ids.size() * static_cast<size_t>(engine->info().n_vocab));
  engine->read_logits(0, static_cast<int>(ids.size()), out.logits);
  return out;
}

// "" where llama.cpp is not set up.
std::string real_worker() {
  const CrossvalResult backends =
      run_crossval(CROSSVAL_BIN, {"backends"}, {.env = {{"LLAMA_CPP_DIR", llama_new}}});
  for (const auto& backend : backends.json()["backends"]) {
    if (backend["name"] == "llama" && backend["worker"].is_string()) return backend["worker"];
  }
  return "";
}

TEST(KernelFault, BeginsAtTheNamedTensorAndReachesTheLogits) {
  SKIP_WITHOUT(llama_new);
  const std::string worker = real_worker();
  if (worker.empty()) GTEST_SKIP() << "llama.cpp is not set up; `make engines` does that";
  const TempDir dir;
  const std::string model = dir.file("m.gguf");
  write_tiny_model(model);
  const Captured sound = capture("worker:" + worker, model);
  setenv("CROSSVAL_REAL_WORKER", worker.c_str(), 1);
  for (const std::string fault :
       {"Qcur-1 ROPE lane", "kq_soft_max-0 SOFT_MAX last_row", "ffn_up-1 MUL_MAT garbage",
        "norm-0 RMS_NORM last_row", "ffn_swiglu-1 SWIGLU lane", "l_out-0 ADD nan"}) {
    setenv("CROSSVAL_KERNEL_FAULT", fault.c_str(), 1);
    const Captured faulty = capture("worker:" FAULTY_WORKER_BIN, model);
    ASSERT_EQ(faulty.taps.size(), sound.taps.size()) << fault;
    size_t first = 0;
    while (first < sound.taps.size() && faulty.taps[first].out.data == sound.taps[first].out.data) {
      ++first;
    }
    ASSERT_LT(first, sound.taps.size()) << fault << " damages nothing";
    EXPECT_TRUE(fault.starts_with(sound.taps[first].name + " " + sound.taps[first].op + " "))
        << fault << " damages " << sound.taps[first].name << " " << sound.taps[first].op;
    EXPECT_NE(faulty.logits, sound.logits) << fault;
  }
  unsetenv("CROSSVAL_KERNEL_FAULT");
  unsetenv("CROSSVAL_REAL_WORKER");
}

TEST(KernelFault, ATraceThatCouldNotRecomputeAProductIsInconclusive) {
  SKIP_WITHOUT(llama_new);
  const std::string worker = real_worker();
  if (worker.empty()) GTEST_SKIP() << "llama.cpp is not set up; `make engines` does that";
  const TempDir dir;
  const std::string model = dir.file("m.gguf");
  write_tiny_model(model);
  const auto trace = [&](std::vector<std::string> more) {
    std::vector<std::string> args = {
        "trace",   "--tokens", "5,9,77,31", "--backend", "worker:" FAULTY_WORKER_BIN,
        "--model", model};
    args.insert(args.end(), more.begin(), more.end());
    return run_crossval(CROSSVAL_BIN, args,
                        {.env = {{"CROSSVAL_REAL_WORKER", worker},
                                 {"CROSSVAL_KERNEL_FAULT", "ffn_up-0 MUL_MAT unknown"}}});
  };
  const CrossvalResult result = trace({});
  EXPECT_EQ(result.run.exit_code, 5) << result.run.err;
  const auto& json = result.json();
  EXPECT_EQ(json["status"], "inconclusive");
  EXPECT_EQ(json["coverage"]["not_recomputed"][0], "MUL_MAT_unknown with F32");
  EXPECT_LT(json["coverage"]["recomputed"], json["coverage"]["of"]);
  EXPECT_EQ(trace({"--accept", "unchecked"}).run.exit_code, 0);
}

}  // namespace
}  // namespace crossval::testing
