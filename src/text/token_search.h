// Which tokens does a text begin with? Binary search in the sorted tokens, a byte at a time: no
// tree to build, and no memory but an entry per token, whatever a file holds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace crossval {

class TokenSearch {
 public:
  struct Match {
    size_t length;
    int32_t id;
  };

  TokenSearch() = default;
  // Of two equal tokens the later one counts; an empty one is never found.
  explicit TokenSearch(std::vector<std::pair<std::string, int32_t>> tokens);

  // Shortest first, in `out`, which is cleared.
  void prefixes_of(std::string_view text, std::vector<Match>& out) const;
  // Whether any token begins with this byte.
  bool any_begins_with(char byte) const;

 private:
  std::vector<std::pair<std::string, int32_t>> tokens_;
};

}  // namespace crossval
