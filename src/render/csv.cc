#include "render/csv.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "base/utf8.h"
#include "render/json_writer.h"

namespace crossval {
namespace {

using Cells = std::vector<std::pair<std::string, std::string>>;  // column, field

std::string field(const Json& value) {
  if (value.is_null()) return "";
  std::string text = value.is_string() ? replace_invalid_utf8(value.get<std::string>())
                                       : value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.find_first_of(",\"\r\n") == text.npos && !text.empty()) return text;
  if (!value.is_string()) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted.append(c == '"' ? 2 : 1, c);
  return quoted + "\"";
}

void flatten(const Json& value, const std::string& name, Cells& out) {
  if (value.is_object()) {
    for (const auto& [key, inner] : value.items()) {
      flatten(inner, name.empty() ? key : fmt::format("{}.{}", name, key), out);
    }
  } else if (value.is_array()) {
    for (size_t i = 0; i < value.size(); ++i) {
      flatten(value[i], fmt::format("{}.{}", name, i + 1), out);
    }
  } else {
    out.emplace_back(name, field(value));
  }
}

// Rows of one kind, each as its JSON; `sample` has every column.
struct Table {
  Json sample;
  std::vector<Json> rows;
};

Table positions_of(const Report& report) {
  const JudgedPosition none;
  Table table{to_json(PositionOf{none, report.metrics}), {}};
  for (const JudgedPosition& position : report.positions) {
    table.rows.push_back(to_json(PositionOf{position, report.metrics}));
  }
  return table;
}

Table table_of(const Report& report) { return positions_of(report); }

Table table_of(const ParityReport& report) {
  Table all;
  const auto name = [](const std::optional<EngineReport>& side) {
    return side ? Json(side->info.name + (side->info.version.empty() ? "" : " ") +
                       side->info.version)
                : Json(nullptr);
  };
  const auto with_pair = [&](const Report* pair, const Json& position) {
    Json row = {{"engine", pair != nullptr ? name(pair->engine) : Json(nullptr)},
                {"backend", pair != nullptr ? name(pair->backend) : Json(nullptr)}};
    row.update(position);
    return row;
  };
  all.sample = with_pair(nullptr, positions_of(Report()).sample);
  for (const Report& pair : report.pairs) {
    for (const Json& row : positions_of(pair).rows) all.rows.push_back(with_pair(&pair, row));
  }
  return all;
}

Table table_of(const RunReport& report) {
  RunPosition sample;
  size_t n_top = 5;
  for (const RunPosition& position : report.positions) n_top = std::max(n_top, position.top.size());
  sample.top.resize(n_top);
  Table table{to_json(sample), {}};
  for (const RunPosition& position : report.positions) {
    Json row = to_json(position);
    // A vocabulary of fewer tokens leaves columns empty.
    for (size_t i = position.top.size(); i < n_top; ++i) {
      row["top"].push_back({{"id", nullptr}, {"text", nullptr}, {"logit", nullptr}});
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

// A row for each tensor.
Table table_of(const InspectReport& report) {
  Table table;
  table.sample = {{"name", nullptr},
                  {"type", nullptr},
                  {"shape", nullptr},
                  {"offset", nullptr},
                  {"n_bytes", nullptr}};
  const auto tensors = report.facts.find("tensors");
  if (tensors == report.facts.end()) return table;
  for (const Json& tensor : *tensors) {
    Json row = table.sample;
    for (const auto& [key, value] : row.items()) {
      if (tensor.contains(key)) row[key] = tensor[key];
    }
    std::string shape;
    for (const Json& n : tensor["shape"]) shape += (shape.empty() ? "" : " x ") + n.dump();
    row["shape"] = shape;
    table.rows.push_back(std::move(row));
  }
  return table;
}

// A row for each thing that differs.
Table table_of(const ConversionReport& report) {
  Table table;
  table.sample = to_json(ConversionFault());
  for (const ConversionFault& fault : report.faults) table.rows.push_back(to_json(fault));
  return table;
}

Table table_of(const TraceReport& report) {
  Table table;
  if (report.self) {
    table.sample = to_json(SelfRow());
    for (const SelfRow& row : *report.self) table.rows.push_back(to_json(row));
  } else {
    table.sample = to_json(TapReport());
    for (const TapReport& tap : report.taps) table.rows.push_back(to_json(tap));
  }
  return table;
}

}  // namespace

std::string csv_result(const Result& result, const RenderOptions& options) {
  const Table table = std::visit([](const auto& report) { return table_of(report); }, result);
  const auto line = [&](const Cells& cells, const std::string& prompt, bool header) {
    std::string out = options.number > 0 ? prompt : "";
    for (size_t i = 0; i < cells.size(); ++i) {
      if (i > 0 || options.number > 0) out += ',';
      out += header ? cells[i].first : cells[i].second;
    }
    return out + "\r\n";
  };
  const auto cells_of = [](const Json& row) {
    Cells cells;
    flatten(row, "", cells);
    return cells;
  };
  std::string out;
  if (options.number <= 1) out += line(cells_of(table.sample), "prompt", true);
  for (const Json& row : table.rows) {
    out += line(cells_of(row), std::to_string(options.number), false);
  }
  return out;
}

}  // namespace crossval
