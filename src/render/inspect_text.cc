#include "render/inspect_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "render/visible.h"

namespace crossval {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxShownTensors = 16;

std::string i2_s_text(const Json& report) {
  if (report.is_null()) return "";
  std::string out =
      fmt::format("\nI2_S, layout {} ({})\n", report["layout"]["name"].get<std::string>(),
                  report["layout"]["how"].get<std::string>());
  double total = 0;
  for (const auto& [code, count] : report["codes"].items()) total += count.get<double>();
  for (const auto& [code, count] : report["codes"].items()) {
    out += fmt::format("  {:<8} {:>14} weights {:>6.2f} %\n", code == "3" ? "code 3" : code,
                       count.get<int64_t>(), 100 * count.get<double>() / std::max(total, 1.0));
  }
  const Json& damaged = report["damaged"];
  for (size_t i = 0; i < std::min(damaged.size(), kMaxShownTensors); ++i) {
    out += fmt::format("  DAMAGED {}: {}\n", visible(damaged[i]["tensor"].get<std::string>()),
                       damaged[i]["what"].get<std::string>());
  }
  if (damaged.size() > kMaxShownTensors) {
    out += fmt::format("  ... and {} more\n", damaged.size() - kMaxShownTensors);
  }
  const Json& risk = report["int16_overflow"];
  if (risk["n_tensors"].get<int64_t>() > 0) {
    out += fmt::format("  int16 overflow possible in {} rows of {} tensors\n",
                       risk["n_rows"].get<int64_t>(), risk["n_tensors"].get<int64_t>());
  }
  for (const Json& note : report["notes"]) out += "  note: " + note.get<std::string>() + "\n";
  return out;
}

// Text is drawn from the same object, so that the two formats cannot tell different things.
std::string cell(const Json& value) {
  if (value.is_null()) return "unknown";
  if (value.is_string()) {
    const std::string text = visible(value.get<std::string>());
    return columns(text) <= 70 ? text : fmt::format("{} bytes of text", text.size());
  }
  if (value.is_number_float()) {  // f32 in nearly all files: its own digits, not the double's
    const auto exact = value.get<double>();
    const auto single = static_cast<float>(exact);
    return single == exact ? fmt::format("{}", single) : fmt::format("{}", exact);
  }
  if (value.is_object() && value.contains("array_of")) {
    return fmt::format("{} x {}", value["count"].get<uint64_t>(),
                       value["array_of"].get<std::string>());
  }
  return visible(value.dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::string megabytes(const Json& n_bytes) {
  return fmt::format("{:.1f} MB", n_bytes.get<double>() / 1e6);
}

std::string token_cell(const Json& token) {
  if (token.is_null()) return "none";
  return fmt::format("{} {}", token["id"].get<int64_t>(),
                     token["text"].is_null() ? "(not in the vocabulary)" : cell(token["text"]));
}

std::string text_of(const Json& report) {
  std::string out;
  const auto line = [&out](const std::string& label, const std::string& text) {
    out += fmt::format("{:<15} {}\n", label, text);
  };
  const auto section = [&](const char* title, const Json& values) {
    if (values.empty()) return;
    out += fmt::format("\n{}\n", title);
    for (const auto& [key, value] : values.items()) {
      out += fmt::format("  {:<42} {}\n", visible(key), cell(value));
    }
  };
  line("model", visible(report["path"].get<std::string>()));
  for (const Json& part : report["parts"]) {
    line("sha256", part["sha256"].get<std::string>() +
                       (report["parts"].size() > 1 ? "  " + cell(part["path"]) : ""));
  }
  line("format", fmt::format("GGUF v{}, {}", report["gguf_version"].get<int>(),
                             megabytes(report["n_bytes"])));
  line("architecture", cell(report["architecture"]));
  line("name", cell(report["name"]));
  line("parameters",
       fmt::format("{} ({})", report["n_params"].get<int64_t>(), cell(report["quantization"])));
  const Json& native = report["native"];
  line("native engine", native["supported"].get<bool>()
                            ? "supported"
                            : "not supported: " + visible(native["reason"].get<std::string>()));
  for (const Json& layer : report["layers"]) line("layers", visible(layer.get<std::string>()));
  if (report["non_finite_weight"].is_string()) {
    line("weights", "NaN or Inf at " + visible(report["non_finite_weight"].get<std::string>()));
  }
  const Json& vocabulary = report["vocabulary"];
  line("vocabulary", fmt::format("{}, pre-tokenizer {}, {} tokens", cell(vocabulary["model"]),
                                 cell(vocabulary["pre"]), cell(vocabulary["size"])));
  line("  bos, eos", fmt::format("{}, {}; add_bos {}", token_cell(vocabulary["bos"]),
                                 token_cell(vocabulary["eos"]), cell(vocabulary["add_bos"])));
  line("  template", vocabulary["has_chat_template"].get<bool>() ? "in the file" : "none");
  section("Hyperparameters", report["hyperparameters"]);
  section("Other metadata", report["metadata"]);
  out += "\nWeights\n";
  for (const Json& sum : report["types"]) {
    out += fmt::format("  {:<8} {:>5} tensors {:>14} weights {:>12}\n",
                       sum["type"].get<std::string>(), sum["n_tensors"].get<int64_t>(),
                       sum["n_params"].get<int64_t>(), megabytes(sum["n_bytes"]));
  }
  out += i2_s_text(report["i2_s"]);
  out += fmt::format("\n{:<36} {:<8} {:<22} {:>14} {:>12}\n", "Tensor", "Type", "Shape", "Offset",
                     "Bytes");
  for (const Json& tensor : report["tensors"]) {
    const auto shape = tensor["shape"].get<std::vector<int64_t>>();
    out += fmt::format("{} {:<8} {:<22} {:>14} {:>12}\n",
                       visible_cell(tensor["name"].get<std::string>(), 36),
                       tensor["type"].get<std::string>(), fmt::format("{}", fmt::join(shape, ", ")),
                       tensor["offset"].get<uint64_t>(), tensor["n_bytes"].get<uint64_t>());
  }
  return out;
}

}  // namespace

std::string inspect_text(const InspectReport& report) {
  return report.error ? "" : text_of(report.facts);
}

}  // namespace crossval
