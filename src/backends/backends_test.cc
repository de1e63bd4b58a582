// Where engines are found, what is said when they are not, and what setup refuses. No real engine.
#include "backends/backends.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "backends/build_worker.h"
#include "backends/engine_ref.h"
#include "backends/locate.h"
#include "backends/preflight.h"
#include "backends/probe_model.h"
#include "backends/state_dir.h"
#include "backends/worker_rights.h"
#include "base/error.h"
#include "support/temp_dir.h"

namespace crossval {
namespace {

namespace fs = std::filesystem;
using testing::TempDir;
using testing::write_text;

// A state folder of its own and no engine in the environment.
class Backends : public ::testing::Test {
 protected:
  void SetUp() override {
    setenv("CROSSVAL_HOME", home_.path().c_str(), 1);
    for (const Backend& row : all_backends()) {
      if (row.library() != nullptr) unsetenv(std::string(row.library()->env_var).c_str());
    }
  }
  void TearDown() override { unsetenv("CROSSVAL_HOME"); }

  // Makes a file below the temporary folder and returns the folder's path.
  std::string make(const std::string& name, const std::string& content = "x") {
    const fs::path path = dir_.file(name);
    fs::create_directories(path.parent_path());
    write_text(path, content);
    return dir_.path();
  }

  const Backend& llama_ = *find_backend("llama");
  const Backend& bitnet_ = *find_backend("bitnet");
  TempDir home_, dir_;
};

template <typename Body>
Error error_of(Body body) {
  try {
    body();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no Error";
  return Error(Status::agree, "", "", "", "");
}

TEST_F(Backends, UnknownAndMissing) {
  EXPECT_EQ(find_backend("gpt"), nullptr);
  const auto check = [](const std::string& name) {
    return error_of([&] { check_engine(find_engine(name, "--backend")); });
  };
  EXPECT_EQ(find_engine("ik", "").display_name(), "ik_llama.cpp");
  EXPECT_EQ(check("gpt").status, Status::bad_input);
  EXPECT_NE(check("lama").fix.find("did you mean 'llama'?"), std::string::npos);
  EXPECT_NE(check("gpt").fix.find("native"), std::string::npos);
  EXPECT_EQ(check("native:x").status, Status::bad_input);
  EXPECT_EQ(check("trace:").status, Status::bad_input);
  EXPECT_EQ(check("worker:/nonexistent").status, Status::backend_failed);

  const BackendStatus status = preflight(bitnet_, false);
  EXPECT_EQ(status.state, BackendState::not_set_up);
  EXPECT_NE(status.fix.find("crossval setup bitnet --dir DIR"), std::string::npos);
  const Error error = check("bitnet");
  EXPECT_EQ(error.status, Status::backend_failed);
  EXPECT_EQ(error.code, "backend_not_set_up");
  EXPECT_NE(error.fix.find("crossval setup bitnet --dir"), std::string::npos);
}

TEST_F(Backends, TheKeyOfAServerIsForItsWorkerAlone) {
  EXPECT_FALSE(is_passed_on("CROSSVAL_HTTP_KEY", false));
  EXPECT_FALSE(is_passed_on("CROSSVAL_HTTP_KEY", true));
  EXPECT_TRUE(is_passed_on("CROSSVAL_HOME", false));
  ::setenv("CROSSVAL_HTTP_KEY", "sesame", 1);
  const auto has_key = [](const std::string& url) {
    const auto cover = cover_worker(
        Sandbox::automatic,
        {.argv = {"/bin/true"}, .engine_dirs = {"/bin"}, .model = "", .write = {}, .url = url});
    const auto& variables = cover->environment;
    return std::ranges::find(variables, "CROSSVAL_HTTP_KEY=sesame") != variables.end();
  };
  EXPECT_TRUE(has_key("http://127.0.0.1:1"));
  EXPECT_FALSE(has_key(""));
  ::unsetenv("CROSSVAL_HTTP_KEY");
}

TEST_F(Backends, TheVariableWinsAndItsFolderIsInTheCommand) {
  remember_dir("llama", "/remembered");
  setenv("LLAMA_CPP_DIR", "/nonexistent dir", 1);
  BackendStatus status = preflight(llama_, false);
  EXPECT_EQ(status.state, BackendState::broken);
  EXPECT_EQ(status.dir, "/nonexistent dir");

  const std::string dir = make("build/bin/libllama.so");
  setenv("LLAMA_CPP_DIR", dir.c_str(), 1);
  status = preflight(llama_, false);
  EXPECT_EQ(status.state, BackendState::not_set_up);
  EXPECT_EQ(status.fix, "crossval setup llama --dir " + fs::canonical(dir).string());
  unsetenv("LLAMA_CPP_DIR");
  EXPECT_EQ(preflight(llama_, false).dir, "/remembered");
}

TEST_F(Backends, AWorkerOfAnotherEngineOrUnknownOriginIsStale) {
  const std::string dir = make("libllama.so");
  setenv("LLAMA_CPP_DIR", dir.c_str(), 1);
  const fs::path worker = worker_dir("llama", dir);
  fs::create_directories(worker);
  write_text(worker / "crossval-worker", "x");
  const BackendStatus status = preflight(llama_, false);
  EXPECT_EQ(status.state, BackendState::not_set_up);
  EXPECT_NE(status.reason.find("no record"), std::string::npos);
  EXPECT_NE(status.fix.find("setup llama --dir"), std::string::npos);
  WorkerStamp stamp;
  stamp.library = dir + "/libllama.so";
  stamp.library_bytes = 2;  // the file has 1
  EXPECT_NE(why_stale(stamp, *find_libraries(llama_, dir)), "");
}

TEST_F(Backends, MemorySurvivesRubbish) {
  write_text(home_.file("backends.json"), "{\"backends\": [1, ");
  EXPECT_FALSE(remembered_dir("llama"));
  remember_dir("llama", "/a");
  remember_dir("ik", "/b");
  EXPECT_EQ(remembered_dir("llama"), "/a");
  EXPECT_EQ(remembered_dir("ik"), "/b");
  EXPECT_EQ(home_.n_entries(), 1);  // no temporary file
}

// A Python has no builds, whatever the memory says.
TEST_F(Backends, BuildsOfWhatHasNoneAreNotLookedAt) {
  write_text(home_.file("backends.json"),
             R"({"schema": "crossval/engines/1", "backends": {"hf": {"builds": {"x": "/tmp"}}}})");
  std::vector<std::string> names;
  for (const BackendStatus& status : preflight_all(false)) names.push_back(status.name);
  EXPECT_EQ(names, (std::vector<std::string>{"llama", "bitnet", "ik", "hf", "http://HOST:PORT",
                                             "https://HOST:PORT", "native"}));
}

TEST_F(Backends, NoModelIsNoCheckpointOfTheFolderWeAreIn) {
  write_text(dir_.file("config.json"), "{}");
  EXPECT_EQ(kind_of_model(dir_.path()), ModelKind::checkpoint);
  const fs::path before = fs::current_path();
  fs::current_path(dir_.path());
  EXPECT_EQ(kind_of_model(""), ModelKind::gguf);
  EXPECT_EQ(kind_of_model("."), ModelKind::checkpoint);
  fs::current_path(before);
}

TEST_F(Backends, BuildsHaveNames) {
  const auto find = [](const std::string& name) { return find_engine(name, "--engine"); };
  remember_dir("llama", "/default");
  remember_build("llama", "old", "/builds/old");
  remember_dir("llama", "/other");  // the builds stay
  EXPECT_EQ(remembered_dir("llama"), "/other");
  EXPECT_EQ(find("llama").dir, "");
  EXPECT_EQ(find("llama:old").dir, "/builds/old");
  EXPECT_EQ(find("llama:old").display_name(), "llama.cpp (old)");
  EXPECT_EQ(find("llama:" + dir_.path()).dir, fs::canonical(dir_.path()).string());
  const Error error = error_of([&] { find("llama:odl"); });
  EXPECT_EQ(error.code, "unknown_build");
  EXPECT_NE(error.fix.find("did you mean 'llama:old'?"), std::string::npos) << error.fix;
  EXPECT_EQ(error_of([&] { find("ik:old"); }).code, "unknown_build");
  std::vector<std::string> names;
  for (const BackendStatus& status : preflight_all(false)) names.push_back(status.name);
  EXPECT_EQ(names, (std::vector<std::string>{"llama", "llama:old", "bitnet", "ik", "hf",
                                             "http://HOST:PORT", "https://HOST:PORT", "native"}));
}

TEST_F(Backends, ProgramsHaveNames) {
  EXPECT_EQ(error_of([] { setup_program("native", {"true"}, {}); }).code, "name_taken");
  EXPECT_EQ(error_of([] { setup_program("a b", {"true"}, {}); }).code, "bad_name");
  EXPECT_EQ(error_of([] { setup_program("mine", {"/no/such"}, {}); }).code, "backend_missing");
  EXPECT_EQ(error_of([] { setup_program("mine", {"true"}, {}); }).status, Status::backend_failed);
  EXPECT_TRUE(remembered_programs().empty());  // what does not answer is not remembered
  remember_program("mine", {"/bin/true", "--x"});
  const EngineRef ref = find_engine("mine", "--backend");
  EXPECT_EQ(ref.argv, (std::vector<std::string>{"/bin/true", "--x"}));
  EXPECT_EQ(ref.display_name(), "mine");
  EXPECT_EQ(preflight_all(false).back().kind, "program");
}

TEST_F(Backends, LibraryNames) {
  make("lib/libllama-common.so");
  make("lib/libllama.a");
  EXPECT_FALSE(find_libraries(llama_, dir_.path()));
  EXPECT_TRUE(has_static_library(llama_, dir_.path()));
  make("lib/libllama-0a1b2c3d.so");
  EXPECT_EQ(find_libraries(llama_, dir_.path())->llama.filename(), "libllama-0a1b2c3d.so");
  make("lib/libllama.v0.5.0.so");
  make("tagged/lib/libllama.b6301.so");
  EXPECT_EQ(find_libraries(llama_, dir_.file("tagged"))->llama.filename(), "libllama.b6301.so");
  EXPECT_EQ(find_libraries(llama_, dir_.path())->llama.filename(), "libllama.v0.5.0.so");
  make("lib/libllama.so.0");
  EXPECT_EQ(find_libraries(llama_, dir_.path())->llama.filename(), "libllama.so.0");
  make("build/bin/libllama.so");
  EXPECT_EQ(find_libraries(llama_, dir_.path())->llama,
            fs::path(dir_.path()) / "build/bin/libllama.so");
  // An ELF file that is none, or cut, gives no names and no crash.
  EXPECT_TRUE(elf_needed(dir_.file("build/bin/libllama.so")).empty());
  make("cut.so", std::string("\177ELF\2\1\1", 7) + std::string(60, '\377'));
  EXPECT_TRUE(elf_needed(dir_.file("cut.so")).empty());
  EXPECT_FALSE(elf_needed("/proc/self/exe").empty());
}

TEST_F(Backends, NestedLayouts) {
  make("build/3rdparty/llama.cpp/src/libllama.so");
  make("3rdparty/llama.cpp/include/llama.h");
  make("3rdparty/llama.cpp/ggml/include/ggml.h");
  make("include/ggml-bitnet.h");
  EXPECT_TRUE(find_libraries(bitnet_, dir_.path()));
  EXPECT_EQ(find_headers(bitnet_, dir_.path(), "").size(), 3u);
  // From the build folder the headers are above.
  make("tree/include/llama.h");
  make("tree/ggml/include/ggml.h");
  make("tree/build/bin/libllama.so");
  EXPECT_EQ(find_headers(llama_, dir_.file("tree/build"), "").size(), 2u);
  EXPECT_EQ(find_headers(llama_, dir_.file("tree/build/bin"), "").size(), 2u);
  EXPECT_TRUE(find_headers(llama_, dir_.file("build"), "").empty());
}

TEST_F(Backends, VersionFromFiles) {
  make("a/VERSION", "v1.2\nmore");
  EXPECT_EQ(version_from_files(dir_.file("a")), "v1.2");
  make("quoted/VERSION", "  my \"best\\ \377build\"\t ");
  EXPECT_EQ(version_from_files(dir_.file("quoted")), "my best build");
  make("b/common/build-info.cpp",
       "int LLAMA_BUILD_NUMBER = 3889;\nchar const *LLAMA_COMMIT = \"b6d6c5289f1c\";\n");
  EXPECT_EQ(version_from_files(dir_.file("b")), "b3889 (b6d6c5289f1c)");
  EXPECT_EQ(version_from_files(dir_.file("nothing")), "");
}

TEST_F(Backends, SetupRefusals) {
  const auto setup = [&](const std::string& name, const std::string& dir) {
    return error_of([&] {
      setup_backend({.backend = name, .dir = dir, .include_dir = "", .on_progress = {}});
    });
  };
  EXPECT_EQ(setup("gpt", dir_.path()).code, "unknown_backend");
  EXPECT_EQ(setup("llama", dir_.file("nothing")).code, "no_such_dir");
  EXPECT_EQ(setup("llama", dir_.path()).code, "engine_not_found");
  make("lib/libllama.so");
  EXPECT_EQ(setup("llama", dir_.path()).code, "headers_not_found");
  make("include/ggml.h");
  make("include/llama.h", "#error these headers are rubbish\n");
  const Error error = setup("llama", dir_.path());
  EXPECT_EQ(error.code, "worker_build");
  EXPECT_NE(error.what_.find("these headers are rubbish"), std::string::npos) << error.what_;
  setenv("CXX", "no-such-compiler", 1);
  EXPECT_EQ(setup("llama", dir_.path()).code, "no_compiler");
  unsetenv("CXX");
  EXPECT_FALSE(remembered_dir("llama"));
  // Nothing half-built is left.
  for (const auto& entry : fs::recursive_directory_iterator(home_.path())) {
    EXPECT_TRUE(entry.is_directory()) << entry.path();
  }
}

TEST_F(Backends, ChoiceByPathAndDefault) {
  for (const auto& [name, backend, by] :
       {std::tuple{"Some-BitNet.gguf", "bitnet", "path"}, {"my-Llama.gguf", "llama", "path"}}) {
    write_probe_model(dir_.file(name));
    const auto choice = choose_backend(*ModelFile::open(dir_.file(name)));
    EXPECT_EQ(choice.name, backend);
    EXPECT_EQ(choice.selected_by, by);
  }
}

}  // namespace
}  // namespace crossval
