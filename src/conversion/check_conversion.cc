#include "conversion/check_conversion.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "arch/checkpoint_config.h"
#include "base/error.h"
#include "base/parallel.h"
#include "base/printable.h"
#include "base/stopwatch.h"
#include "conversion/fault_list.h"
#include "conversion/key_check.h"
#include "conversion/paired_tensor.h"
#include "conversion/vocabulary_check.h"
#include "conversion/weight_causes.h"

namespace crossval {
namespace {

std::string between_words(Between between) { return between == Between::f16 ? "f16" : "bf16"; }

// Where the wrong weights are, in words.
std::string place_of(const PairedTensor& pair, const TensorCheck& check) {
  const WrongWeights& wrong = check.wrong;
  const int64_t row_len = pair.tensor->shape[0];
  std::string text = fmt::format("{} of {} weights", wrong.n_wrong, pair.tensor->n_elements());
  if (wrong.n_blocks > 0 && wrong.n_blocks <= 4) {
    text += wrong.n_blocks == 1 ? ", all in block " : ", in blocks ";
    for (size_t i = 0; i < wrong.blocks.size(); ++i) {
      text += fmt::format("{}{}", i == 0 ? "" : ", ", wrong.blocks[i]);
    }
  }
  return text + fmt::format("; the first in row {}, column {}: {:.6g} instead of {:.6g}",
                            wrong.first / row_len, wrong.first % row_len, wrong.actual,
                            wrong.expected);
}

// A few that stand together: the rest of the tensor is right.
std::string local_cause(const PairedTensor& pair, const TensorCheck& check) {
  const WrongWeights& wrong = check.wrong;
  if (wrong.n_blocks == 1 && !wrong.blocks.empty()) {
    return fmt::format("block {} is wrong", wrong.blocks.front());
  }
  if (wrong.n_blocks > 1 && wrong.n_blocks <= 4) return "a few blocks are wrong";
  if (wrong.n_blocks == 0 && wrong.n_wrong == 1 && pair.tensor->n_elements() > 1) {
    return "one weight is wrong";
  }
  if (wrong.n_blocks == 0 && wrong.n_wrong <= 64 &&
      wrong.n_wrong * 20 < pair.tensor->n_elements()) {
    return "a few weights are wrong";
  }
  return "";
}

// Another tensor's values fall on right codes by chance: on many where there are few of them.
bool is_mostly_wrong(const ConversionFault& fault) {
  return fault.n_wrong && fault.n_elements && *fault.n_wrong * 8 > *fault.n_elements;
}

// Weights that are neither floats nor of a kind that checkpoint.h knows.
void refuse_other_quantisations(const Checkpoint& checkpoint) {
  const ConfigValue method = find_value(checkpoint.config(), "quantization_config.quant_method");
  if (!method || method.value == "fp8" || method.value == "mxfp4") return;
  bad_input("quantised_checkpoint",
            fmt::format("the checkpoint's weights are quantised by {}, which is not read",
                        printable(method.value.dump())),
            checkpoint.path(), "name the checkpoint that it was made from");
}

// As much as keys depend on, of a file whose own keys contradict each other.
Config config_by_checkpoint(const CheckpointFacts& facts) {
  Config config;
  constexpr double kMost = 1e6;
  const auto count = [&](const char* paths) {
    return static_cast<int>(std::clamp(find_number(facts.config, paths).value_or(0), 0.0, kMost));
  };
  config.n_layers = count("num_hidden_layers|n_layers|n_layer|num_layers");
  config.layers.resize(static_cast<size_t>(config.n_layers));
  config.n_vocab = count("vocab_size");
  config.experts.n_experts =
      count("num_local_experts|num_experts|n_routed_experts|moe_num_experts");
  config.recurrent.n_conv =
      count("conv_kernel|mamba_d_conv|linear_conv_kernel_dim|d_conv|conv_L_cache");
  return config;
}

class Conversion {
 public:
  Conversion(const ConversionPlan& plan, ConversionReport& report)
      : plan_(plan), report_(report), pool_(plan.n_threads) {}

  void run() {
    tell("reading both");
    const auto model = ModelFile::open(plan_.model);
    const auto checkpoint = Checkpoint::open(plan_.checkpoint);
    say_what(*model, *checkpoint);
    const Arch* arch = find_arch(model->architecture());
    const CheckpointRow* row = find_checkpoint_row(model->architecture());
    if (arch == nullptr || row == nullptr) {
      bad_input(
          "no_names",
          fmt::format("there are no names for the architecture '{}' yet", model->architecture()),
          plan_.model, "compare engines with per-token instead");
    }
    refuse_other_quantisations(*checkpoint);
    CheckpointFacts facts;
    facts.config = checkpoint->config();
    for (const auto& [name, tensor] : checkpoint->tensors()) facts.shapes[name] = tensor.shape;
    Config config;
    std::optional<Error> refused;
    try {
      config = read_config(*model, *arch);
    } catch (const Error& error) {
      refused = error;
      config = config_by_checkpoint(facts);
    }
    const ConversionModel of = {*model, *arch, *row, config, facts, *checkpoint};
    check_keys(of, report_);
    tell("comparing the vocabulary");
    check_vocabulary(*model, *checkpoint, row->padding_id, report_);
    if (!refused) {
      check_tensors(of);
    } else if (report_.faults.empty()) {
      throw *refused;
    } else {
      report_.not_compared.push_back("the weights, since keys make no sense: " + refused->what_);
    }
    report_.status = !report_.faults.empty()         ? Status::diverged
                     : report_.tensors.compared == 0 ? Status::bad_input
                     : !report_.not_compared.empty() ? Status::inconclusive
                                                     : Status::agree;
  }

 private:
  void tell(const std::string& what) const {
    if (plan_.tell) plan_.tell(what);
  }
  void say_what(const ModelFile& model, const Checkpoint& checkpoint);
  void check_tensors(const ConversionModel& of);
  void check_pair(size_t i, const TensorPairs& pairs, const ConversionModel& of, FaultList& faults);
  void add_missing(const TensorPairs& pairs, FaultList& faults);
  void name_whole_layers(const TensorPairs& pairs, size_t first);

  const ConversionPlan& plan_;
  ConversionReport& report_;
  ThreadPool pool_;
  int n_unexplained_ = 0;
};

void Conversion::say_what(const ModelFile& model, const Checkpoint& checkpoint) {
  report_.model = {.path = model.path(),
                   .sha256 = "",
                   .architecture = model.architecture(),
                   .quantization = model.quantization(),
                   .n_vocab = {},
                   .n_layers = {},
                   .n_params = model.n_params()};
  const auto type = checkpoint.config().find("model_type");
  report_.checkpoint = {.path = checkpoint.path(),
                        .model_type = type != checkpoint.config().end() && type->is_string()
                                          ? type->get<std::string>()
                                          : "",
                        .files = checkpoint.files(),
                        .n_tensors = static_cast<int64_t>(checkpoint.tensors().size()),
                        .n_bytes = checkpoint.n_bytes()};
}

void Conversion::check_pair(size_t i, const TensorPairs& pairs, const ConversionModel& of,
                            FaultList& faults) {
  const PairedTensor& pair = pairs.pairs[i];
  const TensorCheck check = check_tensor(*pair.tensor, pair.source, of.checkpoint, pool_);
  if (!check.is_compared) {
    report_.not_compared.push_back(fmt::format("{}: type {} against {}", pair.tensor->name,
                                               type_name(pair.tensor->type), pair.source_name()));
    return;
  }
  faults.compared();
  report_.n_weights += pair.tensor->n_elements();
  report_.bytes_read += static_cast<int64_t>(pair.tensor->data.size()) +
                        ElementSource(pair.source, of.checkpoint).n_bytes();
  if (check.between != Between::nothing) {
    report_.notes.push_back(fmt::format("{} was rounded to {} on its way", pair.tensor->name,
                                        between_words(check.between)));
  }
  if (check.wrong.n_wrong == 0) return;
  std::string local = local_cause(pair, check);
  WeightCause cause = {std::move(local), pair.source_name()};
  // Of a file whose weights are all another's, the first ones are enough.
  constexpr int kMostSearched = 32;
  if (cause.cause.empty() && n_unexplained_ < kMostSearched) {
    cause = find_weight_cause(pair, pairs.pairs, of, pool_);
    if (cause.cause.empty()) ++n_unexplained_;
  }
  const int64_t row_len = pair.tensor->shape[0];
  faults.add({.kind = "tensor",
              .where = pair.tensor->name,
              .source = cause.source.empty() ? pair.source_name() : cause.source,
              .cause = cause.cause,
              .expected = fmt::format("{:.6g}", check.wrong.expected),
              .actual = fmt::format("{:.6g}", check.wrong.actual),
              .explanation = place_of(pair, check),
              .n_wrong = check.wrong.n_wrong,
              .n_elements = pair.tensor->n_elements(),
              .row = check.wrong.first / row_len,
              .column = check.wrong.first % row_len});
}

void Conversion::add_missing(const TensorPairs& pairs, FaultList& faults) {
  for (const std::string& name : pairs.missing) {
    faults.add({.kind = "missing",
                .where = name,
                .source = name,
                .cause = name.ends_with("bias") ? "the bias, or part of it, was dropped"
                                                : "the tensor, or part of it, was dropped",
                .expected = "a tensor",
                .actual = "none",
                .explanation = "not all of it is in a tensor of the GGUF"});
  }
  for (const TensorPairs::Unpaired& tensor : pairs.surplus) {
    if (tensor.expected.empty()) {
      report_.not_compared.push_back(
          fmt::format("{}: what it is for is not known", tensor.tensor->name));
      continue;
    }
    faults.add({.kind = "surplus",
                .where = tensor.tensor->name,
                .source = tensor.expected,
                .cause = "the checkpoint has no such tensor, or of another size",
                .expected = "none",
                .actual = "a tensor",
                .explanation = fmt::format("'{}' was looked for", tensor.expected)});
  }
}

// Where all matrices of a layer differ and nothing explains them, it is of another model.
void Conversion::name_whole_layers(const TensorPairs& pairs, size_t first) {
  std::map<int, int> n_matrices, n_unexplained;
  std::map<std::string, int, std::less<>> layer_of;
  for (const PairedTensor& pair : pairs.pairs) {
    if (pair.tensor->shape.size() < 2 || pair.spec.layer < 0) continue;
    ++n_matrices[pair.spec.layer];
    layer_of[pair.tensor->name] = pair.spec.layer;
  }
  for (size_t i = first; i < report_.faults.size(); ++i) {
    const auto found = layer_of.find(report_.faults[i].where);
    const ConversionFault& fault = report_.faults[i];
    if (fault.cause.empty() && found != layer_of.end() && is_mostly_wrong(fault)) {
      ++n_unexplained[found->second];
    }
  }
  for (size_t i = first; i < report_.faults.size(); ++i) {
    ConversionFault& fault = report_.faults[i];
    if (fault.kind != "tensor" || !fault.cause.empty()) continue;
    const auto found = layer_of.find(fault.where);
    const bool is_whole =
        found != layer_of.end() && n_unexplained[found->second] == n_matrices[found->second];
    if (is_whole) {
      fault.cause = fmt::format("layer {} is of another checkpoint", found->second);
    } else if (is_mostly_wrong(fault)) {
      fault.cause = "nothing in the checkpoint has these values";
    }
  }
}

void Conversion::check_tensors(const ConversionModel& of) {
  const Stopwatch watch;
  const TensorPairs pairs = pair_with_checkpoint(of);
  const size_t first = report_.faults.size();
  {
    FaultList faults(report_.faults, report_.tensors);
    for (size_t i = 0; i < pairs.pairs.size(); ++i) {
      tell(fmt::format("comparing weights: {} of {}", i + 1, pairs.pairs.size()));
      check_pair(i, pairs, of, faults);
    }
    add_missing(pairs, faults);
  }
  name_whole_layers(pairs, first);
  for (const std::string& name : pairs.left_out) report_.notes.push_back("left out: " + name);
  report_.weights_ms = watch.elapsed_ms();
}

}  // namespace

ConversionReport check_conversion(const ConversionPlan& plan) {
  const Stopwatch watch;
  ConversionReport report;
  report.model.path = plan.model;
  report.checkpoint.path = plan.checkpoint;
  try {
    Conversion(plan, report).run();
    if (report.status == Status::bad_input) {
      bad_input("nothing_compared", "no tensor of the GGUF could be compared", plan.model,
                "name the checkpoint that it was made from");
    }
  } catch (const Error& error) {
    report.status = error.status;
    report.error = error_report(error);
  }
  report.total_ms = watch.elapsed_ms();
  return report;
}

}  // namespace crossval
