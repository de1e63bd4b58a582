#include "render/log_chart.h"

#include <algorithm>
#include <cmath>

namespace crossval {
namespace {

constexpr double kWidth = 920, kHeight = 260;
constexpr double kLeft = 58, kRight = 12, kTop = 12, kBottom = 40;
constexpr double kZeroGap = 14;    // between the lowest decade and the line of zeros
constexpr size_t kMaxDots = 1000;  // more points are a line without dots and labels
constexpr int kMaxDecadeLabels = 8;
constexpr double kLeastShare = 1e-16;  // an exact operation's 1e-40 must not flatten the rest

const char* style_name(ChartStyle style) {
  switch (style) {
    case ChartStyle::main:
      return "main";
    case ChartStyle::limit:
      return "limit";
    case ChartStyle::faint:
      return "faint";
  }
  return "";
}

std::string coordinate(double value) { return fmt::format("{:.1f}", value); }

struct Scale {
  int low = 0, high = 1;  // decades
  bool has_zero = false;
  bool has_less = false;  // than the lowest decade, yet not zero: on the same line
  size_t n = 0;

  double x(size_t index) const {
    return kLeft +
           (static_cast<double>(index) + 0.5) / static_cast<double>(n) * (kWidth - kLeft - kRight);
  }
  double zero() const { return kHeight - kBottom; }
  double bottom() const { return has_zero || has_less ? zero() - kZeroGap : zero(); }
  double y(double value) const {
    if (!(value > 0)) return zero();
    const double share = (std::log10(value) - low) / (high - low);
    if (share < 0) return zero();
    return bottom() - share * (bottom() - kTop);
  }
};

std::optional<Scale> make_scale(const LogChart& chart) {
  Scale scale;
  std::vector<double> values;
  for (const ChartSeries& series : chart.series) {
    scale.n = std::max(scale.n, series.values.size());
    for (const auto& value : series.values) {
      if (value) values.push_back(*value);
    }
  }
  if (values.empty()) return std::nullopt;
  const double most = *std::max_element(values.begin(), values.end());
  double least = most;
  for (const double value : values) {
    if (value > 0 && value >= most * kLeastShare) least = std::min(least, value);
  }
  if (most > 0) {
    scale.low = static_cast<int>(std::floor(std::log10(least)));
    scale.high = std::max(static_cast<int>(std::ceil(std::log10(most))), scale.low + 1);
  }
  for (const double value : values) {
    scale.has_zero |= !(value > 0);
    scale.has_less |= value > 0 && value < least;
  }
  return scale;
}

void add_axes(const LogChart& chart, const Scale& scale, Html& out) {
  const int step = (scale.high - scale.low + kMaxDecadeLabels - 1) / kMaxDecadeLabels;
  const auto line = [&](double y, const std::string& label) {
    out.add("<path class=\"grid\" d=\"M{} {}H{}\"/>", coordinate(kLeft), coordinate(y),
            coordinate(kWidth - kRight));
    out.add("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n", coordinate(kLeft - 6),
            coordinate(y + 4), label);
  };
  for (int decade = scale.low; decade <= scale.high; decade += step) {
    const double share = static_cast<double>(decade - scale.low) / (scale.high - scale.low);
    line(scale.bottom() - share * (scale.bottom() - kTop), fmt::format("1e{}", decade));
  }
  if (scale.has_less) {
    line(scale.zero(), fmt::format("< 1e{}", scale.low));
  } else if (scale.has_zero) {
    line(scale.zero(), "0");
  }
  for (const ChartTick& tick : chart.x_ticks) {
    if (tick.index >= scale.n) continue;
    out.add("<path class=\"grid\" d=\"M{} {}v4\"/>", coordinate(scale.x(tick.index)),
            coordinate(scale.zero()));
    out.add("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
            coordinate(scale.x(tick.index)), coordinate(scale.zero() + 16), tick.label);
  }
  out.add("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n", coordinate(kWidth - kRight),
          coordinate(kHeight - 6), chart.x_name);
}

void add_series(const ChartSeries& series, const Scale& scale, Html& out) {
  std::string path;
  bool drawing = false;
  // What lies on the bottom line, or alone between gaps, is a dot: a line of no length with round
  // ends. Lines down to zero and back would hide everything else.
  const auto has_height = [&](size_t i) {
    return i < series.values.size() && series.values[i] &&
           scale.y(*series.values[i]) < scale.zero();
  };
  for (size_t i = 0; i < series.values.size(); ++i) {
    const auto& value = series.values[i];
    const bool in_line = has_height(i);
    if (in_line) {
      path += fmt::format("{}{:.1f} {:.1f}", drawing ? 'L' : 'M', scale.x(i), scale.y(*value));
      if (!drawing && !has_height(i + 1)) path += "h0";
    } else if (value) {
      path += fmt::format("M{:.1f} {:.1f}h0", scale.x(i), scale.zero());
    }
    drawing = in_line;
  }
  if (!path.empty()) out.add("<path class=\"{}\" d=\"{}\"/>\n", style_name(series.style), path);
}

void add_points(const LogChart& chart, const Scale& scale, Html& out) {
  const auto& values = chart.series.front().values;
  const auto label = [&](size_t i) {
    return i < chart.labels.size() ? chart.labels[i] : std::string();
  };
  if (values.size() <= kMaxDots) {
    for (size_t i = 0; i < values.size(); ++i) {
      if (!values[i]) continue;
      out.add("<circle cx=\"{}\" cy=\"{}\" r=\"2.5\"><title>{}</title></circle>\n",
              coordinate(scale.x(i)), coordinate(scale.y(*values[i])), label(i));
    }
  }
  for (const size_t i : chart.diverged) {
    if (i >= values.size()) continue;
    // What has no value (NaN) is as far away as can be: at the top.
    const double x = scale.x(i), y = values[i] ? scale.y(*values[i]) : kTop;
    out.add("<path class=\"diverged\" d=\"M{} {}l10 10m0 -10l-10 10\">", coordinate(x - 5),
            coordinate(y - 5));
    out.add("<title>{}</title></path>\n", label(i));
  }
}

void add_legend(const LogChart& chart, Html& out) {
  out.add("<p class=\"legend\">");
  for (const ChartSeries& series : chart.series) {
    const bool any = std::any_of(series.values.begin(), series.values.end(),
                                 [](const auto& value) { return value.has_value(); });
    if (!any) continue;
    out.add(
        "<span><svg width=\"30\" height=\"10\" aria-hidden=\"true\"><path class=\"{}\" "
        "d=\"M1 5H29\"/></svg> {}</span> ",
        style_name(series.style), series.name);
  }
  if (!chart.diverged.empty()) {
    out.add(
        "<span><svg width=\"14\" height=\"12\" aria-hidden=\"true\"><path class=\"diverged\" "
        "d=\"M2 1l10 10m0 -10l-10 10\"/></svg> diverged</span>");
  }
  out.add("</p>\n");
}

}  // namespace

void add_log_chart(const LogChart& chart, Html& out) {
  const auto scale = make_scale(chart);
  if (!scale) return;
  out.add("<figure><figcaption>{}</figcaption>\n", chart.title);
  out.add("<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n", kWidth,
          kHeight, chart.title);
  add_axes(chart, *scale, out);
  for (const ChartSeries& series : chart.series) add_series(series, *scale, out);
  add_points(chart, *scale, out);
  out.add("</svg>\n");
  add_legend(chart, out);
  out.add("</figure>\n");
}

}  // namespace crossval
