#include "engine/top_row.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "base/error.h"

namespace crossval {
namespace {

// Servers compute probabilities in f32, and print some digits of them.
constexpr double kRounding = 1e-3;

}  // namespace

void settle_top_row(TopRow& row, int n_vocab, const std::string& who, const std::string& where) {
  const auto refuse = [&](const std::string& what) {
    backend_failed("bad_top_row", who + " " + what, where,
                   "such log-probabilities cannot be compared: see the server's own log");
  };
  if (row.empty()) refuse("gave no log-probability for a position");
  std::unordered_set<int32_t> seen;
  double mass = 0;
  for (const auto& [token, logprob] : row) {
    if (!std::isfinite(logprob) || logprob > kRounding) {
      refuse(fmt::format("gave the log-probability {} for token {}", logprob, token));
    }
    if (token < 0 || (n_vocab > 0 && token >= n_vocab)) {
      refuse(fmt::format("gave token {}, and the vocabulary has {}", token, n_vocab));
    }
    if (!seen.insert(token).second) refuse(fmt::format("gave token {} twice", token));
    mass += std::exp(double{logprob});
  }
  if (mass > 1 + kRounding) {
    refuse(fmt::format("gave probabilities that sum up to {:.4f}", mass));
  }
  std::ranges::sort(row, [](const TopEntry& a, const TopEntry& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
  });
}

}  // namespace crossval
