#include "backends/worker_rights.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "backends/backends.h"
#include "backends/state_dir.h"
#include "base/error.h"
#include "base/server_url.h"
#include "engine/wire.h"
#include "sandbox/rights.h"

namespace fs = std::filesystem;

namespace crossval {
namespace {

// Where systems keep programs, libraries and what they ask of the machine.
constexpr auto kSystem =
    std::to_array<std::string_view>({"/bin", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/opt",
                                     "/proc", "/sbin", "/sys", "/usr", "/nix", "/gnu", "/snap"});
// Every program writes to these, and nothing comes of it.
constexpr auto kSinks = std::to_array<std::string_view>({"/dev/null", "/dev/zero", "/dev/full"});
// Hidden folders of a home that hold programs; all others there may hold secrets.
constexpr auto kProgramFolders =
    std::to_array<std::string_view>({".pyenv", ".local", ".conda", ".venv", ".virtualenvs",
                                     ".nix-profile", ".cargo", ".rustup", ".asdf", ".rye", ".uv"});

constexpr auto kVariables = std::to_array<std::string_view>(
    {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TERM", "TMPDIR",
     "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "VIRTUAL_ENV"});
constexpr auto kVariableFamilies = std::to_array<std::string_view>(
    {"LC_",    "OMP_",   "KMP_",    "GOMP_",   "MKL_",   "OPENBLAS_", "GGML_",
     "LLAMA_", "CUDA_",  "NVIDIA_", "HIP_",    "HSA_",   "ROCR_",     "VK_",
     "ASAN_",  "UBSAN_", "LSAN_",   "MALLOC_", "PYTHON", "CROSSVAL_"});
// Of the worker that speaks to a server, and of no other: its key, and whose certificates it
// trusts.
constexpr auto kServerVariables =
    std::to_array<std::string_view>({"CROSSVAL_HTTP_KEY", "SSL_CERT_FILE", "SSL_CERT_DIR"});
constexpr auto kSecretWords = std::to_array<std::string_view>(
    {"SECRET",  "TOKEN",      "PASSW",   "PASSPHRASE", "CREDENTIAL", "AUTH", "COOKIE", "APIKEY",
     "API_KEY", "ACCESS_KEY", "PRIVATE", "SESSION",    "SSH_",       "GPG_", "AWS_",   "AZURE_",
     "GOOGLE_", "GITHUB_",    "GITLAB_", "DBUS_",      "DOCKER_",    "KUBE", "NETRC",  "PROXY"});

std::string real_path(const std::string& path) {
  std::error_code failed;
  const fs::path real = fs::weakly_canonical(path, failed);
  return failed ? path : real.string();
}

// The folder that a program's own files are in: above bin/ for /opt/python/bin/python3.
std::string folder_of_program(const std::string& program) {
  const fs::path folder = fs::path(real_path(program)).parent_path();
  return (folder.filename() == "bin" && folder.has_relative_path() ? folder.parent_path() : folder)
      .string();
}

// "#!/usr/bin/python3 -S" names a program too; "" = it is no script.
std::string interpreter_of(const std::string& program) {
  std::ifstream in(program, std::ios::binary);
  std::string line(256, '\0');
  in.read(line.data(), static_cast<std::streamsize>(line.size()));
  if (!line.starts_with("#!")) return "";
  const size_t begin = line.find_first_not_of(" \t", 2);
  if (begin == std::string::npos) return "";
  return line.substr(begin, line.find_first_of(" \t\n\r", begin) - begin);
}

// Everything below a folder but its hidden entries, those of programs excepted.
void add_open_entries(const fs::path& folder, std::vector<std::string>& paths) {
  std::error_code failed;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, failed)) {
    const std::string name = entry.path().filename().string();
    const bool is_known =
        std::find(kProgramFolders.begin(), kProgramFolders.end(), name) != kProgramFolders.end();
    if (!name.starts_with(".") || is_known) paths.push_back(entry.path().string());
  }
}

bool is_inside(const fs::path& path, const fs::path& folder) {
  return path.string().starts_with(folder.string() + "/");
}

// Homes of other users, and what the system runs on.
bool is_of_others(const fs::path& path) {
  return path == "/root" || path == "/home" || path.parent_path() == "/home" || path == "/run";
}

// All below a folder, but of the home only what is open there.
void add_around_home(const fs::path& folder, const fs::path& home,
                     std::vector<std::string>& paths) {
  std::error_code failed;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, failed)) {
    if (entry.path() == home) {
      add_open_entries(home, paths);
    } else if (is_inside(home, entry.path())) {
      add_around_home(entry.path(), home, paths);
    } else if (!is_of_others(entry.path())) {
      paths.push_back(entry.path().string());
    }
  }
}

// A program of the user's own is written in whatever they like and reads what it needs: all but
// what is hidden in their home, homes of others, and what the system runs on.
void add_for_own_program(std::vector<std::string>& paths) {
  const char* variable = std::getenv("HOME");
  const fs::path home = variable == nullptr || *variable == 0 ? "/root" : real_path(variable);
  add_around_home("/", home, paths);
  std::error_code failed;
  // Tokens lie beside what was downloaded.
  for (const fs::directory_entry& entry : fs::directory_iterator(home / ".cache", failed)) {
    if (entry.path().filename() != "huggingface") paths.push_back(entry.path().string());
  }
  paths.push_back((home / ".cache/huggingface/hub").string());
}

// Where it is one of several parts, the folder with the others too.
void add_model(const std::string& model, std::vector<std::string>& paths) {
  if (model.empty()) return;
  if (kind_of_model(model) == ModelKind::checkpoint) {
    for (std::string& place : places_of_checkpoint(model)) paths.push_back(std::move(place));
    return;
  }
  for (std::string& part : parts_of_model(model)) paths.push_back(std::move(part));
  if (model.starts_with("/proc/")) return;  // a link to a file without a name
  const std::string real = real_path(model);
  paths.push_back(real);
  if (real.find("-of-") != std::string::npos) {
    paths.push_back(fs::path(real).parent_path().string());
  }
}

int64_t memory_of_machine() {
  const int64_t pages = ::sysconf(_SC_PHYS_PAGES), size = ::sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 ? pages * size : 0;
}

}  // namespace

std::vector<std::string> engine_folders(const std::string& dir, const std::string& library) {
  return {dir, fs::path(library).parent_path().string(),
          fs::path(real_path(library)).parent_path().string()};
}

std::vector<std::string> system_folders() { return {kSystem.begin(), kSystem.end()}; }

std::vector<std::string> sinks() { return {kSinks.begin(), kSinks.end()}; }

std::vector<std::string> places_of_checkpoint(const std::string& folder) {
  std::vector<std::string> places = {real_path(folder)};
  std::error_code failed;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, failed)) {
    std::error_code ignored;
    if (entry.is_symlink(ignored)) places.push_back(real_path(entry.path().string()));
  }
  return places;
}

std::vector<std::string> parts_of_model(const std::string& model) {
  std::vector<std::string> parts = {model};
  constexpr std::string_view mark = "-of-";
  constexpr size_t digits = 5;
  const fs::path path(model);
  const std::string name = path.filename().string();
  const size_t at = name.rfind(mark);
  if (at == std::string::npos || at < digits) return parts;
  const std::string begin = name.substr(0, at - digits), end = name.substr(at);
  const fs::path folder = path.has_parent_path() ? path.parent_path() : ".";
  std::error_code failed;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, failed)) {
    const std::string other = entry.path().filename().string();
    if (other.size() == name.size() && other.starts_with(begin) && other.ends_with(end)) {
      parts.push_back((folder / other).string());
    }
  }
  return parts;
}

bool is_passed_on(const std::string& variable, bool is_own_program) {
  if (variable == kServerVariables.front()) return false;
  const auto begins = [&](std::string_view family) { return variable.starts_with(family); };
  if (std::find(kVariables.begin(), kVariables.end(), variable) != kVariables.end() ||
      std::any_of(kVariableFamilies.begin(), kVariableFamilies.end(), begins)) {
    return true;
  }
  if (!is_own_program) return false;
  std::string upper = variable;
  std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return std::toupper(c); });
  return std::none_of(
             kSecretWords.begin(), kSecretWords.end(),
             [&](std::string_view word) { return upper.find(word) != std::string::npos; }) &&
         !upper.ends_with("KEY");
}

void allow_server(const std::string& url, Rights& rights) {
  const ServerUrl server = parse_server_url(url, url);
  rights.connect_ports.push_back(server.port);
  rights.resolves_names = rights.resolves_names || server.is_name();
}

std::vector<std::string> worker_reads(const WorkerPlaces& places) {
  std::vector<std::string> read = system_folders();
  read.emplace_back("/dev");  // of a GPU, whose libraries open what they find
  if (places.engine_dirs.empty()) {
    add_for_own_program(read);
  } else {
    for (const std::string& folder : places.engine_dirs) read.push_back(real_path(folder));
  }
  read.push_back(folder_of_program(places.argv.front()));
  read.push_back(fs::path(fs::absolute(places.argv.front())).parent_path().string());
  if (const std::string interpreter = interpreter_of(places.argv.front()); !interpreter.empty()) {
    read.push_back(folder_of_program(interpreter));
  }
  for (const char* variable : {"SSL_CERT_FILE", "SSL_CERT_DIR"}) {
    const char* path = places.url.empty() ? nullptr : std::getenv(variable);
    if (path != nullptr && *path != 0) read.push_back(real_path(path));
  }
  // Ours: workers and engines that were set up, and programs beside us.
  read.push_back(state_dir().string());
  read.push_back(fs::path(real_path("/proc/self/exe")).parent_path().string());
  add_model(places.model, read);
  return read;
}

void require_kernel(const std::string& whom) {
  const std::vector<std::string> missing = kernel_offers().missing();
  if (missing.empty()) return;
  backend_failed("sandbox_missing",
                 fmt::format("this kernel cannot hold {} to its rights: {}", whom, missing.front()),
                 "--sandbox", "use a newer kernel, or --sandbox auto, which does what can be done");
}

std::optional<WorkerCover> cover_worker(Sandbox sandbox, const WorkerPlaces& places) {
  if (sandbox == Sandbox::off) return std::nullopt;
  if (sandbox == Sandbox::strict) require_kernel("a worker");
  WorkerCover cover;
  const bool has_server = !places.url.empty();
  if (has_server) allow_server(places.url, cover.rights);
  cover.rights.read = worker_reads(places);
  const bool is_own_program = places.engine_dirs.empty();
  for (const std::string_view sink : kSinks) cover.rights.write.emplace_back(sink);
  for (const std::string& path : places.write) cover.rights.write.push_back(real_path(path));
  cover.rights.data_bytes = memory_of_machine();
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    const std::string name(text.substr(0, text.find('=')));
    if ((has_server && std::ranges::find(kServerVariables, name) != kServerVariables.end()) ||
        is_passed_on(name, is_own_program)) {
      cover.environment.emplace_back(text);
    }
  }
  return cover;
}

std::string model_path_for(const std::string& model, std::optional<WorkerCover>& cover) {
  const std::string ours = fmt::format("/proc/{}/fd/", ::getpid());
  if (!cover || !model.starts_with(ours)) return model;
  cover->model_fd = std::atoi(model.c_str() + ours.size());
  return fmt::format("/proc/self/fd/{}", kWorkerModelFd);
}

std::string cover_words(const std::optional<WorkerCover>& cover) {
  if (!cover) return "off";
  const KernelOffers& offers = kernel_offers();
  std::string words = offers.landlock_abi > 0 ? "files, " : "";
  const std::vector<int>& ports = cover->rights.connect_ports;
  if (!ports.empty()) {
    words += offers.holds_ports() ? fmt::format("network but port {}, ", ports.front())
                                  : "network but TCP to anywhere, ";
    words += "memory";
  } else {
    words += offers.seccomp ? "network, memory" : "memory";
  }
  for (const std::string& missing : offers.missing()) words += "; " + missing;
  return words;
}

}  // namespace crossval
