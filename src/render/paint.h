// Colours of the texts for a terminal.
#pragma once

#include <fmt/format.h>

#include <string>

#include "render/renderers.h"

namespace crossval {

inline constexpr const char *kRed = "31;1", *kGreen = "32", *kYellow = "33", *kBold = "1";

// The text itself where no colours are wanted.
inline std::string paint(const std::string& text, const char* ansi, const RenderOptions& options) {
  return options.color ? fmt::format("\x1b[{}m{}\x1b[0m", ansi, text) : text;
}

}  // namespace crossval
