// The pieces that the JSON of several commands is made of. Unknown = null; numbers that are not
// finite too.
#pragma once

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "render/renderers.h"
#include "verdict/report.h"

namespace crossval {

using Json = nlohmann::ordered_json;

inline Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

template <class T>
Json maybe(const std::optional<T>& value) {
  if (!value) return nullptr;
  if constexpr (std::is_same_v<T, double>) return number(*value);
  return *value;
}

// "" and 0 stand for unknown where the structs say so.
Json known(const std::string& text);
Json known(int value);

Json token_json(const TokenText& token);
Json model_json(const ModelReport& model);
Json prompt_json(const PromptReport& prompt);
// An engine that is not known yet shows every key with null.
Json engine_json(const std::optional<EngineReport>& report, bool is_backend);
Json tokens_json(const TokensReport& tokens);
Json position_json(const JudgedPosition& position, const MetricSet& metrics);
Json summary_json(const Report& report);
// `rounds_alike` of the summary, where there is one.
Json tolerance_json(const Tolerance& tolerance, bool rounds_alike = false);
Json stage(const std::optional<EngineTiming>& timing, double EngineTiming::*member);
Json timing_json(const TimingReport& timing);
Json error_json(const std::optional<ErrorReport>& error);

// One line for each member, and one for each element of its lists of objects: long runs stay
// readable, diffable and small. Ends with a newline.
std::string write_json(const Json& object, const RenderOptions& options);

}  // namespace crossval
