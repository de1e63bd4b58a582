// The receipt of --receipt: the JSON of a report in a file, whole or not at all.
#pragma once

#include <string>
#include <string_view>

namespace crossval {

// Throws bad_input ("disk_full", "cannot_write"); then nothing new is at `path`.
void write_receipt(const std::string& path, std::string_view text);

}  // namespace crossval
