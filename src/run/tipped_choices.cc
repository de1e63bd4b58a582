#include "run/tipped_choices.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "compare/distance.h"
#include "native/support.h"

namespace crossval {
namespace {

// More diverged positions than these are not single choices that tipped, nor do more than so many
// of one token's choices get tried.
constexpr size_t kMaxPositions = 16, kMaxTries = 4;

struct Suspect {
  const FarRows::Rows* rows = nullptr;
  double most = 0;                   // the distance that rounding explains
  std::vector<NarrowChoice> narrow;  // the narrowest first
  std::optional<int> layer;          // of the choice that explains it
  double distance = 0;               // between the two sides
};

using Logits = std::vector<std::vector<float>>;  // of each suspect's position

Logits evaluate(LoadedModel& model, const NativeOptions& options, std::span<const TokenId> ids,
                const std::vector<Suspect>& suspects) {
  const auto native = model.open_native(options);
  native->reset(static_cast<int>(ids.size()));
  native->eval(ids);
  Logits logits;
  for (const Suspect& suspect : suspects) {
    logits.emplace_back(static_cast<size_t>(native->info().n_vocab));
    native->read_logits(suspect.rows->position, 1, logits.back());
  }
  return logits;
}

bool is_near(const std::vector<float>& a, const std::vector<float>& b, double most) {
  return a.size() == b.size() && relative_distance(a, b) <= most;
}

// One side is where native is, the other where native with the other expert is.
bool explains(const Suspect& suspect, const std::vector<float>& as_is,
              const std::vector<float>& tipped) {
  const FarRows::Rows& rows = *suspect.rows;
  const auto stand = [&](const std::vector<float>& one, const std::vector<float>& other) {
    return is_near(as_is, one, suspect.most) && is_near(tipped, other, suspect.most);
  };
  return stand(rows.engine, rows.backend) || stand(rows.backend, rows.engine);
}

// The positions that diverge; empty when a choice cannot be what parts all of them.
std::vector<Suspect> find_suspects(const Judgement& judgement, const FarRows& far) {
  std::vector<Suspect> suspects;
  for (const JudgedPosition& position : judgement.positions) {
    if (position.verdict != Verdict::diverged) continue;
    const FarRows::Rows* rows = far.find(position.compared.index);
    const auto& distance = position.compared.metrics.rel_l2;
    if (rows == nullptr || !distance || !position.noise_ratio || *position.noise_ratio <= 0 ||
        suspects.size() == kMaxPositions) {
      return {};
    }
    const double noise = *distance / *position.noise_ratio;
    suspects.push_back({.rows = rows,
                        .most = noise * noise_ratio_limit(1, judgement.summary.rounds_alike),
                        .narrow = {},
                        .layer = {},
                        .distance = *distance});
  }
  return suspects;
}

void explain(LoadedModel& model, std::span<const TokenId> ids, const NoiseRuns& runs,
             std::vector<Suspect>& suspects) {
  NoiseRuns logged = runs;
  logged.base.routing_log = std::make_shared<RoutingLog>();
  logged.other.routing_log = std::make_shared<RoutingLog>();
  const Logits as_is = evaluate(model, logged.base, ids, suspects);
  evaluate(model, logged.other, ids, {});
  const auto narrow = narrow_choices(*logged.base.routing_log, *logged.other.routing_log);
  for (Suspect& suspect : suspects) {
    std::ranges::copy_if(narrow, std::back_inserter(suspect.narrow), [&](const NarrowChoice& one) {
      return one.position == suspect.rows->position;
    });
  }
  for (size_t nth = 0; nth < kMaxTries; ++nth) {
    const auto to_try = [&](const Suspect& one) { return !one.layer && nth < one.narrow.size(); };
    auto tips = std::make_shared<RoutingTips>();
    for (const Suspect& one : suspects) {
      if (to_try(one)) tips->emplace(one.rows->position, one.narrow[nth].layer);
    }
    if (tips->empty()) return;
    NativeOptions options = runs.base;
    options.routing_tips = std::move(tips);
    const Logits tipped = evaluate(model, options, ids, suspects);
    for (size_t i = 0; i < suspects.size(); ++i) {
      Suspect& one = suspects[i];
      if (to_try(one) && explains(one, as_is[i], tipped[i])) one.layer = one.narrow[nth].layer;
    }
  }
}

bool chooses_experts(const LoadedModel& model) {
  const ModelFile& file = model.file();
  return file.get_int(file.architecture() + ".expert_count").value_or(0) > 0 &&
         !native_unsupported_reason(file);
}

}  // namespace

void FarRows::rows(const RowBlock& block) {
  constexpr size_t max_kept_bytes = 64 << 20;
  const size_t row_size_bytes = 2 * sizeof(float) * static_cast<size_t>(block.n_vocab);
  for (const ComparedPosition& position : comparison_.positions()) {
    const int at = position.index - block.first_position;
    if (at < 0 || at >= block.n_rows()) continue;
    if (!position.metrics.cosine || *position.metrics.cosine >= cos_tol_) continue;
    if ((kept_.size() + 1) * row_size_bytes > max_kept_bytes) return;
    const auto engine = block.row(Side::engine, at), backend = block.row(Side::backend, at);
    kept_.push_back(
        {position.index, {engine.begin(), engine.end()}, {backend.begin(), backend.end()}});
  }
}

const FarRows::Rows* FarRows::find(int position) const {
  const auto found = std::ranges::find(kept_, position, &Rows::position);
  return found == kept_.end() ? nullptr : &*found;
}

Judgement judge_with_choices(Comparison& comparison, const FarRows& far, const Tolerance& tolerance,
                             const NoiseScale& scale, LoadedModel* model,
                             const std::vector<TokenId>& ids, const NoiseRuns& runs,
                             Progress& progress, std::vector<std::string>& remarks) {
  Judgement judgement = judge(comparison, tolerance, scale);
  if (judgement.status != Status::diverged || model == nullptr || !chooses_experts(*model)) {
    return judgement;
  }
  std::vector<Suspect> suspects = find_suspects(judgement, far);
  if (suspects.empty()) return judgement;
  progress.stage("trying other choices of experts");
  const auto n_ids = static_cast<size_t>(suspects.back().rows->position) + 1;
  explain(*model, std::span(ids).first(n_ids), runs, suspects);
  progress.stage("");
  for (const Suspect& one : suspects) {
    if (!one.layer) continue;
    comparison.raise_rounding(one.rows->position, one.distance);
    remarks.push_back(fmt::format(
        "note: position {} parts by a choice of experts that rounding tips: with the other expert "
        "in layer {} native comes from one side to the other",
        one.rows->position, *one.layer));
  }
  return judge(comparison, tolerance, scale);
}

}  // namespace crossval
