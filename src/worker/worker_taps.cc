// eval_with_taps over the wire: the worker stops at every node of its graph until it is told to go
// on. What it says about a tensor is checked before memory is taken for it.
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/stopwatch.h"
#include "worker/reply_numbers.h"
#include "worker/worker_engine.h"

namespace crossval {
namespace {

using nlohmann::json;

constexpr int64_t kMaxElements = int64_t{1} << 34;
constexpr int64_t kMaxTensorBytes = int64_t{8} << 30;
constexpr size_t kMaxTensors = 32;
constexpr size_t kMaxNameBytes = 512;
constexpr int kMaxLayer = 100'000, kMaxOccurrence = 1'000'000;
// Of one graph: the largest of today have some 10,000 operations. An eval is as many graphs as ids
// at most.
constexpr int64_t kMaxTapsOfGraph = 20'000;
constexpr int64_t kMaxBytesOfEval = int64_t{1} << 40;

[[noreturn]] void nonsense(const std::string& what) {
  backend_failed("worker_protocol", "the worker shows a tensor that cannot be: " + what, "eval",
                 "build the worker again with crossval setup");
}

template <typename T>
T field(const json& object, const char* key) {
  try {
    return object.at(key).get<T>();
  } catch (const json::exception&) {
    nonsense(std::string("\"") + key + "\" is missing or of another kind");
  }
}

std::string name_field(const json& object, const char* key) {
  auto name = field<std::string>(object, key);
  if (name.size() > kMaxNameBytes) nonsense(std::string("\"") + key + "\" is a name too long");
  return name;
}

int64_t integer_field(const json& object, const char* key, int64_t lowest, int64_t highest) {
  const auto found = object.find(key);
  const auto value = found != object.end() ? integer_of(*found, lowest, highest) : std::nullopt;
  if (!value) nonsense(std::string("\"") + key + "\" is missing, no whole number or out of range");
  return *value;
}

int int_field(const json& object, const char* key, int lowest, int highest) {
  return static_cast<int>(integer_field(object, key, lowest, highest));
}

std::optional<TapOrigin> take_origin(const json& object) {
  const auto found = object.find("of");
  if (found == object.end()) return std::nullopt;
  if (!found->is_object()) nonsense("\"of\" is not an object");
  return TapOrigin{name_field(*found, "name"), int_field(*found, "occurrence", 0, kMaxOccurrence),
                   field<bool>(*found, "whole")};
}

// A type this program has not heard of keeps its tensor's shape and loses its data.
TapTensor take_tensor(const json& object, int64_t* n_bytes) {
  TapTensor tensor;
  tensor.name = name_field(object, "name");
  const auto shape = object.find("ne");
  if (shape == object.end() || !shape->is_array() || shape->size() != tensor.ne.size()) {
    nonsense("\"ne\" is not a list of four numbers");
  }
  int64_t n_elements = 1;
  for (size_t i = 0; i < shape->size(); ++i) {
    const auto n = integer_of((*shape)[i], 0, kMaxElements);
    if (!n || (*n != 0 && n_elements > kMaxElements / *n)) nonsense("a shape out of range");
    n_elements *= *n;
    tensor.ne[i] = *n;
  }
  const auto weight = object.find("weight");
  tensor.is_weight = weight != object.end() && weight->is_boolean() && weight->get<bool>();
  tensor.origin = take_origin(object);
  *n_bytes = integer_field(object, "bytes", 0, kMaxTensorBytes);
  const auto type_text = field<std::string>(object, "type");
  const TypeInfo* type = type_text.empty() ? nullptr : find_type_by_name(type_text);
  if (type == nullptr || *n_bytes == 0 || tensor.is_weight) {
    if (type != nullptr) tensor.type = type->type;
    *n_bytes = 0;
    return tensor;
  }
  tensor.type = type->type;
  const auto expected = tensor_bytes(tensor.type, tensor.ne);
  if (!expected || *expected != *n_bytes) {
    nonsense(tensor.name + " of " + std::to_string(*n_bytes) + " bytes does not fit its shape");
  }
  return tensor;
}

}  // namespace

// Its name, operation and place, without any tensor.
Tap WorkerEngine::take_name(const json& description) const {
  Tap tap;
  tap.name = name_field(description, "name");
  tap.op = name_field(description, "op");
  tap.occurrence = int_field(description, "occurrence", 0, kMaxOccurrence);
  tap.layer = int_field(description, "layer", -1, kMaxLayer);
  tap.first_position = n_past_;
  const auto params = description.find("params");
  if (params == description.end() || !params->is_array()) nonsense("\"params\" is not a list");
  for (size_t i = 0; i < params->size(); ++i) {
    // Words of 32 bits, with a sign or without.
    const auto word = integer_of((*params)[i], std::numeric_limits<int32_t>::min(),
                                 std::numeric_limits<uint32_t>::max());
    if (!word) nonsense("\"params\" holds what is no word of 32 bits");
    if (i < tap.params.size()) tap.params[i] = static_cast<int32_t>(*word);
  }
  return tap;
}

void WorkerEngine::take_tensors(const json& description, Tap& tap) {
  const auto found = description.find("tensors");
  if (found == description.end() || !found->is_array() || found->empty() ||
      found->size() > kMaxTensors) {
    nonsense("\"tensors\" is not a list of a result and its sources");
  }
  for (size_t i = 0; i < found->size(); ++i) {
    if (!(*found)[i].is_object()) nonsense("\"tensors\" holds something that is no object");
    int64_t n_bytes = 0;
    TapTensor tensor = take_tensor((*found)[i], &n_bytes);
    if (n_bytes > 0) {
      std::vector<std::byte>& bytes = tensor.data.own();
      bytes.resize(static_cast<size_t>(n_bytes));
      channel_.call({.header = {{"op", "tap_data"}, {"tensor", i}},
                     .stage = "tensor " + tensor.name + " of " + tap.name,
                     .max_reply_payload_bytes = bytes.size(),
                     .reply_into = bytes,
                     .quiet = true});
    }
    if (i == 0) {
      tap.out = std::move(tensor);
    } else {
      tap.sources.push_back(std::move(tensor));
    }
  }
}

void WorkerEngine::eval_with_taps(std::span<const TokenId> ids, const TapFilter& filter,
                                  const TapSink& sink) {
  if (!can().taps) Engine::eval_with_taps(ids, filter, sink);  // throws
  const Stopwatch watch;
  const std::string stage = "eval of " + std::to_string(ids.size()) + " ids with taps";
  auto reply = channel_.call({.header = {{"op", "eval"}, {"capture", true}},
                              .payload = std::as_bytes(ids),
                              .stage = stage});
  int64_t n_taps = 0, n_bytes = 0;
  const auto n_graphs = static_cast<int64_t>(ids.size()), max_taps = kMaxTapsOfGraph * n_graphs;
  std::map<std::pair<std::string, int>, int64_t> n_seen;
  for (;;) {
    const auto found = reply.header.find("tap");
    if (found == reply.header.end()) break;
    if (n_taps++ == max_taps) nonsense("more of them than " + std::to_string(max_taps));
    if (!found->is_object()) nonsense("\"tap\" is not an object");
    Tap tap = take_name(*found);
    if (++n_seen[{tap.name, tap.occurrence}] > n_graphs) {
      nonsense(tap.name + " for the " + std::to_string(n_graphs + 1) + "th time");
    }
    if (filter.wants(tap.name, tap.layer)) {
      take_tensors(*found, tap);
      n_bytes += static_cast<int64_t>(tap.out.data.size());
      for (const TapTensor& source : tap.sources) {
        n_bytes += static_cast<int64_t>(source.data.size());
      }
      if (n_bytes > kMaxBytesOfEval) nonsense("more bytes of them than can be");
      sink(std::move(tap));
    }
    reply = channel_.call({.header = {{"op", "next"}}, .stage = stage, .quiet = true});
  }
  finish_eval(reply.header, ids.size(), watch.elapsed_ms());
}

}  // namespace crossval
