// What the sections of a report share: verdict, sides, ids, errors, times, engine logs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "render/html.h"
#include "render/log_chart.h"
#include "render/receipt_value.h"
#include "verdict/finding_words.h"

namespace crossval {

// A number for people; "-" where it is unknown or was not finite.
std::string figure(const std::optional<double>& value);
std::string count_words(const std::optional<int64_t>& value);
// 17 " piece"
std::string token_words(const ReceiptValue& token);
// The name without its folders.
std::string file_name(const std::string& path);
// "llama.cpp 0.5.0"
std::string engine_name(const ReceiptValue& engine);

// Colour and word: a mark, the status.
void add_badge(const std::string& status, Html& out);
// The finding's headline, as text says it; of a receipt that is older than findings, or without
// one, what can be said of it all the same.
std::string headline_of(const ReceiptValue& receipt);
// The badge, the headline, the notes under it, the error.
void add_verdict(const ReceiptValue& receipt, Html& out);
void add_error(const ReceiptValue& error, Html& out);
// Model, prompt, engines with their settings, tolerance: what was compared.
void add_sides(const ReceiptValue& receipt, Html& out);
// The ids around the first mismatch; nothing when there is none.
void add_mismatch(const ReceiptValue& tokens, Html& out);
void add_timing(const ReceiptValue& timing, Html& out);
void add_logs(const ReceiptValue& receipt, Html& out);

// At most about ten round ones of the numbers of the points.
std::vector<ChartTick> round_ticks(const std::vector<int64_t>& numbers);

}  // namespace crossval
