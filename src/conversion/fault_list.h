// Faults of one kind as they are found: the first ones each, the others by their number.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "verdict/conversion_report.h"

namespace crossval {

class FaultList {
 public:
  FaultList(std::vector<ConversionFault>& out, ConversionCount& count) : out_(out), count_(count) {}
  ~FaultList() {
    if (n_ <= kShown) return;
    ConversionFault& last = out_.back();
    last.explanation += fmt::format(" (and {} more like it)", n_ - kShown);
  }
  FaultList(const FaultList&) = delete;
  FaultList& operator=(const FaultList&) = delete;

  void compared(int64_t n = 1) { count_.compared += n; }
  void add(ConversionFault fault) {
    ++count_.differing;
    if (n_++ < kShown) out_.push_back(std::move(fault));
  }

 private:
  static constexpr int64_t kShown = 1000;
  std::vector<ConversionFault>& out_;
  ConversionCount& count_;
  int64_t n_ = 0;
};

}  // namespace crossval
