// `crossval backends`: each backend, whether it is ready, and what to do when not.
#pragma once

namespace crossval {

struct BackendsOptions {
  bool json = false;
};

// Exit code: always 0, the answer is the output (schema crossval/backends/1).
int run_backends(const BackendsOptions& options);

}  // namespace crossval
