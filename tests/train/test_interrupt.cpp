// Signals: the first stops a run after its step, the second ends the process at once.
#include "train/interrupt.h"

#include "tests/program.h"
#include "tests/train/tiny_run.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

/// How a process ends that receives these signals while an InterruptGuard lives: the signal, or 0.
int end_of_process(const std::vector<int>& signals, bool ignores_hangup = false) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(STDERR_FILENO);
    std::signal(SIGHUP, ignores_hangup ? SIG_IGN : SIG_DFL);
    const InterruptGuard guard;
    for (const int signal : signals) ::raise(signal);
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

TEST_CASE("interrupt: the first signal is recorded, a second one of any kind ends the process") {
  CHECK(end_of_process({}) == 0);
  for (const int first : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) {
    CHECK(end_of_process({first}) == 0);
    for (const int second : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) {
      CAPTURE(first);
      CAPTURE(second);
      CHECK(end_of_process({first, second}) == second);
    }
  }
  CHECK(end_of_process({SIGHUP, SIGHUP}, true) == 0);  // under nohup
  CHECK(end_of_process({SIGHUP, SIGTERM}, true) == 0);
}

TEST_CASE("interrupt: SIGHUP, SIGTERM and SIGINT leave a checkpoint from which the run continues") {
  const fs::path program = find_program();
  if (program.empty()) return;
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 4);
  for (const int signal : {SIGHUP, SIGTERM, SIGINT}) {
    CAPTURE(signal);
    const fs::path out = folder / std::to_string(signal);
    std::vector<std::string> words = {program.string(),           "train", "--data",
                                      (folder / "data").string(), "--out", out.string()};
    for (const auto& [key, text] : tiny_settings())
      words.insert(words.end(), {"--" + key, key == "steps" ? "100000" : text});
    Process process(words);
    process.wait_until([&] { return !content_of(out / "metrics.jsonl").empty(); });
    process.signal(signal);
    CHECK(process.wait() == 128 + signal);
    CHECK(contains(process.err(), "resume with:"));
    const bool evaluated = fs::exists(out / "best.safetensors");
    CHECK(contains(process.err(), "the weights are in " + (out / "last.safetensors").string()) != evaluated);
    CHECK(fs::exists(out / "last.safetensors"));
  }
}
