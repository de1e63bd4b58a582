// A small map of a SentencePiece model, as a converter puts it into a GGUF
// (tokenizer.ggml.precompiled_charsmap).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace crossval::testing {

// What each string is replaced by. Layout: src/text/charsmap.cc. Every node of the tree of strings
// has 256 units of its own, one a byte, so that nothing has to be searched for room.
inline std::vector<uint8_t> charsmap(const std::map<std::string, std::string>& rules) {
  std::string replacements;
  std::map<std::string, uint32_t> nodes = {{"", 256}};  // what leads there -> where its units are
  for (const auto& [from, to] : rules) {
    for (size_t n = 1; n <= from.size(); ++n) {
      nodes.try_emplace(from.substr(0, n), 256 * static_cast<uint32_t>(nodes.size() + 1));
    }
  }
  std::vector<uint32_t> units(256 * (nodes.size() + 1), 0);
  units[0] = 256 << 10;
  for (const auto& [prefix, begin] : nodes) {
    if (prefix.empty()) continue;
    const auto byte = static_cast<unsigned char>(prefix.back());
    const uint32_t at = nodes.at(prefix.substr(0, prefix.size() - 1)) + byte;
    units[at] = ((at ^ begin) << 10) | byte;
    const auto rule = rules.find(prefix);
    if (rule == rules.end()) continue;
    units[at] |= 1u << 8;
    units[begin] = (1u << 31) | static_cast<uint32_t>(replacements.size());
    replacements += rule->second;
    replacements += '\0';
  }
  std::vector<uint8_t> out;
  const auto put = [&out](uint32_t value) {
    for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<uint8_t>(value >> shift));
  };
  put(static_cast<uint32_t>(4 * units.size()));
  for (const uint32_t unit : units) put(unit);
  out.insert(out.end(), replacements.begin(), replacements.end());
  return out;
}

}  // namespace crossval::testing
