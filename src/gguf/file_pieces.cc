#include "gguf/file_pieces.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <string_view>

#include "base/error.h"
#include "base/printable.h"

namespace crossval {
namespace {

struct Piece {
  std::string_view whole;  // the name without its ending
  std::string_view ending;
};

// Digits at the end of `text`: how many characters.
size_t trailing_digits(std::string_view text) {
  size_t n = 0;
  while (n < text.size() && std::isdigit(static_cast<unsigned char>(text[text.size() - 1 - n]))) {
    ++n;
  }
  return n;
}

std::optional<Piece> piece_of(std::string_view path) {
  const auto cut = [&](size_t at) { return Piece{path.substr(0, at), path.substr(at)}; };
  constexpr std::string_view split = "-split-";  // "-split-a", two letters at most
  const size_t found = path.rfind(split);
  if (found != std::string_view::npos) {
    const std::string_view letters = path.substr(found + split.size());
    const bool is_letters = std::ranges::all_of(
        letters, [](unsigned char c) { return std::islower(c) != 0 || std::isdigit(c) != 0; });
    if (!letters.empty() && letters.size() <= 2 && is_letters) return cut(found);
  }
  std::string_view rest = path;
  size_t digits = trailing_digits(rest);
  if (digits == 0) return std::nullopt;
  rest.remove_suffix(digits);
  if (rest.ends_with("of")) {
    rest.remove_suffix(2);
    digits = trailing_digits(rest);
    if (digits == 0) return std::nullopt;
    rest.remove_suffix(digits);
  }
  for (const std::string_view word : {".part", "-part", ".part-", ".part_"}) {
    if (rest.ends_with(word)) return cut(rest.size() - word.size());
  }
  return std::nullopt;
}

}  // namespace

GgufPart read_whole_part(const std::string& path, std::span<const std::byte> file,
                         std::optional<I2sLayout> forced) {
  const std::optional<Piece> piece = piece_of(path);
  if (!piece) return read_gguf_part(path, file, forced);
  try {
    return read_gguf_part(path, file, forced);
  } catch (const Error&) {
    const std::string whole(piece->whole.substr(piece->whole.rfind('/') + 1));
    bad_input(
        "piece_of_a_file",
        fmt::format("this is a piece of a file that was cut up ({})",
                    printable(std::string(piece->ending))),
        path,
        fmt::format("join all of them in their order, `cat {0}{1}* > {0}`, and name the result",
                    whole,
                    piece->ending.starts_with("-split-") ? "-split-" : piece->ending.substr(0, 5)));
  }
}

void refuse_joined_parts(const std::string& path, const GgufPart& part,
                         std::span<const std::byte> file) {
  constexpr std::string_view magic = "GGUF";
  size_t end = std::min<size_t>(part.data_offset, file.size());
  for (const TensorView& tensor : part.tensors) {
    end = std::max(end, static_cast<size_t>(tensor.data.data() - file.data()) + tensor.data.size());
  }
  // Files of gguf-split are padded to their alignment at the end, or not.
  const std::span<const std::byte> behind =
      file.subspan(end, std::min<size_t>(file.size() - end, part.alignment + magic.size()));
  const std::string_view text(reinterpret_cast<const char*>(behind.data()), behind.size());
  if (text.find(magic) == std::string_view::npos) return;
  bad_input("joined_parts",
            fmt::format("behind its tensors another GGUF file begins, at byte {}: parts of a split "
                        "model that were joined as they are",
                        end + text.find(magic)),
            path,
            "keep the parts apart under their own names (NAME-00001-of-00002.gguf) and name the "
            "first, or join them with `llama-gguf-split --merge`");
}

}  // namespace crossval
