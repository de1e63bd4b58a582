// The types a cache may hold keys and values in, and what storing a row in one does to it.
#pragma once

#include <optional>
#include <string_view>

namespace crossval {

enum class KvType { f32, f16, q8_0 };

const char* kv_type_name(KvType type);  // ggml's: "f32", "f16", "q8_0"
std::optional<KvType> find_kv_type(std::string_view name);

// n values as they come back from the cache. Rows that are no whole number of a type's blocks stay
// as they are: no engine stores those.
void round_to_kv_type(KvType type, float* row, int n);

}  // namespace crossval
