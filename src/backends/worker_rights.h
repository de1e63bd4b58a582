// What a worker may do (docs/security.md): read the system, its engine and its model, write
// nothing, no network, an environment without secrets.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "worker/process.h"

namespace crossval {

enum class Sandbox { automatic, strict, off };

// Where an engine's libraries may lie: its folder, and where its main library is, and really is.
std::vector<std::string> engine_folders(const std::string& dir, const std::string& library);

struct WorkerPlaces {
  std::vector<std::string> argv;
  std::vector<std::string> engine_dirs;  // of a library; none: a program of the user's own
  std::string model;
  std::vector<std::string> write;  // device files of a GPU, or wherever else it has to write
  std::string url = {};            // of the one server that it may speak to; "" = none
};

// What it may read, and run where that is a program.
std::vector<std::string> worker_reads(const WorkerPlaces& places);

// nullopt under `off`. Under `strict` throws backend_failed where the kernel lacks something.
std::optional<WorkerCover> cover_worker(Sandbox sandbox, const WorkerPlaces& places);

// A path as the worker has to name it: a file that has no name but our descriptor of it
// (/proc/PID/fd/N, quant/lift.h) comes to it as a descriptor of its own.
std::string model_path_for(const std::string& model, std::optional<WorkerCover>& cover);

// For the receipt: "files, network, memory", "off", "network, memory; no Landlock: ...".
std::string cover_words(const std::optional<WorkerCover>& cover);

// Where systems keep programs, libraries and what they tell of themselves.
std::vector<std::string> system_folders();
// What every program may write to.
std::vector<std::string> sinks();
// The file, and where it is a part of a split one, all parts that lie beside it.
std::vector<std::string> parts_of_model(const std::string& model);

// A checkpoint's folder, and what links in it lead to: a hub's cache keeps the files elsewhere.
std::vector<std::string> places_of_checkpoint(const std::string& folder);

// Throws backend_failed where the kernel lacks something that a cover takes: for `strict`.
void require_kernel(const std::string& whom);

// Variables of our environment that a worker gets: a fixed list; a program of the user's own gets
// all whose names do not look like a secret's.
bool is_passed_on(const std::string& variable, bool is_own_program);

// The right to reach a server, whose url was checked.
void allow_server(const std::string& url, Rights& rights);

}  // namespace crossval
