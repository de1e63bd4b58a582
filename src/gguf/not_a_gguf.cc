#include "gguf/not_a_gguf.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/printable.h"

namespace crossval {
namespace {

constexpr size_t kLooked = 4096;

// "48123456789" behind "size " in a pointer file; "" = it does not say.
std::string pointer_size(std::string_view text) {
  const size_t at = text.find("\nsize ");
  if (at == std::string_view::npos) return "";
  const size_t begin = at + 6;
  const size_t end = std::min(text.find_first_not_of("0123456789", begin), text.size());
  return std::string(text.substr(begin, std::min<size_t>(end - begin, 20)));
}

bool is_page(std::string_view text) {
  std::string lower(text.substr(0, 512));
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  const size_t at = lower.find_first_not_of(" \t\r\n\xef\xbb\xbf");
  const std::string_view rest = at == std::string::npos ? "" : std::string_view(lower).substr(at);
  return rest.starts_with("<!doctype") || rest.starts_with("<html") || rest.starts_with("<?xml");
}

// Eight bytes with the length of a header that is JSON (safetensors, format in its README).
bool is_safetensors(std::string_view text) {
  uint64_t length = 0;
  if (text.size() <= sizeof length) return false;
  std::memcpy(&length, text.data(), sizeof length);
  return length > 1 && length < 100'000'000 && text[sizeof length] == '{';
}

}  // namespace

OtherFile describe_other_file(std::span<const std::byte> file) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()),
                              std::min(file.size(), kLooked));
  const std::string download = "download the file again, to the end";
  if (text.empty()) return {"the file is empty", download};
  if (text.starts_with("version https://git-lfs")) {
    const std::string size = pointer_size(text);
    return {"this is a git-lfs pointer, not the model itself" +
                (size.empty() ? "" : fmt::format(" (which has {} bytes)", size)),
            "run `git lfs pull` in the folder that it is in"};
  }
  if (is_page(text)) {
    return {"this is a web page (HTML) that was saved instead of the model",
            "download from the link to the file itself; a login or a licence may be asked for"};
  }
  if (text.find_first_not_of('\0') == std::string_view::npos) {
    return {"the file begins with nothing but zeros: a download that left a hole", download};
  }
  const std::string convert = "convert it to GGUF with llama.cpp's converters";
  if (is_safetensors(text)) return {"this is a safetensors file, not a GGUF file", convert};
  if (text.starts_with("PK\x03\x04")) {
    return {"this is a zip archive (it begins with PK; PyTorch saves weights so), not a GGUF file",
            "unpack it, or " + convert};
  }
  if (text.starts_with("\x1f\x8b") || text.starts_with("\x28\xb5\x2f\xfd") ||
      text.starts_with("\xfd"
                       "7zXZ")) {
    return {"this is a compressed file, not a GGUF file", "unpack it first"};
  }
  if (text.starts_with("ggjt") || text.starts_with("tjgg") || text.starts_with("lmgg") ||
      text.starts_with("fmgg")) {
    return {"this is a GGML file from before GGUF, which no engine reads any more", convert};
  }
  if (text.starts_with("{") || text.starts_with("[")) {
    return {"this is JSON text, not a GGUF file", "name the .gguf model itself"};
  }
  return {fmt::format("this is not a GGUF file: it begins with '{}'", printable(text.substr(0, 4))),
          "name a .gguf model; convert other formats with llama.cpp's converters"};
}

}  // namespace crossval
