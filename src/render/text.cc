#include "render/text.h"

#include <fmt/format.h>

#include <algorithm>

#include "render/conversion_text.h"
#include "render/inspect_text.h"
#include "render/paint.h"
#include "render/trace_text.h"
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

std::string engine_words(const EngineReport& engine, bool tell_apart) {
  std::string out = engine.info.name;
  if (!engine.info.version.empty()) out += " " + engine.info.version;
  if (tell_apart && !engine.info.commit.empty()) out += " (" + engine.info.commit + ")";
  if (!engine.numerics.empty()) out += ", " + engine.numerics + " arithmetic";
  if (engine.info.n_threads > 0) out += fmt::format(", {} threads", engine.info.n_threads);
  if (!engine.info.device.empty()) out += ", on " + engine.info.device;
  if (!engine.selected_by.empty()) out += ", selected by " + engine.selected_by;
  if (tell_apart && !engine.info.library.empty()) out += ", " + engine.info.library;
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
    if (has(metrics, info)) out += fmt::format(" {}", right(info.header, info.columns));
  }
  return out + fmt::format(" {:>8} {}", "noise", "verdict");
}

std::string table_row(const JudgedPosition& position, const MetricSet& metrics,
                      const RenderOptions& options) {
  const ComparedPosition& c = position.compared;
  std::string out = fmt::format("{:>6} {:<6} {}", c.index, phase_name(c.phase),
                                piece_cell(c.token.text, kTokenColumns));
  for (const MetricInfo& info : metric_table()) {
    if (has(metrics, info)) {
      out += fmt::format(" {}", right(metric_cell(info, c.metrics), info.columns));
    }
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

}  // namespace

std::string error_text(const ErrorReport& error, Status status, const RenderOptions& options) {
  // The first line names it; those behind it are an engine's own words.
  const size_t end = std::min(error.what.find('\n'), error.what.size());
  std::string out =
      paint(fmt::format("{}: {}", status_name(status), visible(error.what.substr(0, end))), kRed,
            options);
  if (!error.code.empty()) out += fmt::format(" [{}]", visible(error.code));
  out += "\n";
  for (size_t at = end; at < error.what.size();) {
    const size_t next = std::min(error.what.find('\n', at + 1), error.what.size());
    out += fmt::format("  | {}\n", visible(error.what.substr(at + 1, next - at - 1)));
    at = next;
  }
  if (!error.where.empty()) out += fmt::format("  where: {}\n", visible(error.where));
  if (!error.fix.empty()) out += fmt::format("  fix:   {}\n", visible(error.fix));
  return out;
}

std::string finding_text(const Finding& finding, const char* status) {
  std::string out = fmt::format("{}: {}", status, visible(finding.headline));
  for (const std::string& note : finding.notes) out += "\n" + visible(note);
  return out;
}

std::string meaning_text(const Report& report) {
  return finding_text(finding_of(report), status_name(report.status));
}

std::string painted_meaning(const std::string& meaning, bool good, const RenderOptions& options) {
  const size_t end = std::min(meaning.find('\n'), meaning.size());
  return paint(meaning.substr(0, end), good ? kGreen : kRed, options) + meaning.substr(end) + "\n";
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
  const bool alike =
      report.engine && report.backend && report.engine->info.name == report.backend->info.name;
  if (report.engine) add_line(out, "engine", engine_words(*report.engine, alike));
  if (report.backend) add_line(out, "backend", engine_words(*report.backend, alike));
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
  return out + painted_meaning(meaning_text(report), report.status == Status::agree, options) +
         log_text(report);
}

std::string run_text(const RunReport& report, const RenderOptions& options) {
  std::string out;
  if (!report.model.path.empty()) add_line(out, "model", model_words(report.model));
  if (report.engine) add_line(out, "engine", engine_words(*report.engine, false));
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
  return out +
         finding_text(finding_of(report),
                      report.status == Status::agree ? "ok" : status_name(report.status)) +
         "\n";
}

std::string text_result(const Result& result, const RenderOptions& options) {
  if (const auto* report = std::get_if<Report>(&result)) return per_token_text(*report, options);
  if (const auto* report = std::get_if<ParityReport>(&result)) return parity_text(*report, options);
  if (const auto* report = std::get_if<RunReport>(&result)) return run_text(*report, options);
  if (const auto* report = std::get_if<InspectReport>(&result)) return inspect_text(*report);
  if (const auto* report = std::get_if<ConversionReport>(&result)) return conversion_text(*report);
  return trace_text(std::get<TraceReport>(result), options);
}

}  // namespace crossval
