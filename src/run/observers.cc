#include "run/observers.h"

#include "base/stopwatch.h"

namespace crossval {

void RowComparison::rows(const RowBlock& block) {
  std::vector<PositionRows> batch;
  for (int i = 0; i < block.n_rows(); ++i) {
    const int position = block.first_position + i;
    if (position < positions_.first_compared) continue;
    const TokenId id = block.ids[static_cast<size_t>(i)];
    batch.push_back({.index = position,
                     .phase = position < positions_.n_prompt ? Phase::prompt : Phase::decode,
                     .token = {id, positions_.piece(id)},
                     .engine = block.row(Side::engine, i),
                     .backend = block.row(Side::backend, i),
                     .rounding = block.row(Side::noise, i),
                     .rounding_base = block.row(Side::noise_base, i)});
  }
  const Stopwatch watch;
  comparison_.add(batch, &pool_);
  elapsed_ms_ += watch.elapsed_ms();
}

void Recorder::tap(Side side, const PlacedTap& placed) {
  if (side == side_) write_tap(file_, placed.tap, placed.n_tokens());
}

void Recorder::rows(const RowBlock& block) {
  for (int i = 0; i < block.n_rows(); ++i) {
    file_.write_row(block.ids[static_cast<size_t>(i)], block.row(side_, i));
  }
}

void TapPairs::begin(std::span<const TokenId>, int) {
  pairing_.begin(Side::backend);
  pairing_.begin(Side::engine);
}

void TapPairs::tap(Side side, const PlacedTap& placed) {
  pairing_.add(side, placed.tap, placed.n_tokens(), placed.index);
}

void TapPairs::end(Side side) {
  if (side == Side::engine || side == Side::backend) pairing_.done(side);
}

}  // namespace crossval
