#include "cli/commands.h"
#include "cli/flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/sha256.h"
#include "cli/inspect_i2_s.h"
#include "gguf/model_file.h"
#include "gguf/reader.h"
#include "native/support.h"
#include "render/text.h"
#include "render/visible.h"

namespace crossval {
namespace {

struct InspectOptions {
  std::string model;
  std::string format = "text";
  std::string i2_s_layout = "auto";
};

using Json = nlohmann::ordered_json;

constexpr size_t kMaxShownElements = 64;  // longer arrays appear as their element type and count

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json array_summary(const MetaValue& value, size_t count) {
  return {{"array_of", gguf_type_name(value.element_type)}, {"count", count}};
}

Json value_json(const MetaValue& meta) {
  const auto convert = [&meta](const auto& value) -> Json {
    using T = std::decay_t<decltype(value)>;
    if constexpr (std::is_same_v<T, uint64_t>) {
      const bool nested = meta.gguf_type == static_cast<uint32_t>(GgufType::array);
      return nested ? array_summary(meta, value) : Json(value);
    } else if constexpr (std::is_same_v<T, double>) {
      return number(value);
    } else if constexpr (std::is_same_v<T, int64_t> || std::is_same_v<T, bool> ||
                         std::is_same_v<T, std::string_view>) {
      return value;
    } else {
      if (value.size() > kMaxShownElements) return array_summary(meta, value.size());
      Json list = Json::array();
      for (const auto& item : value) {
        if constexpr (std::is_same_v<T, std::vector<double>>) {
          list.push_back(number(item));
        } else if constexpr (std::is_same_v<T, std::vector<bool>>) {
          list.push_back(static_cast<bool>(item));
        } else {
          list.push_back(item);
        }
      }
      return list;
    }
  };
  return std::visit(convert, meta.value);
}

template <typename T>
Json maybe(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

// A special token's id and, where the vocabulary has it, its text.
Json special_token(const ModelFile& model, const std::string& key) {
  const auto id = model.get_int(key);
  if (!id) return nullptr;
  Json out = {{"id", *id}, {"text", nullptr}};
  const MetaValue* tokens = model.find("tokenizer.ggml.tokens");
  const auto* texts = tokens ? std::get_if<MetaValue::StringArray>(&tokens->value) : nullptr;
  if (texts != nullptr && *id >= 0 && *id < static_cast<int64_t>(texts->size())) {
    out["text"] = (*texts)[static_cast<size_t>(*id)];
  }
  return out;
}

Json vocabulary_json(const ModelFile& model) {
  const MetaValue* tokens = model.find("tokenizer.ggml.tokens");
  const auto* texts = tokens ? std::get_if<MetaValue::StringArray>(&tokens->value) : nullptr;
  const auto chat_template = model.get_string("tokenizer.chat_template");
  return {{"model", maybe(model.get_string("tokenizer.ggml.model"))},
          {"pre", maybe(model.get_string("tokenizer.ggml.pre"))},
          {"size", texts ? Json(texts->size()) : Json(nullptr)},
          {"bos", special_token(model, "tokenizer.ggml.bos_token_id")},
          {"eos", special_token(model, "tokenizer.ggml.eos_token_id")},
          {"add_bos", maybe(model.get_bool("tokenizer.ggml.add_bos_token"))},
          {"has_chat_template", chat_template.has_value()}};
}

Json types_json(const ModelFile& model) {
  struct Sum {
    int64_t n_tensors = 0, n_params = 0, n_bytes = 0;
  };
  std::map<GgmlType, Sum> sums;
  for (const TensorView& tensor : model.tensors()) {
    Sum& sum = sums[tensor.type];
    ++sum.n_tensors;
    sum.n_params += tensor.n_elements();
    sum.n_bytes += static_cast<int64_t>(tensor.data.size());
  }
  Json out = Json::array();
  for (const auto& [type, sum] : sums) {
    out.push_back({{"type", type_name(type)},
                   {"n_tensors", sum.n_tensors},
                   {"n_params", sum.n_params},
                   {"n_bytes", sum.n_bytes}});
  }
  return out;
}

// One checksum a thread: they take as long as reading the parts does.
Json parts_json(const ModelFile& model) {
  const size_t n = model.parts().size();
  std::vector<std::string> sums(n);
  std::vector<std::exception_ptr> failures(n);
  const size_t n_threads = std::min<size_t>(n, std::max(1u, std::thread::hardware_concurrency()));
  {
    std::vector<std::jthread> threads;
    for (size_t first = 0; first < n_threads; ++first) {
      threads.emplace_back([&, first] {
        for (size_t i = first; i < n; i += n_threads) {
          try {
            sums[i] = sha256_file(model.parts()[i]);
          } catch (...) {
            failures[i] = std::current_exception();
          }
        }
      });
    }
  }
  Json out = Json::array();
  for (size_t i = 0; i < n; ++i) {
    if (failures[i]) std::rethrow_exception(failures[i]);
    out.push_back({{"path", model.parts()[i]}, {"sha256", sums[i]}});
  }
  return out;
}

Json tensors_json(const ModelFile& model) {
  Json out = Json::array();
  for (const TensorView& tensor : model.tensors()) {
    out.push_back({{"name", tensor.name},
                   {"type", type_name(tensor.type)},
                   {"shape", tensor.shape},
                   {"part", tensor.part},
                   {"offset", tensor.file_offset},
                   {"n_bytes", tensor.data.size()}});
  }
  return out;
}

Json native_json(const ModelFile& model) {
  std::optional<std::string> reason;
  try {
    reason = native_unsupported_reason(model);
  } catch (const Error& error) {
    reason = fmt::format("{} ({})", error.what_, error.where);
  }
  return {{"supported", !reason.has_value()}, {"reason", maybe(reason)}};
}

Json inspect(const ModelFile& model) {
  const auto architecture = model.get_string("general.architecture");
  const std::string prefix = architecture.value_or("") + ".";
  Json hyperparameters = Json::object(), others = Json::object();
  for (const auto& [key, value] : model.metadata()) {
    if (architecture && key.starts_with(prefix)) {
      hyperparameters[key.substr(prefix.size())] = value_json(value);
    } else {
      others[key] = value_json(value);
    }
  }
  Json parts = parts_json(model);
  const std::string quantization = model.quantization();
  return {{"schema", "crossval/inspect/1"},
          {"status", "ok"},
          {"exit_code", 0},
          {"path", model.path()},
          {"sha256", parts[0]["sha256"]},
          {"parts", std::move(parts)},
          {"gguf_version", model.version()},
          {"n_bytes", model.size_bytes()},
          {"architecture", maybe(architecture)},
          {"name", maybe(model.get_string("general.name"))},
          {"quantization", quantization.empty() ? Json(nullptr) : Json(quantization)},
          {"n_params", model.n_params()},
          {"native", native_json(model)},
          {"vocabulary", vocabulary_json(model)},
          {"hyperparameters", std::move(hyperparameters)},
          {"metadata", std::move(others)},
          {"types", types_json(model)},
          {"i2_s", i2_s_json(model)},
          {"n_tensors", model.tensors().size()},
          {"tensors", tensors_json(model)},
          {"error", nullptr}};
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

std::string inspect_text(const Json& report) {
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
  line("model", cell(report["path"]));
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
                       tensor["type"].get<std::string>(), shape_text(shape),
                       tensor["offset"].get<uint64_t>(), tensor["n_bytes"].get<uint64_t>());
  }
  return out;
}

int report_error(const InspectOptions& options, const Error& error) {
  const auto code = static_cast<int>(error.status);
  if ((options.format == "json")) {
    const Json report = {{"schema", "crossval/inspect/1"},
                         {"status", status_name(error.status)},
                         {"exit_code", code},
                         {"path", options.model},
                         {"error",
                          {{"code", error.code},
                           {"what", error.what_},
                           {"where", error.where},
                           {"fix", error.fix}}}};
    std::cout << report.dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
  }
  std::cerr << error_text({error.code, error.what_, error.where, error.fix}, error.status, {});
  return code;
}

int run_inspect(const InspectOptions& options) {
  try {
    const Json report = inspect(*ModelFile::open(options.model, options.i2_s_layout));
    std::cout << ((options.format == "json")
                      ? report.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"
                      : inspect_text(report));
    return 0;
  } catch (const Error& error) {
    return report_error(options, error);
  }
}

}  // namespace

void add_inspect(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand(
      "inspect", "Architecture, quantisation, vocabulary, tensors; whether native supports it");
  command->footer("Example:\n  crossval inspect m.gguf");
  const auto options = std::make_shared<InspectOptions>();
  command->add_option("MODEL", options->model, "GGUF model")->required()->type_name("FILE");
  command->add_option("--format", options->format, "Result on stdout")
      ->check(CLI::IsMember({"text", "json"}).description(""))
      ->capture_default_str()
      ->type_name("text|json");
  add_i2_s_flag(*command, options->i2_s_layout);
  command->callback([options, &action] { action = [options] { return run_inspect(*options); }; });
}

}  // namespace crossval
