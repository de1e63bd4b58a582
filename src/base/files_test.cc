// Files in and out: mapping, checksums, writing whole or not at all, showing untrusted text.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/line_file.h"
#include "base/mapped_file.h"
#include "base/printable.h"
#include "base/sha256.h"
#include "support/temp_dir.h"

namespace crossval {
namespace {

using testing::read_text;
using testing::TempDir;
using testing::write_text;

std::string code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.status, Status::bad_input);
    EXPECT_FALSE(error.where.empty());
    EXPECT_FALSE(error.fix.empty());
    return error.code;
  }
  return "no error";
}

TEST(MappedFile, shows_the_bytes_or_says_why_not) {
  const TempDir folder;
  write_text(folder.file("a"), "abc");
  const MappedFile file(folder.file("a"), "trace");
  EXPECT_EQ(file.bytes().size(), 3u);
  EXPECT_EQ(file.bytes()[2], std::byte{'c'});

  const auto open = [&](const std::string& name) {
    return code_of([&] { MappedFile(folder.file(name), "trace"); });
  };
  write_text(folder.file("empty"), "");
  ASSERT_EQ(::mkfifo(folder.file("fifo").c_str(), 0600), 0);
  EXPECT_EQ(open("missing"), "missing_file");
  EXPECT_EQ(open("a/b"), "missing_file");
  EXPECT_EQ(code_of([] { MappedFile("", "trace"); }), "missing_file");
  EXPECT_EQ(open(""), "not_a_file");
  EXPECT_EQ(open("fifo"), "not_a_file");
  EXPECT_EQ(open("empty"), "empty_file");
  if (::geteuid() != 0) {
    ::chmod(folder.file("a").c_str(), 0);
    EXPECT_EQ(open("a"), "unreadable_file");
  }
}

TEST(Sha256, known_digests) {
  const TempDir folder;
  write_text(folder.file("abc"), "abc");  // FIPS 180-2, appendix B.1 and B.3
  EXPECT_EQ(sha256_file(folder.file("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  write_text(folder.file("million"), std::string(1'000'000, 'a'));
  EXPECT_EQ(sha256_file(folder.file("million")),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  write_text(folder.file("two_reads"), std::string(3 << 20, 'a'));
  EXPECT_EQ(sha256_file(folder.file("two_reads")).size(), 64u);
  EXPECT_EQ(code_of([&] { sha256_file(folder.file("missing")); }), "unreadable_file");
  EXPECT_EQ(code_of([&] { sha256_file(folder.path()); }), "unreadable_file");
}

TEST(AtomicFile, appears_whole_at_commit_only) {
  const TempDir folder;
  const std::string path = folder.file("out");
  write_text(path, "old");
  {
    AtomicFile file(path);
    file.write(std::string(5 << 20, 'x'));  // more than the buffer
    EXPECT_EQ(read_text(path), "old");
  }
  EXPECT_EQ(read_text(path), "old");
  EXPECT_EQ(folder.n_entries(), 1);
  AtomicFile file(path);
  file.write("new ");
  file.write("text");
  EXPECT_EQ(file.n_written(), 8u);
  file.commit();
  EXPECT_EQ(read_text(path), "new text");
  EXPECT_EQ(folder.n_entries(), 1);
}

TEST(AtomicFile, follows_links_and_leaves_devices_alone) {
  const TempDir folder;
  write_text(folder.file("real"), "old");
  ASSERT_EQ(::symlink("real", folder.file("link").c_str()), 0);
  write_file_atomically(folder.file("link"), "new");
  EXPECT_EQ(read_text(folder.file("real")), "new");
  EXPECT_EQ(folder.n_entries(), 2);
  write_file_atomically("/dev/null", "gone");
  struct stat status {};
  ASSERT_EQ(::stat("/dev/null", &status), 0);
  EXPECT_TRUE(S_ISCHR(status.st_mode));
}

TEST(AtomicFile, says_why_it_cannot) {
  const TempDir folder;
  const auto write_to = [](const std::string& path) {
    return code_of([&] { write_file_atomically(path, "text"); });
  };
  EXPECT_EQ(write_to(folder.path()), "cannot_write");
  EXPECT_EQ(write_to(folder.file("no/such/folder")), "cannot_write");
  EXPECT_EQ(write_to("/dev/full"), "disk_full");
  EXPECT_EQ(folder.n_entries(), 0);
}

TEST(LineFile, keeps_what_was_there_until_the_first_line_and_appends_then) {
  const TempDir folder;
  const std::string path = folder.file("out");
  write_text(path, "old and longer");
  LineFile file(path);
  EXPECT_EQ(read_text(path), "old and longer");
  file.append("one\n");
  EXPECT_EQ(read_text(path), "one\n");
  file.append("two\n");
  EXPECT_EQ(read_text(path), "one\ntwo\n");
  EXPECT_EQ(folder.n_entries(), 1);
}

TEST(LineFile, a_line_that_does_not_fit_is_taken_back_and_comes_before_the_next) {
  const TempDir folder;
  const std::string path = folder.file("out");
  LineFile file(path);
  file.append("one\n");
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_action = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {6, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string code = code_of([&] { file.append("two\n"); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old_action);
  EXPECT_EQ(code, "disk_full");
  EXPECT_EQ(read_text(path), "one\n");
  file.append("three\n");
  EXPECT_EQ(read_text(path), "one\ntwo\nthree\n");
}

TEST(LineFile, leaves_nothing_where_it_cannot_begin) {
  const TempDir folder;
  LineFile none(folder.file("no/out"));
  EXPECT_EQ(code_of([&] { none.append("x"); }), "cannot_write");
  LineFile full("/dev/full");
  EXPECT_EQ(code_of([&] { full.append("x"); }), "disk_full");
  EXPECT_EQ(folder.n_entries(), 0);
}

TEST(Printable, control_bytes_and_endless_names_are_tamed) {
  EXPECT_EQ(printable("blk.0.attn_q.weight"), "blk.0.attn_q.weight");
  EXPECT_EQ(printable("a\x1b[31m\n\xff"), "a<1b>[31m<0a><ff>");
  EXPECT_EQ(printable("abcdef", 3), "abc...");
}

}  // namespace
}  // namespace crossval
