// The sentences of per-token and compare.
#include <fmt/format.h>

#include <algorithm>

#include "verdict/finding.h"
#include "verdict/finding_words.h"
#include "verdict/report.h"

namespace crossval {
namespace {

std::string token_words(const std::optional<TokenText>& token) {
  if (!token) return "nothing (it has ended)";
  return fmt::format("{} \"{}\"", token->id, token->text);
}

std::string cosine_words(const Summary& s) {
  if (s.max_top_rms) {
    return fmt::format(
        "log-probabilities of the {} or more tokens that both sides gave at most "
        "{:.2g} nats apart (root mean square), at position {}",
        s.fewest_common.value_or(0), *s.max_top_rms, *s.max_top_rms_at);
  }
  if (s.fewest_common) return "no token that both sides gave";
  if (!s.min_cosine) return "no cosine could be computed";
  return fmt::format("lowest cosine {:.7f} at position {}", *s.min_cosine, *s.min_cosine_at);
}

std::string noise_words(const Summary& s, const Tolerance& tolerance) {
  if (!s.max_noise_ratio) {
    return tolerance.gate == Gate::automatic
               ? "the rounding noise was not measured, so the cosine alone decides"
               : "the rounding noise was not measured";
  }
  std::string words = fmt::format("distance at most {:.2g} times the rounding noise (limit {:.2g})",
                                  *s.max_noise_ratio, noise_ratio_limit(1, s.rounds_alike));
  if (s.max_near_noise_ratio) {
    words += fmt::format(", {:.2g} times around a position (limit {:.2g})", *s.max_near_noise_ratio,
                         noise_ratio_limit(2 * kRatioWindow + 1, s.rounds_alike));
  }
  return words;
}

std::string top1_words(const Report& report) {
  const Summary& s = *report.summary;
  if (!s.top1_agreement) return "";
  const auto& positions = report.positions;
  const auto same = std::count_if(positions.begin(), positions.end(), [](const auto& p) {
    return p.compared.metrics.top1.match.value_or(false);
  });
  std::string out = fmt::format("; most likely token the same at {} of {}", same, s.n_positions);
  if (s.n_ties > 0) out += fmt::format(" ({})", plural(s.n_ties, "tie"));
  return out;
}

void add_shift(const Summary& s, Finding& finding) {
  if (!s.shift) return;
  finding.notes.push_back(fmt::format(
      "shift: the {}'s row p is the {}'s row p+1 at most positions: the two sides are off by one",
      *s.shift > 0 ? "engine" : "backend", *s.shift > 0 ? "backend" : "engine"));
}

Finding of_agreement(const Report& report) {
  const Summary& s = *report.summary;
  Finding finding;
  finding.headline = fmt::format("{} of {} within tolerance; {}; {}{}", s.n_positions,
                                 plural(s.n_positions, "position"), cosine_words(s),
                                 noise_words(s, report.tolerance), top1_words(report));
  if (s.n_noise > 0 && s.fewest_common) {
    finding.notes.push_back(
        fmt::format("noise: {} farther apart than a cosine of {:g} comes to, as far as this "
                    "model's own rounding",
                    plural(s.n_noise, "position"), report.tolerance.cos_tol));
  } else if (s.n_noise > 0) {
    finding.notes.push_back(
        fmt::format("noise: {} below cosine {:g}, as far apart as this model's own rounding",
                    plural(s.n_noise, "position"), report.tolerance.cos_tol));
  }
  if (s.above_noise.value_or(0) > 0) {
    finding.notes.push_back(fmt::format(
        "note: {} within the cosine but farther apart than rounding explains; `crossval trace` "
        "with the same flags looks for the tensor",
        plural(*s.above_noise, "position")));
  }
  add_shift(s, finding);
  return finding;
}

Finding of_unknown(const Report& report) {
  const Summary& s = *report.summary;
  return {
      fmt::format("{} of {} below the cosine, the first is position {}: rounding or a fault, which "
                  "only the noise of this model could tell, and it was not measured; {}",
                  s.n_diverged, plural(s.n_positions, "position"), s.first_divergence.value_or(0),
                  cosine_words(s)),
      {"next: measure it (`crossval compare A B --model FILE`, `crossval per-token --engine "
       "native`), "
       "or let the cosine alone decide with --gate cosine"}};
}

// Where in the run the two part says what kind of fault it is.
void add_pattern(const Report& report, Finding& finding) {
  int n_prompt = 0, n_prompt_diverged = 0, n_decode = 0, n_decode_diverged = 0;
  for (const JudgedPosition& p : report.positions) {
    const bool diverged = p.verdict == Verdict::diverged;
    const bool is_prompt = p.compared.phase == Phase::prompt;
    (is_prompt ? n_prompt : n_decode) += 1;
    (is_prompt ? n_prompt_diverged : n_decode_diverged) += diverged;
  }
  const int n = n_prompt + n_decode, n_diverged = n_prompt_diverged + n_decode_diverged;
  if (n_prompt > 1 && n_prompt_diverged == 0 && n_decode > 0 && n_decode_diverged == n_decode) {
    finding.notes.emplace_back(
        "pattern: all of the prompt agrees, none of the decoding does: what is kept between calls "
        "is wrong, the cache or the positions");
  } else if (n > 2 && n_diverged == n - 1 && report.positions.front().compared.index == 0 &&
             report.positions.front().verdict != Verdict::diverged) {
    finding.notes.emplace_back(
        "pattern: position 0 agrees, all later ones do not: what depends on the position is wrong, "
        "rope, its positions or the mask");
  }
}

bool is_recording(const std::optional<EngineReport>& engine) {
  return engine && engine->info.settings.contains("trace");
}

Finding of_divergence(const Report& report) {
  const Summary& s = *report.summary;
  Finding finding;
  finding.headline =
      s.first_divergence
          ? fmt::format("{} of {} beyond tolerance, the first is position {}", s.n_diverged,
                        plural(s.n_positions, "position"), *s.first_divergence)
          : fmt::format("{} within tolerance, but {}", plural(s.n_positions, "position"),
                        report.non_finite_weight.empty() ? "the two files are not the same model"
                                                         : "a weight is not a number");
  finding.headline += fmt::format("; {}; {}{}", cosine_words(s), noise_words(s, report.tolerance),
                                  top1_words(report));
  if (!report.non_finite_weight.empty()) {
    finding.notes.push_back(
        fmt::format("nan/inf: the model file holds one at {}", report.non_finite_weight));
  }
  if (s.n_non_finite > 0) {
    finding.notes.push_back(fmt::format(
        "nan/inf: {} with logits that are not numbers; the others of a row are compared",
        plural(s.n_non_finite, "position")));
  }
  add_shift(s, finding);
  add_pattern(report, finding);
  if (!s.shift && report.non_finite_weight.empty()) {
    finding.notes.emplace_back(
        is_recording(report.engine) || is_recording(report.backend)
            ? "next: logits do not tell the tensor; `crossval trace --model FILE` on the engines "
              "names it, and so does `crossval trace-diff` where both files hold tensors"
            : "next: `crossval trace` with the same flags names the first tensor that differs");
  }
  return finding;
}

}  // namespace

Finding finding_of(const Report& report) {
  if (report.error) {
    Finding finding{report.error->what, {}};
    if (report.tokens.first_mismatch) {
      finding.notes.push_back("hint: " + report.tokens.first_mismatch->hint);
    }
    return finding;
  }
  if (report.status == Status::token_mismatch && report.tokens.first_mismatch) {
    const TokenMismatch& m = *report.tokens.first_mismatch;
    return {fmt::format("the ids differ first at index {}: engine {}, backend {}; logits were not "
                        "computed",
                        m.index, token_words(m.engine), token_words(m.backend)),
            {"hint: " + m.hint}};
  }
  if (!report.summary) {
    return {report.status == Status::agree ? "the ids are the same; logits were not compared"
                                           : "nothing was compared",
            {}};
  }
  Finding finding = report.status == Status::agree          ? of_agreement(report)
                    : report.status == Status::inconclusive ? of_unknown(report)
                                                            : of_divergence(report);
  add_model_diff(report.model_diff, finding);
  finding.notes.insert(finding.notes.end(), report.remarks.begin(), report.remarks.end());
  return finding;
}

}  // namespace crossval
