// The model's vocabulary, for servers that know texts alone: ids -> text, text -> id.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace crossval::http {

class Vocabulary {
 public:
  explicit Vocabulary(std::vector<std::string> pieces) : pieces_(std::move(pieces)) {
    for (size_t i = 0; i < pieces_.size(); ++i) {
      if (pieces_[i].empty()) continue;
      const auto [found, is_new] = ids_.try_emplace(pieces_[i], static_cast<int32_t>(i));
      if (!is_new) found->second = kSeveral;
    }
  }

  int size() const { return static_cast<int>(pieces_.size()); }
  std::string text_of(std::span<const int32_t> ids) const {
    std::string text;
    for (const int32_t id : ids) {
      if (id >= 0 && id < size()) text += pieces_[static_cast<size_t>(id)];
    }
    return text;
  }
  // nullopt where no token has this text, or several have.
  std::optional<int32_t> find(std::string_view text) const {
    const auto found = ids_.find(text);
    if (found == ids_.end() || found->second == kSeveral) return std::nullopt;
    return found->second;
  }

 private:
  static constexpr int32_t kSeveral = -1;
  std::vector<std::string> pieces_;
  std::unordered_map<std::string_view, int32_t> ids_;  // into pieces_, which never move
};

}  // namespace crossval::http
