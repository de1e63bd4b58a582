// Text from untrusted files made safe to show: no control bytes, no endless names.
#pragma once

#include <string>
#include <string_view>

namespace crossval {

// `text` with bytes outside printable ASCII as <7f>, cut to `max_len` bytes with "..." at the end.
std::string printable(std::string_view text, size_t max_len = 80);

}  // namespace crossval
