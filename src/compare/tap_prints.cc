#include "compare/tap_prints.h"

#include <algorithm>
#include <bit>
#include <span>
#include <string_view>

#include "engine/tap_rows.h"

namespace crossval {
namespace {

// FNV-1a over words, with a final mix: rows that differ in one bit must not collide by structure.
class RowHash {
 public:
  void add(float value) { hash_ = (hash_ ^ std::bit_cast<uint32_t>(value)) * 0x100000001b3ull; }
  uint64_t get() const {
    const uint64_t h = (hash_ ^ (hash_ >> 32)) * 0x9e3779b97f4a7c15ull;
    return h ^ (h >> 29);
  }

 private:
  uint64_t hash_ = 0xcbf29ce484222325ull;
};

bool is_unnamed(const Tap& tap) {
  return tap.name.empty() || tap.name.starts_with("node_") || tap.name.starts_with("__");
}

enum class RowKind { plain, scores, weights };

// Scores are [cells of the cache, ids, heads]. Those of cells behind the row's own position are
// masked: what they hold depends on how far the cache was filled. After the softmax they are 0, so
// there the entries that are not 0 are what counts, however many cells there are.
RowKind kind_of(const Tap& tap, const TapKey& key) {
  if (!key.stem.starts_with("kq") || key.stem.starts_with("kqv")) return RowKind::plain;
  return tap.op == "SOFT_MAX" ? RowKind::weights : RowKind::scores;
}

uint64_t row_print(std::span<const float> row, RowKind kind, int64_t n_cells, int position) {
  RowHash hash;
  for (size_t i = 0; i < row.size(); ++i) {
    if (kind == RowKind::scores && static_cast<int64_t>(i) % n_cells > position) continue;
    if (kind == RowKind::weights && row[i] == 0) continue;
    hash.add(row[i]);
  }
  return hash.get();
}

}  // namespace

std::optional<TapPrint> TapPrinter::print(const Tap& tap, int n_tokens) {
  TapPrint print;
  print.is_named = !is_unnamed(tap);
  if (print.is_named && !is_pairable(tap)) return std::nullopt;
  if (tap.first_position != first_position_) n_seen_.clear();
  first_position_ = tap.first_position;
  print.key = print.is_named ? tap_key(tap) : TapKey{"", -1, tap.op, 0};
  print.key.occurrence = n_seen_[print.key]++;
  const std::optional<TapRows> rows = tap_rows(tap, n_tokens);
  if (!rows) return std::nullopt;
  const RowKind kind = kind_of(tap, print.key);
  print.by_position = rows->by_position;
  print.is_scores = kind == RowKind::scores;
  print.first_position = rows->first_position;
  for (int p = rows->first_position; p < rows->end_position(); ++p) {
    print.rows.push_back(row_print(rows->row(p), kind, std::max<int64_t>(tap.out.ne[0], 1), p));
  }
  return print;
}

void TapPrints::add(const TapPrint& print) {
  const auto [it, is_new] = tensors_.try_emplace(print.key);
  if (is_new) it->second.order = static_cast<int>(tensors_.size()) - 1;
  int position = print.first_position;
  for (const uint64_t row : print.rows) it->second.rows[position++] = row;
}

TapPrints::Match TapPrints::match(const TapPrint& print, const Likeness& likeness) const {
  Match match;
  if (!print.is_named && !likeness.same_graph) return match;
  if ((!print.by_position || print.is_scores) && !likeness.same_pieces) return match;
  const auto found = tensors_.find(print.key);
  if (found == tensors_.end()) return match;
  match.has_partner = true;
  match.order = found->second.order;
  int position = print.first_position;
  for (const uint64_t row : print.rows) {
    const auto partner = found->second.rows.find(position);
    if (partner != found->second.rows.end() && partner->second != row) {
      match.first_different = position;
      break;
    }
    ++position;
  }
  return match;
}

}  // namespace crossval
