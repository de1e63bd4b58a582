#include "run/tap_filter.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>

#include "base/error.h"

namespace crossval {
namespace {

// A number that is all of `text`; -1 where it is none.
int layer_number(std::string_view text) {
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && text.size() <= 6 ? value : -1;
}

}  // namespace

TapFilter tap_filter(const std::string& layers, const std::string& taps) {
  TapFilter filter;
  filter.name_regex = taps;
  if (layers.empty()) return filter;
  const size_t dash = layers.find('-');
  const std::string_view text = layers;
  filter.first_layer = layer_number(text.substr(0, dash));
  filter.last_layer = dash == text.npos ? filter.first_layer : layer_number(text.substr(dash + 1));
  if (filter.first_layer < 0 || filter.last_layer < 0) {
    bad_input("bad_layers", fmt::format("'{}' is not a range of layers", layers), "--layers",
              "write --layers 3-7, or --layers 3");
  }
  if (filter.last_layer < filter.first_layer) {
    bad_input("bad_layers", fmt::format("'{}' ends before it begins", layers), "--layers",
              "write the smaller number first");
  }
  return filter;
}

bool is_empty(const TapFilter& filter) {
  return filter.name_regex.text().empty() && filter.first_layer < 0 && filter.last_layer < 0;
}

TracePart part_of(const TapFilter& filter, const Engine& engine) {
  if (!is_empty(filter) || !engine.can().taps) return TracePart::asked_for;
  return engine.can().all_taps ? TracePart::whole_graph : TracePart::shown;
}

}  // namespace crossval
