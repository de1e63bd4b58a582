// Where there is no libFuzzer: damages the target's good input, and each file of its corpus, again
// and again and feeds each copy to it. x_fuzz [N [FIRST_SEED]], or --seconds S; x_fuzz FILE...
// feeds those files instead. The same seed always makes the same copy. An input that crashes the
// target, or holds it for a minute, is left in the file fuzz-input.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "support/temp_dir.h"
#include "target.h"

namespace {

constexpr unsigned kMostSeconds = 60;

const std::string* fed = nullptr;
int kept_in = -1;  // the folder we were started in

void keep_input(int signal) {
  const int file = ::openat(kept_in, "fuzz-input", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file >= 0 && fed != nullptr && ::write(file, fed->data(), fed->size()) >= 0) {
    constexpr char text[] = "the input is kept in fuzz-input\n";
    if (::write(2, text, sizeof(text) - 1) < 0) ::_exit(1);
  }
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void keep_input_of_crashes() {
  kept_in = ::open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (const int signal : {SIGABRT, SIGALRM, SIGBUS, SIGFPE, SIGILL, SIGSEGV}) {
    std::signal(signal, keep_input);
  }
}

void feed(const std::string& input) {
  fed = &input;
  ::alarm(kMostSeconds);
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

// A file that ends in .hex holds the bytes as two digits each, and what they are behind a #.
std::string input_of(const std::string& path) {
  const std::string text = crossval::testing::read_text(path);
  if (!path.ends_with(".hex")) return text;
  std::string digits, bytes;
  bool is_comment = false;
  for (const char c : text) {
    is_comment = c == '#' || (is_comment && c != '\n');
    if (!is_comment && std::isxdigit(static_cast<unsigned char>(c)) != 0) digits += c;
  }
  for (size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

// In the order of their names.
std::vector<std::string> corpus() {
  std::vector<std::string> paths, inputs;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(FUZZ_CORPUS, none)) {
    paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) inputs.push_back(input_of(path));
  return inputs;
}

bool is_number(const char* text) {
  return std::string(text).find_first_not_of("0123456789") == std::string::npos;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace crossval;
  using Clock = std::chrono::steady_clock;
  const bool timed = argc == 3 && std::string(argv[1]) == "--seconds";
  if (argc > 1 && !timed && !is_number(argv[1])) {
    for (int i = 1; i < argc; ++i) feed(input_of(argv[i]));
    return 0;
  }
  const auto number = [&](int i, uint64_t fallback) {
    return argc > i ? std::strtoull(argv[i], nullptr, 10) : fallback;
  };
  const auto now = Clock::now();
  const auto deadline = timed ? now + std::chrono::seconds(number(2, 1)) : Clock::time_point::max();
  // A new range of seeds each time when timed, printed so that a crash can be repeated.
  const uint64_t first_seed =
      timed ? static_cast<uint64_t>(now.time_since_epoch().count()) : number(2, 0);
  const uint64_t n = timed ? UINT64_MAX : number(1, 100'000);
  std::printf("first seed %llu\n", static_cast<unsigned long long>(first_seed));
  std::fflush(stdout);

  keep_input_of_crashes();
  const auto [good, header_bytes, damage] = fuzz::good_input();
  feed(good);
  if (fuzz::n_accepted == 0) {
    std::fprintf(stderr, "the good input is refused\n");
    return 1;
  }
  std::vector<std::string> inputs = corpus();
  for (const std::string& input : inputs) feed(input);
  const uint64_t n_before = fuzz::n_accepted;
  inputs.push_back(good);
  std::string worn = good;
  uint64_t i = 0;
  for (; i < n && Clock::now() < deadline; ++i) {
    // Damage piles up over a few rounds, then a fresh copy.
    if (i % 4 == 0) worn = inputs[(i / 4) % inputs.size()];
    worn = damage(worn, header_bytes, first_seed + i);
    feed(worn);
  }
  std::printf("%llu damaged inputs from %zu: no crash, %llu accepted\n",
              static_cast<unsigned long long>(i), inputs.size(),
              static_cast<unsigned long long>(fuzz::n_accepted - n_before));
  return 0;
}
