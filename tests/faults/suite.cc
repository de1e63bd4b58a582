#include "faults/suite.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "support/subprocess.h"
#include "support/temp_dir.h"

namespace crossval::testing {
namespace {

using Json = nlohmann::json;

// Digits that pre-tokenizers cut differently, words that merge, and enough positions for RoPE.
const char* const prompt =
    "hello world, in 1200 and 12 the ring of  the sea is here or not; and the other one";

uint64_t hash(const std::string& text) {  // FNV-1a
  uint64_t h = 0xcbf29ce484222325ULL;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return h;
}

bool names_tensor(const Expectation& expected, const Json& found) {
  const auto text = [&](const char* key) {
    return found.contains(key) && found[key].is_string() ? found[key].get<std::string>() : "";
  };
  if (!expected.weight.empty() && text("weight") == expected.weight) return true;
  return std::ranges::any_of(expected.tensors, [&](const std::string& wanted) {
    return wanted == text("tensor") || wanted == text("tensor") + " " + text("op");
  });
}

std::string list(const std::vector<std::string>& items) {
  std::string out;
  for (const std::string& item : items) out += (out.empty() ? "" : "|") + item;
  return out;
}

// Without the backend every pair would only be "refused".
void require_backend(const std::string& said) {
  if (said.find("backend_not_set_up") == said.npos) return;
  throw std::runtime_error("the backend is not ready: `make engines` sets it up\n" + said);
}

// The logits of a saved trace: a safetensors file (8 bytes of header length, JSON, data).
std::string saved_logits(const std::string& path) {
  const std::string file = read_text(path);
  uint64_t n_header = 0;
  if (file.size() < sizeof(n_header)) throw std::runtime_error("no trace in " + path);
  std::memcpy(&n_header, file.data(), sizeof(n_header));
  const Json header = Json::parse(file.substr(sizeof(n_header), n_header));
  const auto at = header["logits"]["data_offsets"].get<std::vector<uint64_t>>();
  return file.substr(sizeof(n_header) + n_header + at[0], at[1] - at[0]);
}

}  // namespace

std::string pair_id(const BaseModel& model, const Fault& fault) {
  return std::string(model.name) + "/" + fault.name;
}

std::optional<Planted> plant(const BaseModel& model, const Fault& fault, uint64_t seed,
                             const std::string& base, const std::string& dir) {
  ModelEdit good(base), bad(base);
  const ModelInfo info(bad);
  if (!fault.applies(info, bad)) return std::nullopt;
  Random random(hash(pair_id(model, fault)) ^ seed);
  Planted planted;
  planted.expected = fault.plant({info, random, good, bad});
  planted.good = fault.changes_good ? dir + "/good.gguf" : base;
  planted.bad = dir + "/bad.gguf";
  if (fault.changes_good) good.write(planted.good);
  bad.write(planted.bad);
  return planted;
}

Runner::Runner(Settings settings) : settings_(std::move(settings)) {
  const RunResult run = run_program({settings_.crossval, "backends", "--format", "json"},
                                    {.env = environment(Planted{})});
  const Json json = Json::parse(run.out, nullptr, false);
  if (json.is_discarded()) return;
  for (const Json& backend : json["backends"]) {
    if (backend["name"] == "llama" && backend["worker"].is_string()) {
      real_worker_ = backend["worker"];
    }
  }
}

std::map<std::string, std::string> Runner::environment(const Planted& planted) const {
  const std::string& engine = planted.expected.engine;
  std::map<std::string, std::string> env = {
      {"LLAMA_CPP_DIR", settings_.engines + "/" + (engine.empty() ? "llama-v0.5.0" : engine)}};
  if (!planted.expected.kernel_fault.empty()) {
    env["CROSSVAL_REAL_WORKER"] = real_worker_;
    env["CROSSVAL_KERNEL_FAULT"] = planted.expected.kernel_fault;
  }
  return env;
}

std::vector<std::string> Runner::command(const Planted& planted) const {
  std::vector<std::string> args = {
      settings_.crossval, settings_.command, "--model", planted.good,        "--backend-model",
      planted.bad,        "--prompt",        prompt,    "--prompt-template", "raw"};
  const bool is_kernel_fault = !planted.expected.kernel_fault.empty();
  args.insert(args.end(), {"--backend", is_kernel_fault ? "worker:" + settings_.faulty_worker
                                                        : std::string("llama")});
  const auto& flags = planted.expected.flags;
  if (std::ranges::find(flags, "--threads") == flags.end()) {
    args.insert(args.end(), {"--threads", "1"});
  }
  args.insert(args.end(), flags.begin(), flags.end());
  args.insert(args.end(), {"--format", "json"});
  return args;
}

std::string Runner::logits(const std::string& model, const Planted& planted) const {
  const TempDir dir;
  const std::string trace = dir.file("trace.safetensors");
  const RunResult run =
      run_program({settings_.crossval, "run", "--model", model, "--engine", "llama", "--prompt",
                   prompt, "--prompt-template", "raw", "--max-tokens", "0", "--threads", "1",
                   "--save-trace", trace, "--format", "json"},
                  {.env = environment(planted), .timeout_ms = settings_.timeout_ms});
  require_backend(run.out);
  return run.exit_code == 0 ? saved_logits(trace) : "";
}

void Runner::judge_effect(const BaseModel& model, const Fault& fault, const Planted& planted,
                          Outcome& outcome) {
  const std::string faulty = logits(planted.bad, planted);
  outcome.refused = faulty.empty();
  // Where native's file is the changed one, the backend's logits are not what differs.
  if (outcome.refused || fault.changes_good) return;
  const std::string key = std::string(model.name) + "@" + planted.expected.engine;
  if (!sound_logits_.contains(key)) sound_logits_[key] = logits(planted.good, planted);
  const std::string& sound = sound_logits_[key];
  if (sound.empty()) throw std::runtime_error(key + ": the backend refuses the sound model");
  outcome.no_effect = sound == faulty;
}

void Runner::judge(const Planted& planted, Outcome& outcome) const {
  const Expectation& expected = planted.expected;
  const RunResult run = run_program(
      command(planted), {.env = environment(planted), .timeout_ms = settings_.timeout_ms});
  outcome.wall_ms = run.wall_ms;
  outcome.detected = run.exit_code == expected.exit_code;
  outcome.said = "exit " + std::to_string(run.exit_code);
  if (run.signal != 0) outcome.said += " signal " + std::to_string(run.signal);
  require_backend(run.out);
  const Json json = Json::parse(run.out, nullptr, false);
  if (json.is_discarded()) {
    outcome.said += " and no JSON: " + run.err.substr(0, 200);
    outcome.detected = false;
    return;
  }
  outcome.refused = run.exit_code == 4 && expected.exit_code != 4;
  if (json.contains("error") && json["error"].is_object()) {
    outcome.said += ": " + json["error"].value("what", "");
  }
  if (!json.contains("first_divergence") || !json["first_divergence"].is_object()) return;
  const Json& found = json["first_divergence"];
  const std::string cause = found.contains("cause") && found["cause"].is_string()
                                ? found["cause"].get<std::string>()
                                : "";
  outcome.right_tensor = names_tensor(expected, found);
  outcome.right_cause = std::ranges::find(expected.causes, cause) != expected.causes.end();
  for (const char* field : {"tensor", "op", "weight"}) {
    if (found.contains(field)) outcome.said += " " + found[field].dump();
  }
  outcome.said += " cause " + (cause.empty() ? "none" : cause);
  if (found.contains("ratio")) outcome.said += " ratio " + found["ratio"].dump();
}

Outcome Runner::run(const BaseModel& model, const Fault& fault, const Planted& planted) {
  Outcome outcome;
  outcome.id = pair_id(model, fault);
  outcome.fault = fault.name;
  outcome.group = group_name(fault.group);
  const Expectation& expected = planted.expected;
  outcome.judges_tensor = !expected.tensors.empty() && settings_.command == "trace";
  outcome.judges_cause = !expected.causes.empty() && settings_.command == "trace";
  outcome.wanted = "exit " + std::to_string(expected.exit_code) + " " + list(expected.tensors) +
                   " " + expected.weight + " cause " + list(expected.causes);
  if (settings_.effects_only) {
    judge_effect(model, fault, planted, outcome);
    const bool changes = !outcome.no_effect;
    outcome.said = outcome.refused ? "refused" : changes ? "logits change" : "no effect";
    outcome.detected = !outcome.refused && changes == (fault.group != Group::clean);
    outcome.refused = outcome.no_effect = outcome.judges_tensor = outcome.judges_cause = false;
    return outcome;
  }
  judge(planted, outcome);
  const bool missed = !outcome.detected || (outcome.judges_tensor && !outcome.right_tensor);
  const bool may_excuse = fault.group == Group::hyperparameter || fault.group == Group::layout ||
                          fault.group == Group::weights;
  if (missed && may_excuse && !outcome.refused) judge_effect(model, fault, planted, outcome);
  return outcome;
}

}  // namespace crossval::testing
