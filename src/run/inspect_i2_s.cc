#include "run/inspect_i2_s.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "quant/i2_s_census.h"
#include "quant/i2_s_guess.h"
#include "quant/i2_s_wraps.h"

namespace crossval {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kDamageNote =
    "bitnet.cpp's quantiser run with more than one thread writes such files: quantise again with "
    "one thread";
constexpr std::string_view kWrapNote =
    "bitnet.cpp's AVX2 kernel adds in int16: activations that nearly all lie at their largest "
    "magnitude could make it wrap in these rows, and its result would be wrong there; native's is "
    "not";

std::string names(const std::vector<I2sLayout>& layouts) {
  std::string text;
  for (const I2sLayout layout : layouts) {
    text += (text.empty() ? "" : ", ") + std::string(i2_s_layout_info(layout).name);
  }
  return text;
}

std::string why(const I2sDecision& decision) {
  if (decision.how == "flag") return "as --i2s-layout says";
  if (decision.how == "size") return "the tensors' sizes fit no other layout";
  if (decision.how == "shape") return "of this size, the other layouts have other row lengths";
  if (decision.others.empty()) return "assumed: the tensors' sizes fit no layout exactly";
  return fmt::format(
      "assumed: {} would look the same, and nothing in the file says which; a wrong layout gives "
      "garbage, --i2s-layout chooses another",
      names(decision.others));
}

std::string channel_note(I2sLayout assumed, std::optional<I2sLayout> likely) {
  if (!likely) {
    return "zeros do not follow the norm weights of their channels under any of these layouts, as "
           "they do in trained models: the weights do not tell the layout";
  }
  const std::string_view name = i2_s_layout_info(*likely).name;
  if (*likely == assumed) {
    return fmt::format(
        "zeros follow the norm weights of their channels under {} alone: it is "
        "this layout",
        name);
  }
  return fmt::format(
      "zeros follow the norm weights of their channels under {} alone: read it with "
      "--i2s-layout {}",
      name, name);
}

}  // namespace

Json i2_s_json(const ModelFile& model) {
  if (!model.i2_s()) return nullptr;
  const I2sDecision& decision = *model.i2_s();
  const I2sLayoutInfo& layout = i2_s_layout_info(decision.layout);
  ThreadPool pool(static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
  int64_t n_tensors = 0, n_codes[4] = {}, n_rows_at_risk = 0, n_tensors_at_risk = 0;
  int32_t largest_sum = 0;
  Json damaged = Json::array(), at_risk = Json::array();
  for (const TensorView& tensor : model.tensors()) {
    if (tensor.type != GgmlType::I2_S) continue;
    ++n_tensors;
    const I2sCensus census = count_i2_s(tensor, pool);
    for (size_t code = 0; code < 4; ++code) n_codes[code] += census.n_codes[code];
    const std::string damage = census.damage();
    if (!damage.empty()) damaged.push_back({{"tensor", tensor.name}, {"what", damage}});
    if (decision.layout != I2sLayout::x86 || tensor.shape[0] % layout.row_multiple != 0) continue;
    const I2sWrapRisk risk = i2_s_wrap_risk(tensor, pool);
    largest_sum = std::max(largest_sum, risk.largest);
    if (risk.n_rows == 0) continue;
    n_rows_at_risk += risk.n_rows;
    ++n_tensors_at_risk;
    at_risk.push_back(
        {{"tensor", tensor.name}, {"n_rows", risk.n_rows}, {"largest_sum", risk.largest}});
  }
  Json notes = Json::array({fmt::format("read as {}: {}", layout.what, why(decision))});
  const std::vector<I2sEvidence> evidence = i2_s_evidence(model, pool);
  const std::optional<I2sLayout> likely = i2_s_guess(evidence);
  if (decision.how == "assumed" && !evidence.empty()) {
    notes.push_back(channel_note(decision.layout, likely));
  }
  Json shown_evidence = Json::object();
  for (const I2sEvidence& of : evidence) {
    shown_evidence[i2_s_layout_info(of.layout).name] = of.evidence;
  }
  if (!damaged.empty()) notes.push_back(kDamageNote);
  if (!at_risk.empty()) notes.push_back(kWrapNote);
  Json others = Json::array();
  for (const I2sLayout other : decision.others) others.push_back(i2_s_layout_info(other).name);
  const bool four = layout.size_class != i2_s_layout_info(I2sLayout::x86).size_class;
  Json codes =
      four ? Json({{"-2", n_codes[0]}, {"-1", n_codes[1]}, {"+1", n_codes[2]}, {"+2", n_codes[3]}})
           : Json({{"-1", n_codes[0]}, {"0", n_codes[1]}, {"+1", n_codes[2]}, {"3", n_codes[3]}});
  return {{"n_tensors", n_tensors},
          {"layout",
           {{"name", layout.name},
            {"how", decision.how},
            {"others_possible", std::move(others)},
            {"why", why(decision)},
            {"likely", likely ? Json(i2_s_layout_info(*likely).name) : Json(nullptr)},
            {"evidence", std::move(shown_evidence)}}},
          {"codes", std::move(codes)},
          {"damaged", std::move(damaged)},
          {"int16_overflow",
           {{"n_tensors", n_tensors_at_risk},
            {"n_rows", n_rows_at_risk},
            {"largest_sum", largest_sum},
            {"tensors", std::move(at_risk)}}},
          {"notes", std::move(notes)}};
}

}  // namespace crossval
