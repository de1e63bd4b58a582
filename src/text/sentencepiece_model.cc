// Field numbers: google/sentencepiece, src/sentencepiece_model.proto. Debian does not ship the
// generated classes, and the four messages needed are a few lines of protobuf's wire format.

#include "text/sentencepiece_model.h"

#include <bit>
#include <cstdint>
#include <string_view>

namespace crossval {
namespace {

void put_varint(uint64_t value, std::string& out) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

void put_int(int field, uint64_t value, std::string& out) {
  put_varint(static_cast<uint64_t>(field) << 3, out);
  put_varint(value, out);
}

void put_bytes(int field, std::string_view value, std::string& out) {
  put_varint((static_cast<uint64_t>(field) << 3) | 2, out);
  put_varint(value.size(), out);
  out += value;
}

void put_float(int field, float value, std::string& out) {
  put_varint((static_cast<uint64_t>(field) << 3) | 5, out);
  const auto bits = std::bit_cast<uint32_t>(value);
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(bits >> shift));
}

constexpr int kPieceNormal = 1, kPieceUnknown = 2, kModelBpe = 2;

void put_piece(std::string_view token, float score, int type, std::string& out) {
  std::string piece;
  put_bytes(1, token, piece);
  put_float(2, score, piece);
  put_int(3, static_cast<uint64_t>(type), piece);
  put_bytes(1, piece, out);  // ModelProto.pieces
}

}  // namespace

std::string sentencepiece_bpe_model(std::span<const std::string> tokens,
                                    std::span<const float> scores) {
  std::string out;
  for (size_t id = 0; id < tokens.size(); ++id)
    put_piece(tokens[id], scores[id], kPieceNormal, out);
  const std::string unknown = "<crossval-unknown>";
  put_piece(unknown, 0, kPieceUnknown, out);

  std::string trainer;
  put_int(3, kModelBpe, trainer);   // model_type
  put_bytes(45, unknown, trainer);  // unk_piece
  put_bytes(2, trainer, out);       // ModelProto.trainer_spec

  std::string normalizer;
  put_bytes(1, "identity", normalizer);
  put_int(3, 0, normalizer);  // add_dummy_prefix
  put_int(4, 0, normalizer);  // remove_extra_whitespaces
  put_int(5, 0, normalizer);  // escape_whitespaces
  put_bytes(3, normalizer, out);
  return out;
}

}  // namespace crossval
