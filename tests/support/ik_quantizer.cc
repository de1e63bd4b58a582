#include "support/ik_quantizer.h"

#include <filesystem>

#include "support/subprocess.h"

namespace crossval::testing {

std::string quantized_by_ik(const std::string& ik, const TempDir& dir, const std::string& from,
                            const std::string& type, const std::vector<std::string>& more) {
  namespace fs = std::filesystem;
  const std::string to = dir.file(fs::path(from).stem().string() + "-" + type + ".gguf");
  const std::string quantiser = dir.file("llama-quantize");  // not executable where it lies
  fs::copy_file(ik + "/bin/llama-quantize", quantiser, fs::copy_options::overwrite_existing);
  fs::permissions(quantiser, fs::perms::owner_all);
  std::vector<std::string> args = {quantiser, "--allow-requantize"};
  args.insert(args.end(), more.begin(), more.end());
  args.insert(args.end(), {from, to, type, "2"});
  const RunResult run =
      run_program(args, {.env = {{"LD_LIBRARY_PATH", ik + "/ik_llama_cpp_python.libs"}}});
  return run.exit_code == 0 ? to : "";
}

}  // namespace crossval::testing
