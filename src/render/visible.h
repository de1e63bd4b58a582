// Token pieces made safe and aligned for a terminal: control and invisible characters escaped,
// bytes that are not UTF-8 as \xNN, clipped and padded by columns (wide characters take two).
#pragma once

#include <string>
#include <string_view>

namespace crossval {

std::string visible(std::string_view bytes);

// The same of text of several lines, which stay lines.
std::string visible_lines(std::string_view text);

// How many columns a terminal needs for text that `visible` returned.
int columns(std::string_view text);

// visible(bytes) in exactly `width` columns: clipped with "…" or padded with spaces.
std::string visible_cell(std::string_view bytes, int width);

}  // namespace crossval
