// A row of which only the most likely tokens are known, with their log-probabilities: what servers
// give. What comes from outside is checked here, before anybody compares it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace crossval {

struct TopEntry {
  int32_t token;
  float logit;  // of a partial row its log-probability
};

// Most likely first. What is not in it is at most as likely as its last.
using TopRow = std::vector<TopEntry>;

// Puts the entries in order: equal ones by the lower id first, as greedy samplers choose. Throws
// backend_failed "bad_top_row" for what no row can be: nothing at all, NaN, a probability above 1
// of one or of all, an id twice, or beyond n_vocab (0 = unknown). `who` and `where` are for the
// message.
void settle_top_row(TopRow& row, int n_vocab, const std::string& who, const std::string& where);

}  // namespace crossval
