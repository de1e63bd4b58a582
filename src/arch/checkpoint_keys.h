// What config.json of a Hugging Face checkpoint makes of each key of a GGUF, as llama.cpp's
// converter writes them (conversion/, base.py set_gguf_parameters and those of the families).
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "arch/checkpoint_names.h"

namespace crossval {

struct ExpectedKey {
  std::string key;          // without the architecture: "attention.head_count"
  nlohmann::json expected;  // a number, a string, a boolean or a list of them
  std::string from;         // where it is in config.json: "rope_parameters.rope_theta"
  // What engines take where the file has no such key; null = that is not looked at.
  nlohmann::json fallback = {};
  nlohmann::json also = {};  // right as well: what converters write where nothing depends on it
};

// Keys that config.json says something about; nothing is expected of others.
std::vector<ExpectedKey> expected_keys(const Arch& arch, const Config& config,
                                       const CheckpointFacts& facts);

// What kind each layer is, by config.json and by the file as native reads it, whether or not a key
// of the file says so.
struct ExpectedLayers {
  std::string what;  // "a window": layers that have one
  std::string from;
  std::vector<bool> expected, actual;
};
std::vector<ExpectedLayers> expected_layers(const Arch& arch, const Config& config,
                                            const CheckpointFacts& facts);

}  // namespace crossval
