// A real llama-server (tests/support/llama_server.py) against native and against the same library
// in a worker: the same verdict from its likeliest tokens alone, with and without a fault.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "base/unique_fd.h"
#include "support/crossval_run.h"
#include "support/model_edit.h"
#include "support/temp_dir.h"

namespace crossval::testing {
namespace {

const std::string kServer = root + "/.cache/engines/llama-server";

int free_port() {
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size);
  ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

class RealServer {
 public:
  explicit RealServer(const std::string& model, const std::vector<std::string>& settings = {})
      : port_(free_port()) {
    std::vector<std::string> args = {"python3", root + "/tests/support/llama_server.py", kServer,
                                     model, std::to_string(port_)};
    args.insert(args.end(), settings.begin(), settings.end());
    std::vector<char*> argv;
    for (std::string& arg : args) argv.push_back(arg.data());
    argv.push_back(nullptr);
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return;
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, ends[0], 0);
    ::posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    ::posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    ::posix_spawnp(&pid_, "python3", &actions, nullptr, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(ends[0]);
    stdin_ = UniqueFd(ends[1]);
    wait_until_it_listens();
  }
  ~RealServer() { end(SIGTERM); }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  void end(int signal) {
    if (pid_ <= 0) return;
    ::kill(pid_, signal);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  void wait_until_it_listens() const {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port_));
    for (int i = 0; i < 600; ++i) {
      const UniqueFd socket(::socket(AF_INET, SOCK_STREAM, 0));
      if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
        return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }

  int port_;
  pid_t pid_ = -1;
  UniqueFd stdin_;
};

#define SKIP_WITHOUT_SERVER()         \
  SKIP_WITHOUT(kServer + "/VERSION"); \
  SKIP_WITHOUT(smollm2);              \
  SKIP_WITHOUT(llama_new + "/VERSION")

constexpr const char* kPrompts[] = {"The capital of France is Paris, and the capital of Italy is",
                                    "def fib(n):\n    return n if n < 2 else",
                                    "今日は天気がいい 😀 e\u0301"};

CrossvalResult per_token(const std::string& backend, const std::string& prompt,
                         std::vector<std::string> more = {}) {
  more.insert(more.begin(),
              {"per-token", "--model", smollm2, "--backend", backend, "--prompt", prompt});
  return run_crossval(CROSSVAL_BIN, more);
}

TEST(LlamaServer, agrees_with_native_as_its_library_in_a_worker_does) {
  SKIP_WITHOUT_SERVER();
  const RealServer server(smollm2, {"kv=F32"});
  for (const char* prompt : kPrompts) {
    SCOPED_TRACE(prompt);
    const CrossvalResult here = per_token(server.url(), prompt), there = per_token("llama", prompt);
    ASSERT_EQ(here.run.exit_code, 0) << here.run.out << here.run.err;
    EXPECT_EQ(there.run.exit_code, 0) << there.run.out;
    EXPECT_EQ(here.json()["tokens"]["backend"], there.json()["tokens"]["backend"]);
    EXPECT_EQ(here.json()["summary"]["fewest_common"], 100);
    EXPECT_TRUE(here.json()["summary"]["min_cosine"].is_null());
    EXPECT_EQ(here.json()["backend"]["name"], "llama-server");
  }
}

TEST(LlamaServer, finds_the_same_fault_as_its_library_in_a_worker) {
  SKIP_WITHOUT_SERVER();
  const RealServer server(smollm2, {"rope_freq_base=20000"});
  const CrossvalResult here = per_token(server.url(), kPrompts[0]);
  const CrossvalResult there =
      per_token("llama", kPrompts[0], {"--backend-opt", "rope_freq_base=20000"});
  EXPECT_EQ(here.run.exit_code, 1) << here.run.out;
  EXPECT_EQ(there.run.exit_code, 1) << there.run.out;
  EXPECT_EQ(here.json()["positions"][0]["verdict"], "ok");  // no position to turn by yet
}

TEST(LlamaServer, is_the_outlier_of_a_vote_where_it_is_wrong) {
  SKIP_WITHOUT_SERVER();
  const RealServer server(smollm2, {"rope_freq_base=20000"});
  const CrossvalResult result = per_token("llama," + server.url(), kPrompts[0]);
  EXPECT_EQ(result.run.exit_code, 1) << result.run.out;
  EXPECT_EQ(result.json()["vote"]["outlier"], "llama-server");
}

TEST(LlamaServer, that_was_killed_ends_with_a_reason) {
  SKIP_WITHOUT_SERVER();
  RealServer server(smollm2, {});
  server.end(SIGKILL);
  const CrossvalResult gone = per_token(server.url(), "x");
  EXPECT_EQ(gone.run.exit_code, 4);
  EXPECT_EQ(gone.json()["error"]["code"], "http_failed");
}

}  // namespace
}  // namespace crossval::testing
