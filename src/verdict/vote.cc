#include "verdict/vote.h"

#include <fmt/format.h>

#include <algorithm>

namespace crossval {
namespace {

bool was_compared(Status status) {
  return status == Status::agree || status == Status::diverged || status == Status::token_mismatch;
}

std::string join(const std::vector<std::string>& names) {
  std::string out;
  for (size_t i = 0; i < names.size(); ++i) {
    out += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
  }
  return out;
}

}  // namespace

std::optional<Vote> vote(const std::vector<std::string>& names,
                         std::span<const PairOutcome> outcomes) {
  std::vector<size_t> voters;
  for (size_t i = 0; i < names.size(); ++i) {
    if (std::any_of(outcomes.begin(), outcomes.end(), [&](const PairOutcome& pair) {
          return (pair.a == i || pair.b == i) && was_compared(pair.status);
        })) {
      voters.push_back(i);
    }
  }
  const size_t n = voters.size();
  if (n < 3) return std::nullopt;
  const auto is_voter = [&](size_t i) {
    return std::find(voters.begin(), voters.end(), i) != voters.end();
  };
  std::vector<size_t> n_differ(names.size());
  size_t n_compared = 0, n_apart = 0;
  for (const PairOutcome& pair : outcomes) {
    if (!is_voter(pair.a) || !is_voter(pair.b) || !was_compared(pair.status)) continue;
    ++n_compared;
    if (pair.status == Status::agree) continue;
    ++n_apart;
    ++n_differ[pair.a];
    ++n_differ[pair.b];
  }
  // All pairs are known, and those apart are exactly those of one participant.
  if (n_compared != n * (n - 1) / 2 || n_apart != n - 1) return std::nullopt;
  const auto outlier = std::find(n_differ.begin(), n_differ.end(), n - 1);
  if (outlier == n_differ.end()) return std::nullopt;
  const auto who = static_cast<size_t>(outlier - n_differ.begin());
  Vote result;
  result.outlier = names[who];
  for (size_t i : voters) {
    if (i != who) result.agreeing.push_back(names[i]);
  }
  result.reason = fmt::format("{} differs from {}, which agree with one another", result.outlier,
                              join(result.agreeing));
  return result;
}

}  // namespace crossval
