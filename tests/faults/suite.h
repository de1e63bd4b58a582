// The pairs of the suite (a base model, a fault), how each is written and run, and what came of it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "faults/base_models.h"
#include "faults/fault.h"

namespace crossval::testing {

struct Settings {
  std::string crossval;           // the program under test
  std::string engines;            // folder of the engines' folders
  std::string faulty_worker;      // tests/support/tools/faulty_worker.cc
  std::string command = "trace";  // or "per-token": exit codes alone
  bool effects_only = false;      // whether the backend's logits change at all
  uint64_t seed = 1;
  int timeout_ms = 300'000;
};

// "llama-q4_1/rms_eps_x1.1"
std::string pair_id(const BaseModel& model, const Fault& fault);

struct Planted {
  Expectation expected;
  std::string good, bad;  // files
};

// Writes both models into `dir`; nullopt when the fault does not apply to the model. `base` is the
// sound model's file. The same seed gives the same bytes.
std::optional<Planted> plant(const BaseModel& model, const Fault& fault, uint64_t seed,
                             const std::string& base, const std::string& dir);

struct Outcome {
  std::string id, group, fault;
  bool refused = false;    // the backend did not take the faulty model: not counted
  bool no_effect = false;  // not one logit of the backend changed: not counted
  bool detected = false;   // the expected exit code
  bool right_tensor = false, right_cause = false;
  bool judges_tensor = false, judges_cause = false;
  std::string said, wanted;  // for the report of misses
  double wall_ms = 0;
};

class Runner {
 public:
  explicit Runner(Settings settings);

  Outcome run(const BaseModel& model, const Fault& fault, const Planted& planted);
  // The command a founder types to see it again, given the folder the pair was written to.
  std::vector<std::string> command(const Planted& planted) const;
  std::map<std::string, std::string> environment(const Planted& planted) const;

 private:
  void judge(const Planted& planted, Outcome& outcome) const;
  void judge_effect(const BaseModel& model, const Fault& fault, const Planted& planted,
                    Outcome& outcome);
  // The bytes of the backend's logits; "" when it refuses the model.
  std::string logits(const std::string& model, const Planted& planted) const;

  Settings settings_;
  std::map<std::string, std::string> sound_logits_;  // by base model
  std::string real_worker_;                          // of llama.cpp, for faulty_worker
};

}  // namespace crossval::testing
