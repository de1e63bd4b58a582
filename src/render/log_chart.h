// A small chart with a logarithmic height, as inline SVG: distances over positions or tensors.
// Unknown values are gaps; zero, below, and what is far under the rest lie on the bottom line,
// which says so.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "render/html.h"

namespace crossval {

enum class ChartStyle { main, limit, faint };  // solid, dashed, thin: told apart without colour

struct ChartSeries {
  std::string name;
  ChartStyle style = ChartStyle::main;
  std::vector<std::optional<double>> values;
};

struct ChartTick {
  size_t index = 0;
  std::string label;
};

struct LogChart {
  std::string title;
  std::string x_name;
  std::vector<ChartSeries> series;  // all of one length
  std::vector<size_t> diverged;     // points of the first series to cross out
  std::vector<std::string> labels;  // of the points, shown under the pointer; may be empty
  std::vector<ChartTick> x_ticks;
};

// Nothing when no series has a value.
void add_log_chart(const LogChart& chart, Html& out);

}  // namespace crossval
