#include "core/world/supervisor.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <system_error>

#include "core/error.h"
#include "core/files/retry.h"
#include "core/world/launch.h"

namespace rcnn {
namespace {

constexpr int kPassedOn[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
constexpr int kCannotStart = 127;
using Clock = std::chrono::steady_clock;

/// While it lives, the signals of this process wait until they are asked for.
class HeldSignals {
 public:
  HeldSignals() {
    std::signal(SIGCHLD, SIG_DFL);  // if it were ignored, the status of a child would be lost
    ::sigemptyset(&held_);
    ::sigaddset(&held_, SIGCHLD);
    for (const int signal : kPassedOn) ::sigaddset(&held_, signal);
    ::sigprocmask(SIG_BLOCK, &held_, &before_);
  }
  ~HeldSignals() { restore(); }
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;

  void restore() const { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
  /// The next signal, or 0 if none comes for a moment. What a terminal sends goes to all processes in it, and
  /// is none for them.
  int next() const {
    siginfo_t info{};
    const timespec moment{0, 100'000'000};
    const int signal = ::sigtimedwait(&held_, &info, &moment);
    if (signal <= 0 || signal == SIGCHLD) return 0;
    return info.si_code == SI_KERNEL ? 0 : signal;
  }

 private:
  sigset_t held_{}, before_{};
};

/// This process's environment, with the variables of a rank in the place of any that were there.
std::vector<std::string> environment_of(int rank, int processes, const std::string& folder) {
  std::vector<std::string> all;
  for (char** one = environ; *one; ++one) {
    const std::string variable = *one;
    if (!variable.starts_with("RCNN_RENDEZVOUS=") && !variable.starts_with("RANK=") &&
        !variable.starts_with("WORLD_SIZE="))
      all.push_back(variable);
  }
  all.push_back("RCNN_RENDEZVOUS=" + folder);
  all.push_back(fmt::format("RANK={}", rank));
  all.push_back(fmt::format("WORLD_SIZE={}", processes));
  return all;
}

/// A folder of its own in the system's folder for temporary files, which is removed again.
class TemporaryPlace {
 public:
  TemporaryPlace() : path_((std::filesystem::temp_directory_path() / "rcnn-XXXXXX").string()) {
    check(::mkdtemp(path_.data()), "{}: no folder can be made there: {}", path_, std::strerror(errno));
  }
  ~TemporaryPlace() {
    std::error_code failed;
    std::filesystem::remove_all(path_, failed);
  }
  TemporaryPlace(const TemporaryPlace&) = delete;
  TemporaryPlace& operator=(const TemporaryPlace&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class RankProcesses {
 public:
  explicit RankProcesses(const HeldSignals& signals) : signals_(signals) {}
  ~RankProcesses() { kill_all(); }
  RankProcesses(const RankProcesses&) = delete;
  RankProcesses& operator=(const RankProcesses&) = delete;

  void start(std::vector<std::string> command, std::vector<std::string> environment);
  /// Waits for all, and returns the status of the whole.
  int wait(double seconds_to_end);

 private:
  void pass_on(int signal) const {
    for (const pid_t id : ids_)
      if (id > 0) ::kill(id, signal);
  }
  void kill_all();
  void reap();
  bool are_running() const {
    return std::any_of(ids_.begin(), ids_.end(), [](pid_t id) { return id > 0; });
  }

  const HeldSignals& signals_;
  std::vector<pid_t> ids_;  // by rank; 0 when it has ended
  int status_ = 0, killed_by_ = 0;
  bool killing_ = false;
};

void RankProcesses::start(std::vector<std::string> command, std::vector<std::string> environment) {
  // Between fork and exec only calls of the system are allowed.
  const std::vector<char*> words = pointers_to(command), variables = pointers_to(environment);
  const pid_t parent = ::getpid();
  const pid_t id = ::fork();
  check(id >= 0, "process {} cannot be started: {}", ids_.size(), std::strerror(errno));
  if (id == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // also if this process is killed
    if (::getppid() != parent) ::_exit(kCannotStart);
    signals_.restore();
    ::execve(words.front(), words.data(), variables.data());
    ::_exit(kCannotStart);
  }
  ids_.push_back(id);
}

void RankProcesses::reap() {
  int status = 0;
  for (pid_t id; (id = retried([&] { return ::waitpid(-1, &status, WNOHANG); })) > 0;) {
    const auto found = std::find(ids_.begin(), ids_.end(), id);
    if (found == ids_.end()) continue;
    *found = 0;
    const auto rank = found - ids_.begin();
    if (WIFSIGNALED(status) && !killing_) {
      std::fputs(fmt::format("rcnn: rank {} (process {}) was ended by signal {} ({})\n", rank, id,
                             WTERMSIG(status), ::strsignal(WTERMSIG(status)))
                     .c_str(),
                 stderr);
      if (killed_by_ == 0) killed_by_ = WTERMSIG(status);
    } else if (WIFEXITED(status) && WEXITSTATUS(status) != 0 && status_ == 0) {
      status_ = WEXITSTATUS(status);
      if (status_ == kCannotStart)
        std::fputs(fmt::format("rcnn: rank {} cannot be started, or has ended at its start\n", rank).c_str(),
                   stderr);
    }
  }
}

int RankProcesses::wait(double seconds_to_end) {
  Clock::time_point end{};
  while (are_running()) {
    if (const int signal = signals_.next(); signal > 0) pass_on(signal);
    reap();
    if (status_ == 0 && killed_by_ == 0)
      end = Clock::now() +
            std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds_to_end));
    else if (Clock::now() >= end)
      kill_all();
  }
  return killed_by_ > 0 ? 128 + killed_by_ : status_;
}

void RankProcesses::kill_all() {
  killing_ = true;
  pass_on(SIGKILL);
  for (pid_t& id : ids_)
    if (id > 0) {
      retried([&] { return ::waitpid(id, nullptr, 0); });
      id = 0;
    }
}

}  // namespace

int run_as_ranks(const std::vector<std::string>& command, int processes, double seconds_to_end) {
  const HeldSignals signals;
  std::fflush(nullptr);
  const TemporaryPlace place;
  RankProcesses all(signals);
  for (int rank = 0; rank < processes; ++rank)
    all.start(command, environment_of(rank, processes, place.path()));
  return all.wait(seconds_to_end);
}

}  // namespace rcnn
