#include "arch/archs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

namespace crossval {
namespace {

namespace fs = std::filesystem;

// Source files that ask src/arch for what they want to know of an architecture. src/text knows
// names of its own: kinds of vocabulary and of templates.
std::vector<fs::path> other_sources() {
  const fs::path root = fs::path(CROSSVAL_ROOT) / "src";
  std::vector<fs::path> all;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root)) {
    const fs::path& path = entry.path();
    const std::string folder = path.lexically_relative(root).begin()->string();
    if (folder == "arch" || folder == "text" || path.stem().string().ends_with("_test")) continue;
    if (path.extension() == ".cc" || path.extension() == ".h") all.push_back(path);
  }
  return all;
}

TEST(Archs, HaveANameOfTheirOwn) {
  std::set<std::string_view> names;
  for (const Arch& arch : all_archs()) {
    EXPECT_FALSE(arch.name.empty());
    EXPECT_TRUE(names.insert(arch.name).second) << arch.name;
    EXPECT_EQ(find_arch(arch.name), &arch) << arch.name;
  }
}

TEST(Archs, NamesStandInTheTableAlone) {
  // Where the word is an architecture's nowhere: engines, kinds of vocabulary, the model of a
  // probe.
  const std::set<std::string_view> words_too = {"llama", "bitnet", "mamba"};
  const std::vector<fs::path> sources = other_sources();
  ASSERT_GT(sources.size(), 200u);
  for (const fs::path& path : sources) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    for (const Arch& arch : all_archs()) {
      if (words_too.contains(arch.name)) continue;
      EXPECT_EQ(text.str().find('"' + std::string(arch.name) + '"'), std::string::npos)
          << path << ": '" << arch.name << "' is an architecture: ask src/arch";
    }
  }
}

}  // namespace
}  // namespace crossval
