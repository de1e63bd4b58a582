#include "render/text.h"

#include <fmt/format.h>

#include <algorithm>

#include "render/paint.h"
#include "render/visible.h"

namespace crossval {
namespace {

constexpr int kTokenColumns = 16;
std::string right(const std::string& text, int width) {
  const int missing = width - columns(text);
  return missing > 0 ? std::string(missing, ' ') + text : text;
}

std::string left(const std::string& text, int width) {
  const int missing = width - columns(text);
  return missing > 0 ? text + std::string(missing, ' ') : text;
}

// A piece in quotes, so that its spaces show, clipped to the column.
std::string piece_cell(const std::string& piece, int width) {
  std::string inner = visible_cell(piece, width - 2);
  const std::string whole = visible(std::string_view(piece).substr(0, 8 * kTokenColumns));
  if (columns(whole) <= width - 2 && piece.size() <= 8 * kTokenColumns) {
    return left(fmt::format("\"{}\"", whole), width);
  }
  return fmt::format("\"{}\"", inner);
}

std::string token_words(const std::optional<TokenText>& token) {
  if (!token) return "nothing (it has ended)";
  return fmt::format("{} \"{}\"", token->id, visible(token->text));
}

std::string engine_words(const EngineReport& engine) {
  std::string out = engine.info.name;
  if (!engine.info.version.empty()) out += " " + engine.info.version;
  if (!engine.numerics.empty()) out += ", " + engine.numerics + " arithmetic";
  if (engine.info.n_threads > 0) out += fmt::format(", {} threads", engine.info.n_threads);
  if (!engine.selected_by.empty()) out += ", selected by " + engine.selected_by;
  return visible(out);
}

std::string count_words(int64_t n) {
  if (n >= 1'000'000'000) return fmt::format("{:.2f} G", static_cast<double>(n) / 1e9);
  if (n >= 1'000'000) return fmt::format("{:.1f} M", static_cast<double>(n) / 1e6);
  return fmt::format("{}", n);
}

std::string model_words(const ModelReport& model) {
  std::string out = model.path;
  if (!model.architecture.empty()) out += ", " + model.architecture;
  if (!model.quantization.empty()) out += " " + model.quantization;
  if (model.n_params) out += ", " + count_words(*model.n_params) + " parameters";
  if (model.n_layers) out += fmt::format(", {} layers", *model.n_layers);
  if (model.n_vocab) out += fmt::format(", vocabulary {}", *model.n_vocab);
  return visible(out);
}

void add_line(std::string& out, const char* name, const std::string& words) {
  out += fmt::format("{:<8} {}\n", name, words);
}

std::string prompt_words(const PromptReport& prompt, const std::optional<std::vector<TokenId>>& ids,
                         std::optional<bool> match) {
  std::string out = prompt.template_name ? "template " + visible(*prompt.template_name) : "ids";
  if (ids) out += fmt::format(", {} ids", ids->size());
  if (match) out += *match ? ", the same on both sides" : ", not the same on both sides";
  return out;
}

std::string table_header(const MetricSet& metrics) {
  std::string out = fmt::format("{:>6} {:<6} {}", "pos", "phase", left("token", kTokenColumns));
  for (const MetricInfo& info : metric_table()) {
    if (has(metrics, info.metric)) out += fmt::format(" {}", right(info.header, info.columns));
  }
  return out + fmt::format(" {:>8} {}", "noise", "verdict");
}

std::string table_row(const JudgedPosition& position, const MetricSet& metrics,
                      const RenderOptions& options) {
  const ComparedPosition& c = position.compared;
  std::string out = fmt::format("{:>6} {:<6} {}", c.index, phase_name(c.phase),
                                piece_cell(c.token.text, kTokenColumns));
  for (const MetricInfo& info : metric_table()) {
    if (has(metrics, info.metric))
      out += fmt::format(" {}", right(info.cell(c.metrics), info.columns));
  }
  std::string ratio = "-";
  if (position.noise_ratio) ratio = fmt::format("{:.3g}x", *position.noise_ratio);
  const char* ansi = position.verdict == Verdict::ok      ? kGreen
                     : position.verdict == Verdict::noise ? kYellow
                                                          : kRed;
  return out +
         fmt::format(" {:>8} {}", ratio, paint(verdict_name(position.verdict), ansi, options));
}

std::string mismatch_table(const TokenMismatch& m, const RenderOptions& options) {
  constexpr int width = 30;
  std::string out = fmt::format("{:>8}  {} {}\n", "index", left("engine", width), "backend");
  const auto cell = [&](const std::vector<TokenText>& side, size_t i) {
    if (i >= side.size()) return left("-", width);
    const std::string id = fmt::format("{} ", side[i].id);
    return id + piece_cell(side[i].text, width - static_cast<int>(id.size()));
  };
  const size_t n = std::max(m.engine_near.size(), m.backend_near.size());
  for (size_t i = 0; i < n; ++i) {
    const int index = m.first_shown + static_cast<int>(i);
    std::string line = fmt::format("{} {:>6}  {} {}", index == m.index ? ">" : " ", index,
                                   cell(m.engine_near, i), cell(m.backend_near, i));
    line.erase(line.find_last_not_of(' ') + 1);
    out += (index == m.index ? paint(line, kRed, options) : line) + "\n";
  }
  return out;
}

std::string plural(int64_t n, const char* word) {
  return fmt::format("{} {}{}", n, word, n == 1 ? "" : "s");
}

std::string cosine_words(const Summary& s) {
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

std::string shift_words(const Summary& s) {
  if (!s.shift) return "";
  return fmt::format(
      "\nshift: the {}'s row p is the {}'s row p+1 at most positions: the two sides are off by one",
      *s.shift > 0 ? "engine" : "backend", *s.shift > 0 ? "backend" : "engine");
}

std::string agree_words(const Report& report) {
  const Summary& s = *report.summary;
  std::string out = fmt::format("agree: {} of {} within tolerance; {}; {}{}", s.n_positions,
                                plural(s.n_positions, "position"), cosine_words(s),
                                noise_words(s, report.tolerance), top1_words(report));
  if (s.n_noise > 0) {
    out += fmt::format("\nnoise: {} below cosine {:g}, as far apart as this model's own rounding",
                       plural(s.n_noise, "position"), report.tolerance.cos_tol);
  }
  if (s.above_noise.value_or(0) > 0) {
    out += fmt::format(
        "\nnote: {} within the cosine but farther apart than rounding explains; `crossval trace` "
        "with the same flags looks for the tensor",
        plural(*s.above_noise, "position"));
  }
  return out + shift_words(s);
}

std::string diverged_words(const Report& report) {
  const Summary& s = *report.summary;
  std::string out = "diverged: ";
  if (s.first_divergence) {
    out += fmt::format("{} of {} beyond tolerance, the first is position {}", s.n_diverged,
                       plural(s.n_positions, "position"), *s.first_divergence);
  } else {
    out += fmt::format("{} within tolerance, but a weight is not a number",
                       plural(s.n_positions, "position"));
  }
  out += fmt::format("; {}; {}{}", cosine_words(s), noise_words(s, report.tolerance),
                     top1_words(report));
  if (!report.non_finite_weight.empty()) {
    out +=
        fmt::format("\nnan/inf: the model file holds one at {}", visible(report.non_finite_weight));
  }
  if (s.n_non_finite > 0) {
    out += fmt::format("\nnan/inf: {} with logits that are not numbers",
                       plural(s.n_non_finite, "position"));
  }
  out += shift_words(s);
  if (!s.shift && report.non_finite_weight.empty()) {
    out += "\nnext: `crossval trace` with the same flags names the first tensor that differs";
  }
  return out;
}

}  // namespace

std::string error_text(const ErrorReport& error, Status status, const RenderOptions& options) {
  std::string out =
      paint(fmt::format("{}: {}", status_name(status), visible(error.what)), kRed, options);
  if (!error.code.empty()) out += fmt::format(" [{}]", error.code);
  out += "\n";
  if (!error.where.empty()) out += fmt::format("  where: {}\n", visible(error.where));
  if (!error.fix.empty()) out += fmt::format("  fix:   {}\n", visible(error.fix));
  return out;
}

std::string meaning_text(const Report& report) {
  if (report.status == Status::token_mismatch && report.tokens.first_mismatch) {
    const TokenMismatch& m = *report.tokens.first_mismatch;
    return fmt::format(
        "token_mismatch: the ids differ first at index {}: engine {}, backend {}; logits were not "
        "computed\nhint: {}",
        m.index, token_words(m.engine), token_words(m.backend), visible(m.hint));
  }
  if (!report.summary) {
    return report.status == Status::agree
               ? "agree: the ids are the same; logits were not compared"
               : fmt::format("{}: nothing was compared", status_name(report.status));
  }
  return report.status == Status::agree ? agree_words(report) : diverged_words(report);
}

std::string token_list_text(const std::string& side, std::span<const TokenText> tokens) {
  std::string out = fmt::format("{}: {} ids\n", visible(side), tokens.size());
  for (size_t i = 0; i < tokens.size(); ++i) {
    out += fmt::format("{:>6} {:>8} \"{}\"\n", i, tokens[i].id, visible(tokens[i].text));
  }
  return out;
}

std::string heading_text(const Report& report) {
  std::string out;
  if (!report.model.path.empty()) add_line(out, "model", model_words(report.model));
  if (report.tokens.engine) {
    add_line(out, "prompt", prompt_words(report.prompt, report.tokens.engine, report.tokens.match));
  }
  return out;
}

std::string log_text(const Report& report) {
  std::string out;
  if (report.status != Status::diverged) return out;
  for (const auto* side : {&report.engine, &report.backend}) {
    if (!*side || (*side)->log.empty()) continue;
    out += fmt::format("{} said:\n", visible((*side)->info.name));
    for (const std::string& line : (*side)->log) out += fmt::format("  | {}\n", visible(line));
  }
  return out;
}

std::string sides_text(const Report& report) {
  std::string out;
  if (!report.model.path.empty()) add_line(out, "model", model_words(report.model));
  if (report.engine) add_line(out, "engine", engine_words(*report.engine));
  if (report.backend) add_line(out, "backend", engine_words(*report.backend));
  if (report.tokens.engine) {
    add_line(out, "prompt", prompt_words(report.prompt, report.tokens.engine, report.tokens.match));
  }
  return out;
}

std::string mismatch_text(const Report& report, const RenderOptions& options) {
  if (!report.tokens.first_mismatch) return "";
  return fmt::format("\n{}", mismatch_table(*report.tokens.first_mismatch, options));
}

std::string per_token_text(const Report& report, const RenderOptions& options) {
  std::string out = sides_text(report);
  if (!report.positions.empty()) {
    out += fmt::format("\n{}\n", paint(table_header(report.metrics), kBold, options));
    for (const JudgedPosition& position : report.positions) {
      out += table_row(position, report.metrics, options) + "\n";
    }
  }
  out += mismatch_text(report, options);
  if (!out.empty()) out += "\n";
  if (report.error) return out + error_text(*report.error, report.status, options);
  const char* ansi = report.status == Status::agree ? kGreen : kRed;
  std::string meaning = meaning_text(report);
  const size_t end = std::min(meaning.find('\n'), meaning.size());
  return out + paint(meaning.substr(0, end), ansi, options) + meaning.substr(end) + "\n" +
         log_text(report);
}

std::string run_text(const RunReport& report, const RenderOptions& options) {
  std::string out;
  if (!report.model.path.empty()) add_line(out, "model", model_words(report.model));
  if (report.engine) add_line(out, "engine", engine_words(*report.engine));
  if (report.tokens) {
    add_line(out, "prompt", prompt_words(report.prompt, report.tokens, std::nullopt));
  }
  if (!report.positions.empty()) {
    const std::string header =
        fmt::format("{:>6} {:<6} {} {}", "pos", "phase", left("token", kTokenColumns),
                    "most likely next (logit)");
    out += fmt::format("\n{}\n", paint(header, kBold, options));
  }
  for (const RunPosition& position : report.positions) {
    out += fmt::format("{:>6} {:<6} {}", position.index, phase_name(position.phase),
                       piece_cell(position.token.text, kTokenColumns));
    for (const RunPosition::Candidate& candidate : position.top) {
      out += fmt::format("  \"{}\" {:.4f}", visible(candidate.token.text), candidate.logit);
    }
    out += "\n";
  }
  if (!out.empty()) out += "\n";
  if (report.error) return out + error_text(*report.error, report.status, options);
  std::string rates;
  if (report.prompt_tokens_per_second) {
    rates += fmt::format("prompt {:.1f} tokens/s, ", *report.prompt_tokens_per_second);
  }
  if (report.decode_tokens_per_second) {
    rates += fmt::format("decode {:.1f} tokens/s, ", *report.decode_tokens_per_second);
  }
  if (report.peak_rss_bytes) {
    rates += fmt::format("peak memory {} MiB, ", *report.peak_rss_bytes / (1 << 20));
  }
  return out + fmt::format("{}: {}{:.0f} ms in all\n",
                           report.status == Status::agree ? "ok" : status_name(report.status),
                           rates, report.total_ms);
}

}  // namespace crossval
