// Two right runs of a mixture of experts may take another expert where two are equally wanted:
// rounding tips the choice, and the logits of that position part by far more than rounding. Whether
// that is what happened is computed: native takes the other expert, and is then on the other side.
#pragma once

#include <string>
#include <vector>

#include "run/drive.h"
#include "run/loaded_model.h"
#include "run/noise_runs.h"
#include "run/progress.h"
#include "verdict/judge.h"

namespace crossval {

// Keeps both sides' rows of positions whose cosine is too low, the first 64 MB of them.
class FarRows : public Observer {
 public:
  struct Rows {
    int position = 0;
    std::vector<float> engine, backend;
  };

  // `comparison` is fed before this observer.
  FarRows(const Comparison& comparison, double cos_tol)
      : comparison_(comparison), cos_tol_(cos_tol) {}
  void rows(const RowBlock& block) override;

  const Rows* find(int position) const;

 private:
  const Comparison& comparison_;
  double cos_tol_;
  std::vector<Rows> kept_;
};

// Judges. Where a few positions diverge, the model chooses experts and native runs it, those that a
// tipped choice explains count as noise; each is said in `remarks`. `model` may be null: unknown.
Judgement judge_with_choices(Comparison& comparison, const FarRows& far, const Tolerance& tolerance,
                             const NoiseScale& scale, LoadedModel* model,
                             const std::vector<TokenId>& ids, const NoiseRuns& runs,
                             Progress& progress, std::vector<std::string>& remarks);

}  // namespace crossval
