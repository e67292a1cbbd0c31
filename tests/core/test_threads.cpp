// The number of threads that the program computes with: asked for, granted, limited.
#include "core/text.h"
#include "tests/program.h"
#include "tests/train/tiny_run.h"

#if !defined(RCNN_STD_THREADS)  // elsewhere there is no OpenMP runtime

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

/// "2 threads" or "1 thread" of `rcnn --version`.
std::string threads_in(const std::string& text) {
  const size_t end = text.find(" thread");
  if (end == std::string::npos) return "none: " + text;
  return text.substr(text.rfind(' ', end - 1) + 1, end - text.rfind(' ', end - 1) - 1);
}

}  // namespace

TEST_CASE("threads: as many as the runtime grants, and a run with fewer than asked for ends") {
  const auto program = find_program();
  if (program.empty()) return;
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 2);
  struct Case {
    const char *name, *value, *threads;
  };
  for (const Case& c : {Case{"OMP_THREAD_LIMIT", "1", "1"}, Case{"OMP_MAX_ACTIVE_LEVELS", "0", "1"},
                        Case{"OMP_DYNAMIC", "true", "3"}, Case{"OMP_DYNAMIC", "false", "3"}}) {
    CAPTURE(c.name);
    Environment environment;
    environment.set("OMP_NUM_THREADS", "3");
    environment.set(c.name, c.value);
    CHECK(threads_in(run_program(program, {"--version"}).out) == c.threads);
    std::vector<std::string> words = {program.string(), "train",
                                      "--data",         (folder / "data").string(),
                                      "--out",          (folder / (std::string(c.name) + c.value)).string()};
    for (const auto& [key, text] : tiny_settings()) words.insert(words.end(), {"--" + key, text});
    Process process(words);
    REQUIRE(process.wait_briefly() == 0);  // oneDNN would wait for ever for a thread that is missing
    const bool one = std::string(c.threads) == "1";
    CHECK(contains(process.out(), fmt::format(", {} {} on cpu", c.threads, one ? "thread" : "threads")));
  }
}

TEST_CASE("threads: no more than the control group grants, unless another number is asked for") {
  const auto program = find_program();
  if (program.empty()) return;
  const TemporaryFolder folder;
  // In a namespace of its own, where the folder stands for the system's of control groups.
  const std::string in_group =
      "exec unshare --user --map-root-user --mount /bin/sh -c 'mount --bind \"$0\" /sys/fs/cgroup && exec "
      "\"$@\"' " +
      shell_word(folder.path().string()) + " ";
  if (run_program("/bin/sh", {"-c", in_group + "true"}).status != 0) {
    MESSAGE("skipped: this system lets no process mount a folder");
    return;
  }
  const auto threads = [&](const std::string& words) {
    return threads_in(
        run_program("/bin/sh", {"-c", in_group + words + shell_word(program.string()) + " --version"}).out);
  };
  for (const char* controllers : {".", "cpu,cpuacct", "cpu"}) {  // of either version
    std::filesystem::create_directories(folder / controllers);
    write_text(folder / controllers / "cpu.cfs_quota_us", "100000\n");
    write_text(folder / controllers / "cpu.cfs_period_us", "100000\n");
  }
  write_text(folder / "cpu.max", "100000 100000\n");
  Environment environment;
  environment.remove("OMP_NUM_THREADS");
  CHECK(threads("") == "1");
  CHECK(threads("env OMP_NUM_THREADS=3 ") == "3");
}

TEST_CASE("threads: --threads counts more than OMP_NUM_THREADS") {
  const auto program = find_program();
  if (program.empty()) return;
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 2);
  Environment environment;
  environment.set("OMP_NUM_THREADS", "2");
  std::vector<std::string> words = {
      "train", "--data", (folder / "data").string(), "--out", (folder / "out").string(), "--threads", "3"};
  for (const auto& [key, text] : tiny_settings()) words.insert(words.end(), {"--" + key, text});
  const Finished result = run_program(program, words);
  CHECK(result.status == 0);
  CHECK(contains(result.out, ", 3 threads on cpu"));
  CHECK(run_program(program, {"synth", "--out", (folder / "s").string(), "--threads", "0"}).status == 2);
}

#endif
