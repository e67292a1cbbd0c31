// Signals: the first stops a run after its step, the second ends the process at once.
#include "train/interrupt.h"

#include <sys/time.h>

#include <atomic>
#include <ctime>

#include "core/parallel.h"
#include "kernels/gemm/matmul.h"
#include "tests/program.h"
#include "tests/train/tiny_run.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

/// How a process ends that does this: the signal, or its exit status.
template <class Work>
int end_of_process(const Work& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    set_thread_count(1);  // a fork leaves the other threads behind
    ::close(STDERR_FILENO);
    work();
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

/// How a process ends that receives these signals while an InterruptGuard lives: the signal, or 0.
int end_after(const std::vector<int>& signals, bool ignores_hangup = false) {
  return end_of_process([&] {
    std::signal(SIGHUP, ignores_hangup ? SIG_IGN : SIG_DFL);
    const InterruptGuard guard;
    for (const int signal : signals) {
      const bool ends = InterruptGuard::signal() != 0;
      ::kill(::getpid(), signal);
      if (ignores_hangup && signal == SIGHUP) continue;
      while (ends || InterruptGuard::signal() == 0) ::usleep(100);
    }
  });
}

bool blocks(int signal) {
  sigset_t blocked;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
  return sigismember(&blocked, signal) == 1;
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
  for (const int first : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) {
    CHECK(end_after({first}) == 0);
    for (const int second : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) {
      CAPTURE(first);
      CAPTURE(second);
      CHECK(end_after({first, second}) == second);
    }
  }
  CHECK(end_after({SIGHUP, SIGHUP}, true) == 0);  // under nohup
  CHECK(end_after({SIGHUP, SIGTERM}, true) == 0);
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
    CHECK(process.wait() == 128 + signal);
    CHECK(contains(process.err(), "resume with:"));
    const bool evaluated = fs::exists(out / "best.safetensors");
    CHECK(contains(process.err(), "the weights are in " + (out / "last.safetensors").string()) != evaluated);
    CHECK(fs::exists(out / "last.safetensors"));
  }
}
