// The command around setup_backend.
#include "cli/setup.h"

#include <cstdio>

#include "backends/build_worker.h"

namespace crossval {

int run_setup(const SetupCommand& command) {
  SetupOptions options{.backend = command.backend,
                       .dir = command.dir,
                       .include_dir = command.include_dir,
                       .remember = command.remember,
                       .force = command.force,
                       .on_progress = {}};
  if (!command.quiet) {
    options.on_progress = [](const std::string& line) {
      std::fprintf(stderr, "%s\n", line.c_str());
    };
  }
  const BackendStatus status = setup_backend(options);
  std::printf("%s %s is ready%s: %s\n", status.display_name.c_str(), status.version.c_str(),
              command.remember ? "" : " (not the default)", status.dir.c_str());
  return 0;
}

}  // namespace crossval
