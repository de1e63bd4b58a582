// Layouts: microsoft/BitNet, utils/convert-hf-to-gguf-bitnet.py `preprocess_weights_tl1`,
// `preprocess_weights_tl2`; tiles: the arguments that its setup_env.py gives codegen_tl1.py and
// codegen_tl2.py for each model; sizes: its llama.cpp, ggml.c `ggml_nbytes`.
#include "gguf/tl_layout.h"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <cstring>

namespace crossval {
namespace {

// A tile is `rows` rows by `columns` weights, made of strips of `strip` rows.
struct Tiles {
  int rows, columns, strip;
};

struct Published {
  int64_t n_rows, row_len;
  Tiles tl1, tl2;
};
constexpr Published kPublished[] = {
    {1536, 4096, {256, 128, 32}, {256, 96, 32}},   // bitnet_b1_58-large
    {1536, 1536, {128, 64, 64}, {128, 192, 32}},   //
    {4096, 1536, {256, 128, 32}, {256, 96, 32}},   //
    {3200, 8640, {160, 64, 32}, {160, 96, 32}},    // bitnet_b1_58-3B
    {3200, 3200, {320, 128, 64}, {320, 96, 32}},   //
    {8640, 3200, {320, 64, 32}, {320, 96, 32}},    //
    {14336, 4096, {256, 128, 32}, {256, 96, 32}},  // Llama3-8B-1.58-100B-tokens
    {4096, 14336, {128, 64, 64}, {128, 96, 32}},   //
    {1024, 4096, {256, 128, 32}, {256, 96, 32}},   //
    {4096, 4096, {128, 64, 64}, {128, 96, 32}},    //
};

const Published* find_published(std::span<const int64_t> shape) {
  if (shape.size() != 2) return nullptr;
  const auto* const found = std::ranges::find_if(kPublished, [&](const Published& p) {
    return p.row_len == shape[0] && p.n_rows == shape[1];
  });
  return found == std::end(kPublished) ? nullptr : found;
}

int nibble(std::byte byte, bool is_high) {
  return static_cast<int>(is_high ? byte >> 4 : byte & std::byte{15});
}

// Weights of -1, 0, 1 of one row after another, as I2_S keeps them on ARM: 64 in 16 bytes, 16
// apart.
class Packed {
 public:
  explicit Packed(std::span<const int64_t> shape)
      : row_len_(shape[0]), bytes_(static_cast<size_t>(shape[0] * shape[1] / 4 + kTlScaleBytes)) {}
  void put(int64_t row, int64_t column, int weight) {
    const int64_t at = row * row_len_ / 4 + column / 64 * 16 + column % 16;
    bytes_[static_cast<size_t>(at)] |=
        static_cast<std::byte>((weight + 1) << (6 - 2 * (column % 64 / 16)));
  }
  std::vector<std::byte> finish(float scale) {
    std::memcpy(bytes_.data() + bytes_.size() - kTlScaleBytes, &scale, sizeof scale);
    return std::move(bytes_);
  }

 private:
  int64_t row_len_;
  std::vector<std::byte> bytes_;
};

// Two weights as 3 a + b + 4. Codes of nothing (9 to 15), which are never written, are 0.
void put_pair(int code, int64_t row, int64_t column, Packed& out) {
  const int sum = code <= 8 ? code : 4;
  out.put(row, column, sum / 3 - 1);
  out.put(row, column + 1, sum % 3 - 1);
}

// Places are sums of what the row and what the column add: f(row, 0) + f(0, column). So a table of
// columns spares most divisions.
template <typename Place>
std::vector<int64_t> of_columns(int64_t n, int64_t step, const Place& place) {
  std::vector<int64_t> table;
  for (int64_t column = 0; column < n; column += step) table.push_back(place(0, column));
  return table;
}

void turn_tl1(std::span<const std::byte> codes, const Published& p, Packed& out) {
  const Tiles& t = p.tl1;
  const int64_t n_tiles = p.row_len / t.columns, n_strips = t.rows / t.strip;
  const int64_t wide = 256 / t.strip;  // weights side by side in a strip
  const auto place = [&](int64_t row, int64_t column) {
    const int64_t in_tile = row % t.rows, in_strip = in_tile % t.strip;
    const int64_t tile = row / t.rows * n_tiles + column / t.columns;
    const int64_t strip =
        (tile * n_strips + in_tile / t.strip) * (t.columns / wide) + column % t.columns / wide;
    const int64_t of_four = column % wide / 4;
    return ((strip * (t.strip / 16) + in_strip / 16) * (wide / 4) + of_four) * 16 + in_strip % 16;
  };
  const std::vector<int64_t> columns = of_columns(p.row_len, 2, place);
  for (int64_t row = 0; row < p.n_rows; ++row) {
    const std::byte* of_row = codes.data() + place(row, 0);
    for (int64_t column = 0; column < p.row_len; column += 2) {
      const std::byte byte = of_row[columns[static_cast<size_t>(column / 2)]];
      put_pair(nibble(byte, column % 4 == 0), row, column, out);
    }
  }
}

// Strips of 32 rows and `wide` weights, in tiles of `columns`, as many as there are in `n_columns`:
// the place of a row's byte in such strips. TL2's kernels unpack bytes to words half by half, so of
// 32 rows the second and third eight are exchanged.
struct Strips {
  int64_t tile_rows, n_columns, columns, wide;
  int64_t strip(int64_t row, int64_t column) const {
    const int64_t tile = row / tile_rows * (n_columns / columns) + column / columns;
    return (tile * (tile_rows / 32) + row % tile_rows / 32) * (columns / wide) +
           column % columns / wide;
  }
  int64_t byte(int64_t row, int64_t column) const {
    const int64_t eight = row % 32 / 8;
    return strip(row, column) * 32 + (eight == 1 ? 2 : eight == 2 ? 1 : eight) * 8 + row % 8;
  }
};

// Columns of whole tiles: triples 9 a + 3 b + c without sign, then the signs. A strip of 24 weights
// has 16 words of them: bit 15 - i of word j is sign 16 i + j.
void turn_triples(const std::byte* codes, const std::byte* signs, const Published& p,
                  int64_t n_columns, Packed& out) {
  const Strips of_codes = {p.tl2.rows, n_columns, p.tl2.columns, 6};
  const Strips of_signs = {p.tl2.rows, n_columns, p.tl2.columns, 24};
  const auto byte_at = [&](int64_t row, int64_t column) { return of_codes.byte(row, column); };
  const auto word_at = [&](int64_t row, int64_t column) {
    return of_signs.strip(row, column) * 32 + row % 16 * 2;
  };
  const std::vector<int64_t> bytes = of_columns(n_columns, 3, byte_at);
  const std::vector<int64_t> words = of_columns(n_columns, 3, word_at);
  for (int64_t row = 0; row < p.n_rows; ++row) {
    const std::byte *codes_of_row = codes + byte_at(row, 0),
                    *signs_of_row = signs + word_at(row, 0);
    for (int64_t column = 0; column < n_columns; column += 3) {
      const auto triple = static_cast<size_t>(column / 3);
      const int sum = std::min(nibble(codes_of_row[bytes[triple]], column % 6 == 0), 13);
      const int64_t bit = 15 - (column % 24 / 3 * 2 + row % 32 / 16);
      const std::byte byte = signs_of_row[words[triple] + bit / 8];
      const bool is_negative = (byte >> (bit % 8) & std::byte{1}) != std::byte{0};
      const int code = 13 + (is_negative ? -sum : sum);
      out.put(row, column, code / 9 - 1);
      out.put(row, column + 1, code / 3 % 3 - 1);
      out.put(row, column + 2, code % 3 - 1);
    }
  }
}

void turn_tl2(std::span<const std::byte> codes, const Published& p, Packed& out) {
  const int64_t n_tripled = p.row_len / p.tl2.columns * p.tl2.columns;
  const std::byte* signs = codes.data() + p.n_rows * n_tripled / 6;
  turn_triples(codes.data(), signs, p, n_tripled, out);
  // The other columns: pairs, in tiles of 32.
  const std::byte* pairs = signs + p.n_rows * n_tripled / 24;
  const Strips strips = {p.tl2.rows, p.row_len - n_tripled, 32, 4};
  for (int64_t row = 0; row < p.n_rows; ++row) {
    for (int64_t column = n_tripled; column < p.row_len; column += 2) {
      const std::byte byte = pairs[strips.byte(row, column - n_tripled)];
      put_pair(nibble(byte, (column - n_tripled) % 4 == 0), row, column, out);
    }
  }
}

}  // namespace

std::optional<int64_t> tl_code_bytes(GgmlType type, std::span<const int64_t> shape) {
  const Published* p = find_published(shape);
  if (p == nullptr) return std::nullopt;
  if (type == GgmlType::TL1) return p->row_len * p->n_rows / 4;
  const int64_t bytes = (p->row_len - 256) * p->n_rows / 3 * 5 / 8 + 256 * p->n_rows / 2 * 4 / 8;
  return (bytes + 31) / 32 * 32;
}

std::vector<std::byte> tl_to_i2_s(GgmlType type, std::span<const std::byte> codes, float scale,
                                  std::span<const int64_t> shape) {
  const Published& p = *find_published(shape);
  assert(static_cast<int64_t>(codes.size()) >= *tl_code_bytes(type, shape));
  Packed out(shape);
  if (type == GgmlType::TL1) {
    turn_tl1(codes, p, out);
  } else {
    turn_tl2(codes, p, out);
  }
  return out.finish(scale);
}

}  // namespace crossval
