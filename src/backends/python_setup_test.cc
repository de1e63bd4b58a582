// What setup and preflight say of an environment for a worker in Python: one that is not there,
// lacks packages, is too old, or is whole. Fake Pythons, no package is downloaded.
#include "backends/python_setup.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "backends/engine_ref.h"
#include "backends/state_dir.h"
#include "base/error.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"

namespace crossval {
namespace {

namespace fs = std::filesystem;
using testing::TempDir;
using testing::write_text;

class PythonEnvironments : public ::testing::Test {
 protected:
  void SetUp() override { setenv("CROSSVAL_HOME", home_.path().c_str(), 1); }
  void TearDown() override { unsetenv("CROSSVAL_HOME"); }

  // A program that says of itself what environment.py would, and runs the example worker.
  std::string fake_python(const std::string& facts) {
    const std::string python =
        testing::run_program({"python3", "-c", "import sys; print(sys.executable, end='')"}).out;
    const std::string examples = std::string(CROSSVAL_ROOT) + "/docs/examples";
    const std::string path = dir_.file("bin/python");
    for (const char* package : {"torch", "transformers"}) {
      fs::create_directories(dir_.file(std::string("lib/python3/site-packages/") + package));
      write_text(dir_.file(std::string("lib/python3/site-packages/") + package + "/__init__.py"),
                 "");
    }
    fs::create_directories(dir_.file("bin"));
    write_text(path, fmt::format("#!/bin/sh\n"
                                 "case \"$3\" in\n"
                                 "*environment.py) echo '{{\"dir\": \"{0}\", \"python\": \"{1}\", "
                                 "\"folders\": [\"{0}\", "
                                 "\"{0}/lib/python3/site-packages\", \"{2}\", "
                                 "\"{3}\"], {4}}}';;\n"
                                 "*) exec {5} -S {3}/worker.py;;\n"
                                 "esac\n",
                                 dir_.path(), path,
                                 fs::canonical(python).parent_path().parent_path().string(),
                                 examples, facts, python));
    fs::permissions(path, fs::perms::owner_all);
    return path;
  }
  static Error error_of(const PythonSetup& options) {
    try {
      setup_python(options);
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "no Error";
    return Error(Status::agree, "", "", "", "");
  }

  TempDir home_, dir_;
  const Backend& row_ = *find_backend("hf");
};

TEST_F(PythonEnvironments, OneThatIsNotThereSaysHowToGetIt) {
  EXPECT_EQ(find_backend("transformers"), &row_);
  EXPECT_TRUE(row_.reads(ModelKind::checkpoint));
  EXPECT_FALSE(find_backend("llama")->reads(ModelKind::checkpoint));
  const BackendStatus status = preflight(row_, true);
  EXPECT_EQ(status.state, BackendState::not_set_up);
  EXPECT_NE(status.fix.find("setup hf"), std::string::npos);
  EXPECT_NE(status.hint.find("--python PY"), std::string::npos);
  try {
    check_engine(find_engine("hf", "--backend"));
    FAIL() << "no Error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code, "backend_not_set_up");
    EXPECT_EQ(error.status, Status::backend_failed);
  }
}

TEST_F(PythonEnvironments, WhatIsNoPythonOrLacksPackagesIsRefused) {
  const auto code = [&](const std::string& python) {
    return error_of({.backend = "hf", .python = python, .on_progress = {}}).code;
  };
  EXPECT_EQ(code("/no/such"), "no_python");
  EXPECT_EQ(code("true"), "no_python");
  EXPECT_EQ(code(fake_python(R"("missing": [], "other": [], "too_old": ["Python 3.8.1"])")),
            "python_too_old");
  const Error error =
      error_of({.backend = "hf",
                .python = fake_python(R"("missing": ["gguf"], "other": [], "too_old": [])"),
                .on_progress = {}});
  EXPECT_EQ(error.code, "packages_missing");
  EXPECT_NE(error.fix.find("-m pip install gguf"), std::string::npos) << error.fix;
  EXPECT_FALSE(remembered_environment("hf"));
}

TEST_F(PythonEnvironments, OneThatIsWholeIsTakenAndRemembered) {
  std::string said;
  const BackendStatus status = setup_python(
      {.backend = "hf",
       .python = fake_python(R"("missing": [], "other": ["torch 2.9.0"], "too_old": [])"),
       .on_progress = [&](const std::string& line) { said += line + "\n"; }});
  EXPECT_EQ(status.state, BackendState::ready);
  EXPECT_NE(said.find("torch 2.9.0"), std::string::npos) << said;
  EXPECT_EQ(said.find("downloaded"), std::string::npos) << said;
  EXPECT_EQ(remembered_environment("hf")->dir, dir_.path());
  EXPECT_EQ(preflight(row_, true).state, BackendState::ready) << preflight(row_, true).reason;

  fs::remove_all(dir_.file("lib/python3/site-packages/torch"));
  BackendStatus later = preflight(row_, false);
  EXPECT_EQ(later.state, BackendState::broken);
  EXPECT_NE(later.reason.find("torch"), std::string::npos) << later.reason;
  fs::remove(dir_.file("bin/python"));
  later = preflight(row_, false);
  EXPECT_NE(later.reason.find("its Python is not there"), std::string::npos) << later.reason;
}

}  // namespace
}  // namespace crossval
