// Signals: the first stops a run after its step or within its evaluation, the second ends the process at
// once.
#include "train/interrupt.h"

#include <sys/time.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <functional>

#include "core/parallel.h"
#include "kernels/gemm/matmul.h"
#include "tests/program.h"
#include "tests/train/ranks.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

bool blocks(int signal) {
  sigset_t blocked;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
  return sigismember(&blocked, signal) == 1;
}

/// A process that does this.
template <class Work>
pid_t begin_process(const Work& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    set_thread_count(1);  // a fork leaves the other threads behind
    ::close(STDERR_FILENO);
    work();
    ::_exit(0);
  }
  return child;
}

/// How it ends: the signal, or its exit status.
int end_of(pid_t child) {
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

template <class Work>
int end_of_process(const Work& work) {
  return end_of(begin_process(work));
}

constexpr useconds_t kLater = 700'000;  // µs: more than the time in which two signals count as one

/// Begins a process that receives these signals while an InterruptGuard lives, each one `pause` µs after the
/// one before, and lives on for as long.
pid_t begin_signals(const std::vector<int>& signals, useconds_t pause, bool ignores_hangup = false) {
  return begin_process([&] {
    std::signal(SIGHUP, ignores_hangup ? SIG_IGN : SIG_DFL);
    const InterruptGuard guard;
    for (const int signal : signals) {
      ::kill(::getpid(), signal);
      if (ignores_hangup && signal == SIGHUP) continue;
      while (InterruptGuard::signal() == 0) ::usleep(100);
      ::usleep(pause);
    }
  });
}

/// How it ends: the signal, or 0.
int end_after(const std::vector<int>& signals, bool ignores_hangup = false) {
  return end_of(begin_signals(signals, kLater, ignores_hangup));
}

int op_threads() {
  std::atomic<int> count{0};
  on_every_thread([&] { ++count; });
  return count;
}

/// How many of the threads that run ops block this signal.
int blocking_threads(int signal) {
  std::atomic<int> count{0};
  on_every_thread([&] { count += blocks(signal) ? 1 : 0; });
  return count;
}

}  // namespace

TEST_CASE("interrupt: the first signal is recorded, a second one of any kind ends the process") {
  CHECK(end_after({}) == 0);
  std::map<std::pair<int, int>, pid_t> pairs;  // at the same time, because each takes more than a second
  for (const int first : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) {
    CHECK(end_of(begin_signals({first}, 0)) == 0);
    for (const int second : {SIGINT, SIGTERM, SIGHUP, SIGUSR1})
      pairs[{first, second}] = begin_signals({first, second}, kLater);
  }
  for (const auto& [signals, child] : pairs) {
    CAPTURE(signals.first);
    CAPTURE(signals.second);
    CHECK(end_of(child) == signals.second);
  }
  CHECK(end_after({SIGHUP, SIGHUP}, true) == 0);  // under nohup
  CHECK(end_after({SIGHUP, SIGTERM}, true) == 0);
}

TEST_CASE("interrupt: a second signal at once is the same request, as `timeout` sends it twice") {
  for (const int first : {SIGINT, SIGTERM, SIGHUP, SIGUSR1})
    for (const int second : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) {
      CAPTURE(first);
      CAPTURE(second);
      CHECK(end_of(begin_signals({first, second}, 0)) == 0);
    }
  CHECK(end_after({SIGTERM, SIGTERM}) == SIGTERM);  // later it ends the process
}

TEST_CASE("interrupt: signals are received that the process was started with blocked") {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) {
    CAPTURE(signal);
    const int end = end_of_process([&] {
      std::signal(signal, SIG_DFL);  // also where the tests run under nohup
      sigset_t all;
      sigfillset(&all);
      ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
      {
        const InterruptGuard guard;
        ::kill(::getpid(), signal);
        for (int i = 0; i < 50'000 && InterruptGuard::signal() == 0; ++i) ::usleep(100);
        if (InterruptGuard::signal() != signal) ::_exit(3);
      }
      if (!blocks(signal)) ::_exit(4);  // as before the guard
    });
    CHECK(end == 0);
  }
}

TEST_CASE("interrupt: SIGINT is received also if it was ignored, as in the background of a script") {
  CHECK(end_of_process([] {
          std::signal(SIGINT, SIG_IGN);
          const InterruptGuard guard;
          ::kill(::getpid(), SIGINT);
          for (int i = 0; i < 50'000 && InterruptGuard::signal() == 0; ++i) ::usleep(100);
          ::_exit(InterruptGuard::signal() == SIGINT ? 0 : 3);
        }) == 0);
}

TEST_CASE("interrupt: threads that run ops do not take the signals while there is a guard") {
  const int before = thread_count();
  set_thread_count(2);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) {
    CAPTURE(signal);
    CHECK(blocking_threads(signal) == 0);
    {
      const InterruptGuard guard;
      CHECK(blocking_threads(signal) == op_threads());
      const InterruptGuard inner;
    }
    CHECK(blocking_threads(signal) == 0);
  }
  {
    const InterruptGuard guard;
    set_thread_count(3);  // threads that are started later block them too
    CHECK(blocking_threads(SIGTERM) == op_threads());
  }
  set_thread_count(before);
}

TEST_CASE("interrupt: signals in the middle of matrix products leave the memory around them alone") {
  // Without the guard's thread this aborts with oneDNN up to 3.11 on AVX2: "corrupted size vs. prev_size".
  static std::atomic<int> received{0};
  const auto work = [] {
    const InterruptGuard guard;
    struct sigaction action {};
    action.sa_handler = [](int) { ++received; };
    action.sa_flags = SA_RESTART;
    ::sigaction(SIGTERM, &action, nullptr);
    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGTERM;
    timer_t timer{};
    if (::timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) ::_exit(3);
    constexpr itimerspec kEvery{{0, 200'000}, {0, 200'000}};
    ::timer_settime(timer, 0, &kEvery, nullptr);
    constexpr int64_t kM = 64, kN = 128, kK = 512;
    const std::vector<float> a(kM * kK, 1), b(kN * kK, 1);
    std::vector<float> c(kM * kN);
    Workspace workspace;
    for (int i = 0; i < 3000 || received < 200; ++i) {
      const Workspace::Scope scope(workspace);
      kernels::MatmulArgs<float> args{.m = kM, .n = kN, .k = kK, .a = a.data(), .b = b.data(), .c = c.data()};
      args.transpose_a = i % 2 == 1;
      args.transpose_b = i % 4 >= 2;
      for (const auto& variant : kernels::matmul.variants)
        if (std::string_view(variant.name) == "onednn") variant.run(Stream(), workspace, args);
      std::vector<std::string> neighbours;
      for (int j = 0; j < 50; ++j)
        neighbours.emplace_back(static_cast<size_t>(100 + (37 * i + 91 * j) % 4000), 'x');
      for (const std::string& one : neighbours)
        if (one.find_first_not_of('x') != std::string::npos) ::_exit(4);
    }
    ::_exit(0);  // while the guard lives, since the timer goes on
  };
  CHECK(end_of_process(work) == 0);
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
    process.signal(signal);  // as `timeout` does
    CHECK(process.wait() == 128 + signal);
    CHECK(contains(process.err(), "resume with:"));
    const bool evaluated = fs::exists(out / "best.safetensors");
    CHECK(contains(process.err(), "the weights are in " + (out / "last.safetensors").string()) != evaluated);
    CHECK(fs::exists(out / "last.safetensors"));
  }
}

namespace {

/// Runs that evaluate on so many images that a signal finds them at it.
struct LongEvaluations {
  ProgramTrial trial;

  LongEvaluations() {
    write_tiny_scenes(trial.folder / "data", 4);
    write_tiny_scenes(trial.folder / "data", 150, "val");
    write_tiny_scenes(trial.folder / "data", 151, "test");
  }
  std::vector<std::string> train(const std::string& out, const std::vector<std::string>& more) const {
    std::vector<std::string> words = {trial.program.string(), "train", "--data",
                                      trial.path("data"),     "--out", trial.path(out)};
    for (const auto& [key, text] : tiny_settings())
      words.insert(words.end(), {"--" + key, key == "steps" ? "4" : text});
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  void run(const std::string& out, const std::vector<std::string>& more) const {
    Process process(train(out, more));
    REQUIRE(process.wait() == 0);
  }
  /// Stops a run when `reached` holds, and returns what it said.
  std::string stop(const std::string& out, const std::vector<std::string>& more,
                   const std::function<bool()>& reached) const {
    Process process(train(out, more));
    process.wait_until(reached);
    process.signal(SIGTERM);
    CHECK(process.wait() == 128 + SIGTERM);
    return process.err();
  }
  int64_t lines(const std::string& out) const { return count_lines(trial.folder / out / "metrics.jsonl"); }
};

}  // namespace

TEST_CASE("interrupt: a signal during an evaluation stops within it, and --resume begins with it") {
  const LongEvaluations runs;
  if (!runs.trial) return;
  runs.run("whole", {});
  // Of the four steps the second ends an epoch, and the fourth the run. The lines: a step, a step, an
  // evaluation, a step, a step, an evaluation.
  for (const auto& [step, lines] : {std::pair{2, 2}, {4, 5}}) {
    CAPTURE(step);
    const std::string out = std::to_string(step);
    const std::string said = runs.stop(out, {}, [&] { return runs.lines(out) >= lines; });
    CHECK(contains(said, fmt::format("rcnn: stopped after step {}", step)));
    CHECK(contains(said, "resume with:\n"));
    CHECK(runs.lines(out) == lines);
    const auto checkpoint = read_safetensors(runs.trial.folder / out / "last.safetensors").metadata;
    CHECK(checkpoint.at("step") == std::to_string(step));
    CHECK(checkpoint.contains("evaluation_due"));
    CHECK_FALSE(fs::exists(runs.trial.folder / out / "summary.json"));
    runs.run(out, {"--resume"});
    check_same_results(runs.trial.folder / "whole", runs.trial.folder / out);
  }
}

TEST_CASE("interrupt: a signal during the evaluation at the end says how to resume, which finishes the run") {
  const LongEvaluations runs;
  if (!runs.trial) return;
  const fs::path out = runs.trial.folder / "out";
  runs.run("whole", {"--val", "none"});
  const std::string said =  // the best weights are written before the evaluation
      runs.stop("out", {"--val", "none"}, [&] { return fs::exists(out / "best.safetensors"); });
  CHECK(contains(said, "rcnn: stopped in the evaluation at the end, after all steps; resume with:\n"));
  CHECK_FALSE(fs::exists(out / "detections.json"));
  CHECK_FALSE(fs::exists(out / "summary.json"));
  runs.run("out", {"--val", "none", "--resume"});
  CHECK(fs::exists(out / "summary.json"));
  check_same_results(runs.trial.folder / "whole", out);
}
