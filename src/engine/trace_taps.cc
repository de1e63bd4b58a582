#include "engine/trace_taps.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/printable.h"
#include "engine/bounded_json.h"
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

// The tensor as a tap; nullopt where it is none. Files from elsewhere may leave out "#0" and have a
// batch of 1 in front; without a number only what has a row for every id is one.
std::optional<SavedTap> tap_of(const TraceTensor& tensor, int64_t n_positions) {
  if (!tensor.float_type() || tensor.data.empty() || tensor.shape.empty() ||
      tensor.name == "logits" || tensor.name.starts_with("rounding_noise#")) {
    return std::nullopt;
  }
  const bool has_batch =
      tensor.shape.size() > 2 && tensor.shape[0] == 1 && tensor.shape[1] == n_positions;
  const int64_t n_rows = tensor.shape[has_batch ? 1 : 0];
  if (n_rows < 1 || n_rows > INT32_MAX) return std::nullopt;
  const std::optional<int> number = number_behind(tensor.name, '#');
  if (!number && n_rows != n_positions) return std::nullopt;
  SavedTap tap;
  tap.tensor = &tensor;
  tap.name = number ? tensor.name.substr(0, tensor.name.rfind('#')) : tensor.name;
  tap.occurrence = number.value_or(0);
  tap.n_rows = static_cast<int>(n_rows);
  return tap;
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
  tap.occurrence = occurrence;
  tap.name = name;
  tap.layer = number_behind(name, '-').value_or(-1);
  tap.out.name = name;
  tap.out.type = *tensor->float_type();
  const int64_t value_bytes = tap.out.type == GgmlType::F32 ? 4 : 2;
  const auto n_values = static_cast<int64_t>(tensor->data.size()) / value_bytes;
  tap.out.ne = {n_values / n_rows, n_rows, 1, 1};
  tap.out.data.own().assign(tensor->data.begin(), tensor->data.end());
  return tap;
}

std::vector<SavedTap> saved_taps(const TraceFile& trace) {
  const auto ops = parse_bounded(trace.metadata(trace_key::kTaps));
  std::vector<SavedTap> taps;
  std::set<std::pair<std::string, int>> seen;
  for (const auto& [name, tensor] : trace.tensors()) {
    std::optional<SavedTap> tap = tap_of(tensor, trace.n_positions());
    if (!tap) continue;
    if (!seen.insert({tap->name, tap->occurrence}).second) {
      bad_input(
          "damaged_trace",
          fmt::format("two tensors are occurrence {} of {}", tap->occurrence, printable(tap->name)),
          fmt::format("{}: tensor '{}'", trace.path(), printable(name)),
          "give each its number: NAME#0, NAME#1");
    }
    const bool has_op = ops.is_object() && ops.contains(name) && ops[name].is_string();
    if (has_op) tap->op = ops[name].get<std::string>();
    taps.push_back(std::move(*tap));
  }
  std::ranges::sort(taps, {}, [](const SavedTap& tap) { return tap.tensor->data.data(); });
  return taps;
}

}  // namespace crossval
