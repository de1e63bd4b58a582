#include "render/report_parts.h"

#include <algorithm>
#include <cmath>

namespace crossval {
namespace {

constexpr int64_t kNearMismatch = 4;  // ids shown on each side of the first mismatch

void add_row(const char* name, const std::string& words, Html& out) {
  if (!words.empty()) out.add("<dt>{}</dt><dd>{}</dd>\n", name, words);
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) {
    if (!part.empty()) out += (out.empty() ? "" : ", ") + part;
  }
  return out;
}

std::string with_label(const ReceiptValue& value, const char* before, const char* after = "") {
  const std::string words = value.scalar_words();
  return words.empty() ? "" : before + words + after;
}

std::string figure_label(const ReceiptValue& value, const char* after) {
  return value.is_null() ? "" : figure(value.number()) + after;
}

std::string model_words(const ReceiptValue& model) {
  return joined({model["path"].text_or("unknown"), model["architecture"].text_or(""),
                 model["quantization"].text_or(""), with_label(model["n_params"], "", " weights"),
                 with_label(model["n_layers"], "", " layers"),
                 with_label(model["n_vocab"], "vocabulary ")});
}

std::string engine_words(const ReceiptValue& engine, const ReceiptValue& model) {
  const std::string own = engine["model"].text_or("");
  const bool other_model = !own.empty() && own != model["path"].text_or("");
  return joined({engine_name(engine), with_label(engine["numerics"], "", " arithmetic"),
                 with_label(engine["n_threads"], "", " threads"),
                 with_label(engine["selected_by"], "selected by "),
                 with_label(engine["library"], ""), other_model ? "model " + own : ""});
}

std::string settings_words(const ReceiptValue& settings) {
  std::vector<std::string> parts;
  for (const auto& [key, value] : settings.members()) {
    parts.push_back(key + "=" + value.scalar_words());
  }
  return joined(parts);
}

std::string tolerance_words(const ReceiptValue& tolerance) {
  return joined({with_label(tolerance["gate"], "gate "),
                 with_label(tolerance["cos_tol"], "cosine "),
                 figure_label(tolerance["noise_ratio"], " times the noise at a position"),
                 figure_label(tolerance["near_noise_ratio"], " times around it")});
}

std::string milliseconds(double ms) {
  return ms >= 10'000 ? fmt::format("{:.1f} s", ms / 1000) : fmt::format("{:.1f} ms", ms);
}

void add_text_block(const char* title, const ReceiptValue& value, Html& out) {
  const std::string text = value.text_or("");
  if (text.empty()) return;
  out.add("<details><summary>{}, {}</summary><pre>", title,
          plural(static_cast<int64_t>(text.size()), "byte"));
  out.lines(text);
  out.add("</pre></details>\n");
}

std::string id_at(const std::vector<ReceiptValue>& ids, int64_t index) {
  if (index >= static_cast<int64_t>(ids.size())) return "(ended)";
  return ids[static_cast<size_t>(index)].scalar_words();
}

}  // namespace

std::string figure(const std::optional<double>& value) {
  if (!value) return "-";
  const double size = std::fabs(*value);
  if (size != 0 && (size < 1e-3 || size >= 1e5)) return fmt::format("{:.2e}", *value);
  return fmt::format("{:.4g}", *value);
}

std::string count_words(const std::optional<int64_t>& value) {
  return value ? fmt::format("{}", *value) : "-";
}

std::string token_words(const ReceiptValue& token) {
  if (token.is_null()) return "nothing (it has ended)";
  return fmt::format("{} \"{}\"", count_words(token["id"].integer()), token["text"].text_or(""));
}

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string engine_name(const ReceiptValue& engine) {
  const std::string name = engine["name"].text_or("unknown engine");
  const std::string version = engine["version"].text_or("");
  return version.empty() ? name : name + " " + version;
}

void add_badge(const std::string& status, Html& out) {
  const bool good = status == "agree" || status == "ok";
  const bool failed = status == "bad_input" || status == "backend_failed";
  out.add("<span class=\"badge {}\">{} {}</span>",
          good     ? "good"
          : failed ? "failed"
                   : "bad",
          good     ? "✓"
          : failed ? "!"
                   : "✗",
          status);
}

std::string headline_of(const ReceiptValue& receipt) {
  const ReceiptValue headline = receipt["finding"]["headline"];
  if (!headline.is_null()) return headline.text_or("");
  if (const ReceiptValue error = receipt["error"]; !error.is_null()) {
    return error["what"].text_or("an error without words");
  }
  const ReceiptValue first = receipt["first_divergence"];
  if (!first.is_null()) {
    return fmt::format("first at {} {}; worst at position {}", first["tensor"].text_or("(unnamed)"),
                       first["op"].text_or(""), count_words(first["position"].integer()));
  }
  return "no finding was saved with it";
}

void add_verdict(const ReceiptValue& receipt, Html& out) {
  out.add("<p class=\"verdict\">");
  add_badge(receipt["status"].text_or(""), out);
  out.add(" {}</p>\n", headline_of(receipt));
  for (const ReceiptValue& note : receipt["finding"]["notes"].elements()) {
    out.add("<p>{}</p>\n", note.text_or(""));
  }
  add_error(receipt["error"], out);
}

void add_error(const ReceiptValue& error, Html& out) {
  if (error.is_null()) return;
  out.add("<dl class=\"error\">\n");
  add_row("error", joined({error["what"].text_or("unknown"), with_label(error["code"], "code ")}),
          out);
  add_row("where", error["where"].text_or(""), out);
  add_row("fix", error["fix"].text_or(""), out);
  out.add("</dl>\n");
}

void add_sides(const ReceiptValue& receipt, Html& out) {
  const ReceiptValue model = receipt["model"], prompt = receipt["prompt"];
  out.add("<dl>\n");
  add_row("model", model_words(model), out);
  add_row("sha256", model["sha256"].text_or(""), out);
  for (const char* side : {"engine", "backend"}) {
    const ReceiptValue engine = receipt[side];
    if (engine["name"].is_null()) continue;
    add_row(side, engine_words(engine, model), out);
    add_row("settings", settings_words(engine["settings"]), out);
  }
  add_row("template", prompt["template"].text_or(""), out);
  add_row("tolerance", tolerance_words(receipt["tolerance"]), out);
  out.add("</dl>\n");
  add_text_block("Prompt", prompt["text"], out);
  const bool same = prompt["formatted"].text() == prompt["text"].text();
  if (!same) add_text_block("Prompt as it was tokenised", prompt["formatted"], out);
}

void add_mismatch(const ReceiptValue& tokens, Html& out) {
  const ReceiptValue mismatch = tokens["first_mismatch"];
  if (mismatch.is_null()) return;
  const int64_t at = mismatch["index"].integer().value_or(-1);
  const auto engine = tokens["engine"].elements(), backend = tokens["backend"].elements();
  const auto n = static_cast<int64_t>(std::max(engine.size(), backend.size()));
  if (at < 0 || at > n) mismatch["index"].refuse("it is outside the ids");
  out.add(
      "<h3>Ids around the first mismatch</h3>\n<table><tr><th>index</th><th>engine</th>"
      "<th>backend</th></tr>\n");
  for (int64_t i = std::max<int64_t>(at - kNearMismatch, 0);
       i < std::min(at + kNearMismatch + 1, n); ++i) {
    if (i == at) {
      out.add("<tr class=\"bad\"><td>{} ✗</td><td>{}</td><td>{}</td></tr>\n", i,
              token_words(mismatch["engine"]), token_words(mismatch["backend"]));
    } else {
      out.add("<tr><td>{}</td><td>{}</td><td>{}</td></tr>\n", i, id_at(engine, i),
              id_at(backend, i));
    }
  }
  out.add("</table>\n");
}

void add_timing(const ReceiptValue& timing, Html& out) {
  if (timing.is_null()) return;
  out.add("<details><summary>Times</summary><dl>\n");
  for (const auto& [name, value] : timing.members()) {
    if (value.is_null()) continue;
    std::vector<std::string> parts;
    if (name == "engine" || name == "backend") {
      for (const auto& [stage, ms] : value.members()) {
        if (!ms.is_null()) parts.push_back(stage + " " + milliseconds(*ms.number()));
      }
    } else {
      parts.push_back(milliseconds(*value.number()));
    }
    const std::string words = joined(parts);
    if (!words.empty()) out.add("<dt>{}</dt><dd>{}</dd>\n", name, words);
  }
  out.add("</dl></details>\n");
}

void add_logs(const ReceiptValue& receipt, Html& out) {
  for (const char* side : {"engine", "backend"}) {
    const auto log = receipt[side]["log"].elements();
    if (log.empty()) continue;
    out.add("<details><summary>{} said: {}</summary><pre>", engine_name(receipt[side]),
            plural(static_cast<int64_t>(log.size()), "line"));
    for (const ReceiptValue& line : log) out.lines(line.text_or("") + "\n");
    out.add("</pre></details>\n");
  }
}

std::vector<ChartTick> round_ticks(const std::vector<int64_t>& numbers) {
  // Steps of 1, 2, 5, 10, ...
  int64_t decade = 1, step = 1;
  for (int i = 1; static_cast<int64_t>(numbers.size()) / step > 10; ++i) {
    constexpr int64_t digits[] = {1, 2, 5};
    if (i % 3 == 0) decade *= 10;
    step = decade * digits[i % 3];
  }
  std::vector<ChartTick> ticks;
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (numbers[i] % step == 0) ticks.push_back({i, fmt::format("{}", numbers[i])});
  }
  return ticks;
}

}  // namespace crossval
