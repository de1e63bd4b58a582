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
                     .rounding_base = block.row(Side::noise_base, i),
                     .engine_top = block.top(Side::engine, i),
                     .backend_top = block.top(Side::backend, i)});
  }
  const Stopwatch watch;
  comparison_.add(batch, &pool_);
  elapsed_ms_ += watch.elapsed_ms();
}

void Recorder::tap(Side side, const PlacedTap& placed) {
  if (side != side_) return;
  write([&](TraceWriter& file) { write_tap(file, placed.tap, placed.n_tokens()); });
}

void Recorder::rows(const RowBlock& block) {
  write([&](TraceWriter& file) {
    for (int i = 0; i < block.n_rows(); ++i) {
      file.write_row(block.ids[static_cast<size_t>(i)], block.row(side_, i));
    }
  });
}

void Recorder::write(const std::function<void(TraceWriter&)>& body) {
  if (failure_) return;
  try {
    body(file_);
  } catch (const Error& error) {
    failure_ = error;
  }
}

void Recorder::finish() {
  if (failure_) throw Error(*failure_);
  file_.finish();
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
