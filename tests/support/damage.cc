#include "support/damage.h"

#include <algorithm>
#include <cstring>
#include <random>

namespace crossval::testing {
namespace {

// Numbers that overflow, turn negative, or claim more than any file holds.
constexpr uint64_t kNastyNumbers[] = {0,
                                      1,
                                      0x7f,
                                      0x80,
                                      0xff,
                                      0xffff,
                                      0x7fffffff,
                                      0x80000000,
                                      0xffffffff,
                                      0x100000000,
                                      0x3fffffffffffffff,
                                      0x4000000000000000,
                                      0x7fffffffffffffff,
                                      0x8000000000000000,
                                      0xfffffffffffffff0,
                                      0xffffffffffffffff};

class Damager {
 public:
  Damager(const std::string& good, size_t header_bytes, uint64_t seed)
      : file_(good), header_bytes_(std::min(header_bytes, good.size())), random_(seed) {}

  std::string run() {
    const uint64_t n = 1 + below(3);
    for (uint64_t i = 0; i < n && !file_.empty(); ++i) damage_once();
    return std::move(file_);
  }

 private:
  uint64_t below(uint64_t n) { return n == 0 ? 0 : random_() % n; }

  size_t place() {
    const size_t header = std::min(header_bytes_, file_.size());
    return below(10) == 0 ? below(file_.size()) : below(header);
  }

  void damage_once() {
    const size_t at = place();
    switch (below(8)) {
      case 0:
      case 1:
        file_[at] = static_cast<char>(file_[at] ^ (1 << below(8)));
        break;
      case 2:
        for (size_t i = at; i < std::min(at + 1 + below(16), file_.size()); ++i) {
          file_[i] = static_cast<char>(random_());
        }
        break;
      case 3:
      case 4:
        put(at, kNastyNumbers[below(std::size(kNastyNumbers))], 8);
        break;
      case 5:
        put(at, kNastyNumbers[below(std::size(kNastyNumbers))], below(2) == 0 ? 4 : 1);
        break;
      case 6:
        if (below(4) == 0) {
          file_.resize(at);
        } else {
          file_.erase(at, 1 + below(16));
        }
        break;
      default:
        file_.insert(at, file_.substr(place(), 1 + below(32)));
        break;
    }
  }

  void put(size_t at, uint64_t value, size_t width) {
    std::memcpy(file_.data() + at, &value, std::min(width, file_.size() - at));
  }

  std::string file_;
  size_t header_bytes_;
  std::mt19937_64 random_;
};

}  // namespace

std::string damaged_copy(const std::string& good, size_t header_bytes, uint64_t seed) {
  return Damager(good, header_bytes, seed).run();
}

}  // namespace crossval::testing
