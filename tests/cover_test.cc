// The program under cover: all it was asked for still comes about, wherever that is to be written,
// and what it is held to is said.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <span>

#include "gguf/model_file.h"
#include "gguf/reader.h"
#include "gguf/writer.h"
#include "sandbox/rights.h"
#include "support/crossval_run.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace fs = std::filesystem;

namespace crossval::testing {
namespace {

// A folder that is not below /tmp, which is open to the program for temporary files.
class BuildFolder {
 public:
  BuildFolder() { fs::create_directories(path_); }
  ~BuildFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  BuildFolder(const BuildFolder&) = delete;
  BuildFolder& operator=(const BuildFolder&) = delete;
  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_ = std::string(CROSSVAL_BUILD) + "/cover-" + std::to_string(::getpid());
};

class Cover : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* folder : {"models", "here", "there", "home"}) {
      fs::create_directories(dir_.file(folder));
    }
    write_tiny_model(model_);
  }
  // A command line of the shell, in the folder "here".
  RunResult run(const std::string& line) {
    return run_program({"/bin/bash", "-c", line}, {.env = {{"CV", CROSSVAL_BIN},
                                                           {"M", model_},
                                                           {"D", dir_.path()},
                                                           {"HOME", dir_.file("home")}},
                                                   .directory = dir_.file("here")});
  }
  nlohmann::json run_json(const std::string& line) {
    const RunResult result = run(line);
    EXPECT_LE(result.exit_code, 2) << line << result.out << result.err;
    return nlohmann::json::parse(result.out, nullptr, false);
  }
  BuildFolder dir_;
  std::string model_ = dir_.file("models/m.gguf");
};

const std::string pair =
    "\"$CV\" per-token --model \"$M\" --tokens 3,4,5 --max-tokens 1 --backend native ";

TEST_F(Cover, what_it_is_held_to_is_said_in_every_result) {
  const std::string full = "files, network";
  const bool is_full = kernel_offers().missing().empty();
  ASSERT_EQ(run("\"$CV\" run --model \"$M\" --tokens 3,4 --save-trace a.st --taps .").exit_code, 0);
  for (const char* line :
       {"\"$CV\" inspect \"$M\" --format json", "\"$CV\" compare a.st a.st --format json",
        "\"$CV\" trace-diff a.st a.st --format json",
        "\"$CV\" run --model \"$M\" --tokens 3,4 --format json",
        "\"$CV\" per-token --model \"$M\" --tokens 3,4 --backend trace:a.st --format json"}) {
    EXPECT_EQ(run_json(std::string(line) + " --sandbox off")["run"]["sandbox"], "off") << line;
    if (is_full) {
      EXPECT_EQ(run_json(line)["run"]["sandbox"], full) << line;
      EXPECT_EQ(run_json(std::string(line) + " --sandbox strict")["run"]["sandbox"], full) << line;
    }
  }
}

// Also those that watch over the deadline and the progress: a thread that came before the cover
// would be outside of it.
TEST_F(Cover, every_thread_is_under_it) {
  if (!kernel_offers().seccomp) GTEST_SKIP() << "this kernel filters no system calls";
  ASSERT_EQ(::mkfifo(dir_.file("here/ids").c_str(), 0600), 0);
  const RunResult result = run(
      "\"$CV\" run --model \"$M\" --tokens-file ids --deadline 60 --progress always > /dev/null & "
      "exec 8<> ids; for i in $(seq 100); do [ $(ls /proc/$!/task | wc -l) -ge 3 ] && break; "
      "sleep 0.05; done; grep -h ^Seccomp: /proc/$!/task/*/status; echo 3,4 >&8; exec 8>&-; wait "
      "$!");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const std::string confined = "Seccomp:\t2\n";
  size_t n_threads = 0;
  for (std::string rest = result.out; !rest.empty(); ++n_threads) {
    ASSERT_TRUE(rest.starts_with(confined)) << result.out;
    rest.erase(0, confined.size());
  }
  EXPECT_GE(n_threads, 3u);
}

TEST_F(Cover, outputs_in_several_folders) {
  const RunResult result = run(pair +
                               "--receipt ../there/r.json --save-trace new/deep/folder "
                               "--format json > \"$D/models/stdout.json\"");
  EXPECT_LE(result.exit_code, 1) << result.err;
  for (const char* file : {"there/r.json", "here/new/deep/folder/engine.safetensors",
                           "here/new/deep/folder/backend.safetensors", "models/stdout.json"}) {
    EXPECT_GT(fs::file_size(dir_.file(file)), 0u) << file;
  }
  // Over what an earlier run left, through a link, and the receipt of a name without a folder.
  fs::create_symlink(dir_.file("there/r.json"), dir_.file("here/link.json"));
  fs::remove(dir_.file("there/r.json"));
  write_text(dir_.file("there/r.json"), "");
  EXPECT_LE(run(pair + "--receipt link.json --save-trace new/deep/folder").exit_code, 1);
  EXPECT_TRUE(fs::is_symlink(dir_.file("here/link.json")));
  EXPECT_GT(fs::file_size(dir_.file("there/r.json")), 0u);
  EXPECT_LE(run(pair + "--receipt plain.json").exit_code, 1);
  const RunResult page =
      run("\"$CV\" report plain.json \"$D/there/r.json\" -o \"$D/there/p.html\"");
  EXPECT_EQ(page.exit_code, 0) << page.err;
  EXPECT_EQ(run("\"$CV\" compare new/deep/folder/engine.safetensors "
                "new/deep/folder/engine.safetensors --receipt \"$D/there/c.json\"")
                .exit_code,
            0);
}

TEST_F(Cover, outputs_that_are_pipes_and_streams) {
  const RunResult result = run(pair +
                               "--quiet "
                               "--receipt >(cat > \"$D/there/piped.json\") > /dev/null; wait $!");
  EXPECT_LE(result.exit_code, 1) << result.err;
  EXPECT_NE(read_text(dir_.file("there/piped.json")).find("crossval/per-token/1"),
            std::string::npos);
  ASSERT_EQ(::mkfifo(dir_.file("here/fifo").c_str(), 0600), 0);
  const std::string fifo = pair + "--receipt fifo";
  EXPECT_LE(run("cat fifo > \"$D/there/fifo.json\" & sleep 0.2; " + fifo + "; wait").exit_code, 1);
  EXPECT_GT(fs::file_size(dir_.file("there/fifo.json")), 0u);
  EXPECT_LE(run(pair + "--receipt /dev/stderr").exit_code, 1);
  EXPECT_LE(run(pair + "--receipt /dev/null").exit_code, 1);
}

TEST_F(Cover, inputs_through_links_pipes_and_streams) {
  fs::create_symlink(model_, dir_.file("here/link.gguf"));
  write_text(dir_.file("there/prompts.jsonl"), "{\"tokens\": [3, 4]}\n{\"tokens\": [5]}\n");
  EXPECT_EQ(run("\"$CV\" run --model link.gguf --prompts ../there/prompts.jsonl "
                "--save-trace ../there/set.st")
                .exit_code,
            0);
  EXPECT_TRUE(fs::exists(dir_.file("there/set-0002.st")));
  EXPECT_EQ(run("\"$CV\" per-token --model link.gguf --prompts ../there/prompts.jsonl --max-tokens "
                "0 --backend trace:../there/set.st")
                .exit_code,
            0);
  EXPECT_EQ(run("\"$CV\" run --model \"$M\" --tokens-file <(echo 3,4)").exit_code, 0);
  EXPECT_EQ(run("echo 3,4 | \"$CV\" run --model \"$M\" --tokens-file /dev/stdin").exit_code, 0);
  EXPECT_EQ(run("\"$CV\" run --model \"$M\" --tokens-file /dev/stdin < <(echo 3)").exit_code, 0);
  EXPECT_EQ(run("exec 7< \"$M\"; \"$CV\" inspect /dev/fd/7").exit_code, 0);
}

void set_u16(GgufWriter& out, const std::string& key, uint16_t value) {
  MetaValue as_stored;
  as_stored.gguf_type = static_cast<uint32_t>(GgufType::u16);
  as_stored.raw = std::as_bytes(std::span(&value, 1));
  out.copy(key, as_stored);
}

// By native, which reads the parts in our own process, and by a worker, whose rights are made from
// what lies beside the first part.
TEST_F(Cover, a_split_model_through_links) {
  const auto model = ModelFile::open(model_);
  const size_t n_tensors = model->tensors().size();
  for (size_t part = 0; part < 2; ++part) {
    GgufWriter out;
    if (part == 0) {
      for (const auto& [key, value] : model->metadata()) out.copy(key, value);
    }
    set_u16(out, "split.no", static_cast<uint16_t>(part));  // llama.cpp takes no other type
    set_u16(out, "split.count", 2);
    out.set_i32("split.tensors.count", static_cast<int32_t>(n_tensors));
    for (size_t i = part * n_tensors / 2; i < (part + 1) * n_tensors / 2; ++i) {
      const TensorView& tensor = model->tensors()[i];
      out.add_tensor(tensor.name, tensor.type, tensor.shape, tensor.data);
    }
    const std::string blob = dir_.file("there/blob" + std::to_string(part));
    out.write(blob);
    fs::create_symlink(blob,
                       dir_.file("here/s-0000" + std::to_string(part + 1) + "-of-00002.gguf"));
  }
  const std::string line = "\"$CV\" run --model s-00001-of-00002.gguf --tokens 3,4 --max-tokens 0 ";
  const RunResult native = run(line);
  EXPECT_EQ(native.exit_code, 0) << native.err;
  SKIP_WITHOUT(llama_new);
  const RunResult llama = run(line + "--engine llama:" + llama_new);
  EXPECT_EQ(llama.exit_code, 0) << llama.err;
}

// The words are those of the file system: a cover that hides a folder says nothing of its own.
TEST_F(Cover, an_output_that_cannot_be_written_has_the_words_it_always_had) {
  for (const char* output :
       {"missing/r.json", "\"$D/missing/deep/r.json\"", "there-is-no/r.json"}) {
    std::string err;
    for (const char* sandbox : {"off", "auto"}) {
      const RunResult result = run(pair + "--receipt " + output + " --sandbox " + sandbox);
      EXPECT_EQ(result.exit_code, 3) << result.err;
      EXPECT_NE(result.err.find("the output file cannot be created: No such file or directory"),
                std::string::npos)
          << result.err;
      EXPECT_NE(result.err.find("check that the folder exists and may be written to"),
                std::string::npos);
      EXPECT_TRUE(err.empty() || err == result.err) << err << result.err;
      err = result.err;
    }
  }
  for (const char* line :
       {"\"$CV\" inspect missing.gguf", "\"$CV\" inspect \"$D\"",
        "\"$CV\" run --model missing/m.gguf --tokens 3",
        "\"$CV\" run --model \"$M\" --tokens-file missing", "\"$CV\" compare missing missing",
        "\"$CV\" report missing -o there.html",
        "\"$CV\" per-token --model \"$M\" --tokens 3 --backend worker:missing",
        "\"$CV\" per-token --model \"$M\" --tokens 3 --backend trace:missing",
        "\"$CV\" per-token --model \"$M\" --tokens 3 --receipt ."}) {
    const RunResult off = run(std::string(line) + " --sandbox off");
    const RunResult on = run(line);
    EXPECT_EQ(on.exit_code, off.exit_code) << line;
    EXPECT_EQ(on.err, off.err) << line;
  }
}

TEST_F(Cover, a_worker_writes_where_it_was_told_to) {
  fs::create_directories(dir_.file("home/data"));
  write_text(dir_.file("home/worker"), std::string("#!/bin/sh\necho done > \"$HOME/data/mark\"\n"
                                                   "exec ") +
                                           FAKE_WORKER_BIN + "\n");
  ::chmod(dir_.file("home/worker").c_str(), 0700);
  const std::string line =
      "\"$CV\" run --model \"$M\" --tokens 3,4 --max-tokens 0 --engine worker:\"$HOME/worker\" ";
  EXPECT_LE(run(line + "--sandbox-write \"$HOME/data\"").exit_code, 1);
  EXPECT_TRUE(fs::exists(dir_.file("home/data/mark")));
  if (kernel_offers().landlock_abi == 0) GTEST_SKIP() << "this kernel has no Landlock";
  fs::remove(dir_.file("home/data/mark"));
  EXPECT_LE(run(line).exit_code, 1);
  EXPECT_FALSE(fs::exists(dir_.file("home/data/mark")));
}

}  // namespace
}  // namespace crossval::testing
