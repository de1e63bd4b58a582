#include "engine/trace_taps.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

#include "engine/tap_rows.h"

namespace crossval {
namespace {

// A number at the end of `text` behind the last `mark`; nullopt where there is none.
std::optional<int> number_behind(std::string_view text, char mark) {
  const size_t at = text.rfind(mark);
  if (at == std::string_view::npos || at + 1 == text.size()) return std::nullopt;
  int value = -1;
  const auto [end, error] = std::from_chars(text.data() + at + 1, text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

bool is_tap(const TraceTensor& tensor) {
  return tensor.dtype == "F32" && !tensor.shape.empty() && tensor.shape[0] > 0 &&
         tensor.shape[0] <= INT32_MAX && !tensor.data.empty() && number_behind(tensor.name, '#') &&
         !tensor.name.starts_with("rounding_noise#");
}

}  // namespace

bool write_tap(TraceWriter& trace, const Tap& tap, int n_tokens) {
  const std::optional<TapRows> rows = tap_rows(tap, n_tokens);
  if (!rows) return false;
  trace.write_capture(tap.name + "#" + std::to_string(tap.occurrence),
                      {rows->n_rows, rows->row_len},
                      rows->values.subspan(static_cast<size_t>(rows->offset)), tap.op);
  return true;
}

Tap SavedTap::load() const {
  Tap tap;
  tap.op = op;
  tap.occurrence = *number_behind(tensor->name, '#');
  tap.name = tensor->name.substr(0, tensor->name.rfind('#'));
  tap.layer = number_behind(tap.name, '-').value_or(-1);
  const auto n_values = static_cast<int64_t>(tensor->data.size() / sizeof(float));
  tap.out.name = tap.name;
  tap.out.ne = {n_values / tensor->shape[0], tensor->shape[0], 1, 1};
  tap.out.data.own().assign(tensor->data.begin(), tensor->data.end());
  return tap;
}

std::vector<SavedTap> saved_taps(const TraceFile& trace) {
  const auto ops = nlohmann::json::parse(trace.metadata(trace_key::kTaps), nullptr, false);
  std::vector<SavedTap> taps;
  for (const auto& [name, tensor] : trace.tensors()) {
    if (!is_tap(tensor)) continue;
    const bool has_op = ops.is_object() && ops.contains(name) && ops[name].is_string();
    taps.push_back({&tensor, has_op ? ops[name].get<std::string>() : ""});
  }
  std::ranges::sort(taps, {}, [](const SavedTap& tap) { return tap.tensor->data.data(); });
  return taps;
}

}  // namespace crossval
