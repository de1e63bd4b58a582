// gguf_edit IN OUT EDIT...: a changed copy of a GGUF model, for scripts that plant faults. Edits
// are done in the order given. `gguf_edit tiny[:OPTIONS] OUT` starts from a random tiny model, as
// `tiny:type=q4_0,vocabulary=llama` (tiny_model.h).
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/error.h"
#include "support/model_edit.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval::testing {
namespace {

using Args = std::vector<std::string>;

std::pair<std::string, std::string> key_value(const std::string& text, char separator) {
  const size_t at = text.find(separator);
  if (at == text.npos) throw std::runtime_error("'" + text + "' lacks a '" + separator + "'");
  return {text.substr(0, at), text.substr(at + 1)};
}

GgmlType type_of(const std::string& name) {
  const TypeInfo* info = find_type_by_name(name);
  if (info == nullptr) throw std::runtime_error("unknown type '" + name + "'");
  return info->type;
}

struct EditOption {
  int n_args;
  const char* usage;
  std::function<void(ModelEdit&, const Args&)> apply;
};

const std::map<std::string, EditOption>& edit_options() {
  static const std::map<std::string, EditOption> options = {
      {"--negate", {1, "TENSOR", [](ModelEdit& m, const Args& a) { m.negate(a[0]); }}},
      {"--swap", {2, "A B", [](ModelEdit& m, const Args& a) { m.swap(a[0], a[1]); }}},
      {"--rename", {2, "A B", [](ModelEdit& m, const Args& a) { m.rename(a[0], a[1]); }}},
      {"--drop", {1, "TENSOR", [](ModelEdit& m, const Args& a) { m.remove(a[0]); }}},
      {"--first", {1, "TENSOR", [](ModelEdit& m, const Args& a) { m.move_to_front(a[0]); }}},
      {"--nan",
       {1, "TENSOR[:INDEX]",
        [](ModelEdit& m, const Args& a) {
          const size_t at = a[0].rfind(':');
          m.set_nan(a[0].substr(0, at), at == a[0].npos ? 0 : std::stoll(a[0].substr(at + 1)));
        }}},
      {"--scale",
       {1, "TENSOR=FACTOR",
        [](ModelEdit& m, const Args& a) {
          const auto [name, factor] = key_value(a[0], '=');
          m.scale(name, std::stof(factor));
        }}},
      {"--type",
       {1, "TENSOR=TYPE",
        [](ModelEdit& m, const Args& a) {
          const auto [name, type] = key_value(a[0], '=');
          m.convert(name, type_of(type));
        }}},
      {"--to",
       {1, "TYPE (all matrices)",
        [](ModelEdit& m, const Args& a) { m.convert_matrices(type_of(a[0])); }}},
      {"--set-string",
       {1, "KEY=TEXT",
        [](ModelEdit& m, const Args& a) {
          const auto [key, value] = key_value(a[0], '=');
          m.metadata().set_string(key, value);
        }}},
      {"--set-u32",
       {1, "KEY=N",
        [](ModelEdit& m, const Args& a) {
          const auto [key, value] = key_value(a[0], '=');
          m.metadata().set_u32(key, static_cast<uint32_t>(std::stoul(value)));
        }}},
      {"--set-float",
       {1, "KEY=X",
        [](ModelEdit& m, const Args& a) {
          const auto [key, value] = key_value(a[0], '=');
          m.metadata().set_f32(key, std::stof(value));
        }}},
      {"--set-bool",
       {1, "KEY=true|false",
        [](ModelEdit& m, const Args& a) {
          const auto [key, value] = key_value(a[0], '=');
          if (value != "true" && value != "false") throw std::runtime_error("not a bool: " + value);
          m.metadata().set_bool(key, value == "true");
        }}},
      {"--remove", {1, "KEY", [](ModelEdit& m, const Args& a) { m.metadata().remove(a[0]); }}},
  };
  return options;
}

int usage() {
  std::fprintf(stderr, "usage: gguf_edit IN|tiny[:OPTIONS] OUT [--gguf-version 2|3] EDIT...\n");
  for (const auto& [name, option] : edit_options()) {
    std::fprintf(stderr, "  %s %s\n", name.c_str(), option.usage);
  }
  return 2;
}

int run(const Args& args) {
  if (args.size() < 2) return usage();
  const TempDir folder;
  std::string in = args[0];
  if (in == "tiny" || in.starts_with("tiny:")) {
    const TinyModelOptions options = parse_tiny_model(in.size() > 5 ? in.substr(5) : "");
    in = folder.file("tiny.gguf");
    write_tiny_model(in, options);
  }
  ModelEdit model(in);
  int version = 3;
  for (size_t i = 2; i < args.size();) {
    const std::string& name = args[i++];
    if (name == "--gguf-version" && i < args.size()) {
      version = args[i++] == "2" ? 2 : 3;
      continue;
    }
    const auto it = edit_options().find(name);
    if (it == edit_options().end()) return usage();
    const auto n_args = static_cast<size_t>(it->second.n_args);
    if (args.size() - i < n_args) return usage();
    const auto begin = args.begin() + static_cast<std::ptrdiff_t>(i);
    it->second.apply(model, Args(begin, begin + it->second.n_args));
    i += n_args;
  }
  model.write(args[1], version);
  return 0;
}

}  // namespace
}  // namespace crossval::testing

int main(int argc, char** argv) {
  try {
    return crossval::testing::run({argv + 1, argv + argc});
  } catch (const crossval::Error& error) {
    std::fprintf(stderr, "gguf_edit: %s (%s)\n", error.what(), error.where.c_str());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "gguf_edit: %s\n", error.what());
  }
  return 3;
}
