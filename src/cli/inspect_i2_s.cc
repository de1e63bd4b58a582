#include "cli/inspect_i2_s.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "quant/i2_s_census.h"
#include "render/visible.h"

namespace crossval {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kLayoutNote =
    "read as the x86 layout of bitnet.cpp (Oct 2024); ARM builds and newer x86 builds order the "
    "codes otherwise in files of the same size, and nothing in a file says which";
constexpr std::string_view kDamageNote =
    "bitnet.cpp's quantiser run with more than one thread writes such files: quantise again with "
    "one thread";
constexpr std::string_view kInlineNote =
    "tensors are as large as 32 weights in 8 bytes with an f16 scale behind each (BitNet32-F16), "
    "which native does not read";
constexpr size_t kMaxShownTensors = 16;

const char* flavour_name(I2sFlavour flavour) {
  switch (flavour) {
    case I2sFlavour::tensor_scale:
      return "tensor_scale";
    case I2sFlavour::inline_f16:
      return "inline_f16";
    case I2sFlavour::unknown:
      break;
  }
  return "unknown";
}

}  // namespace

Json i2_s_json(const ModelFile& model) {
  ThreadPool pool(static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
  int64_t n_tensors = 0, n_codes[4] = {};
  Json damaged = Json::array();
  std::map<std::string, int64_t> flavours;
  for (const auto& [tensor, flavour] : i2_s_flavours(model)) {
    ++n_tensors;
    ++flavours[flavour_name(flavour)];
    const I2sCensus census = count_i2_s(*tensor, pool);
    for (size_t code = 0; code < 4; ++code) n_codes[code] += census.n_codes[code];
    const std::string damage = census.damage();
    if (!damage.empty()) damaged.push_back({{"tensor", tensor->name}, {"what", damage}});
  }
  if (n_tensors == 0) return nullptr;
  Json notes = Json::array({kLayoutNote});
  if (flavours.contains("inline_f16")) notes.push_back(kInlineNote);
  if (!damaged.empty()) notes.push_back(kDamageNote);
  Json sizes = Json::object();
  for (const auto& [name, count] : flavours) sizes[name] = count;
  return {{"n_tensors", n_tensors},
          {"codes", {{"-1", n_codes[0]}, {"0", n_codes[1]}, {"+1", n_codes[2]}, {"3", n_codes[3]}}},
          {"sizes_fit", std::move(sizes)},
          {"damaged", std::move(damaged)},
          {"notes", std::move(notes)}};
}

std::string i2_s_text(const Json& report) {
  if (report.is_null()) return "";
  std::string out = "\nI2_S\n";
  double total = 0;
  for (const auto& [code, count] : report["codes"].items()) total += count.get<double>();
  for (const auto& [code, count] : report["codes"].items()) {
    out += fmt::format("  {:<8} {:>14} weights {:>6.2f} %\n", code == "3" ? "code 3" : code,
                       count.get<int64_t>(), 100 * count.get<double>() / std::max(total, 1.0));
  }
  const Json& damaged = report["damaged"];
  for (size_t i = 0; i < std::min(damaged.size(), kMaxShownTensors); ++i) {
    out += fmt::format("  DAMAGED {}: {}\n", visible(damaged[i]["tensor"].get<std::string>()),
                       damaged[i]["what"].get<std::string>());
  }
  if (damaged.size() > kMaxShownTensors) {
    out += fmt::format("  ... and {} more\n", damaged.size() - kMaxShownTensors);
  }
  for (const Json& note : report["notes"]) out += "  note: " + note.get<std::string>() + "\n";
  return out;
}

}  // namespace crossval
