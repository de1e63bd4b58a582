#include "run/inspect.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <thread>
#include <vector>

#include "arch/archs.h"
#include "arch/describe.h"
#include "base/error.h"
#include "base/sha256.h"
#include "gguf/model_file.h"
#include "gguf/model_kind.h"
#include "gguf/reader.h"
#include "native/check_model.h"
#include "native/support.h"
#include "run/inspect_i2_s.h"
#include "run/loaded_model.h"

namespace crossval {
namespace {

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
  if (const auto other = other_kind(model)) {
    return {{"supported", false}, {"reason", other->what}};
  }
  try {
    reason = native_unsupported_reason(model);
    if (!reason) check_model(model);
  } catch (const Error& error) {
    reason = fmt::format("{} ({})", error.what_, error.where);
  }
  return {{"supported", !reason.has_value()}, {"reason", maybe(reason)}};
}

// In words, where the architecture is known and its keys make sense.
Json layers_json(const ModelFile& model) {
  Json lines = Json::array();
  const Arch* arch = find_arch(model.get_string("general.architecture").value_or(""));
  if (arch == nullptr || other_kind(model)) return lines;
  try {
    for (std::string& line : describe_layers(*arch, read_config(model, *arch))) {
      lines.push_back(std::move(line));
    }
  } catch (const Error&) {
    return Json::array();  // `native` says why
  }
  return lines;
}

Json non_finite_json(const ModelFile& model, bool scan_weights) {
  if (!scan_weights) return nullptr;
  ThreadPool pool(static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
  const std::string at = non_finite_weight(model, pool);
  return at.empty() ? Json(nullptr) : Json(at);
}

Json facts_of(const ModelFile& model, bool scan_weights) {
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
  return {{"path", model.path()},
          {"sha256", parts[0]["sha256"]},
          {"parts", std::move(parts)},
          {"gguf_version", model.version()},
          {"n_bytes", model.size_bytes()},
          {"architecture", maybe(architecture)},
          {"name", maybe(model.get_string("general.name"))},
          {"quantization", quantization.empty() ? Json(nullptr) : Json(quantization)},
          {"n_params", model.n_params()},
          {"native", native_json(model)},
          {"layers", layers_json(model)},
          {"non_finite_weight", non_finite_json(model, scan_weights)},
          {"vocabulary", vocabulary_json(model)},
          {"hyperparameters", std::move(hyperparameters)},
          {"metadata", std::move(others)},
          {"types", types_json(model)},
          {"i2_s", i2_s_json(model)},
          {"n_tensors", model.tensors().size()},
          {"tensors", tensors_json(model)}};
}

}  // namespace

InspectReport inspect_model(const std::string& path, const std::string& i2_s_layout,
                            bool scan_weights) {
  InspectReport report;
  report.facts = {{"path", path}};
  try {
    report.facts = facts_of(*ModelFile::open(path, i2_s_layout), scan_weights);
    report.status = Status::agree;
  } catch (const Error& error) {
    report.status = error.status;
    report.error = error_report(error);
  }
  return report;
}

}  // namespace crossval
