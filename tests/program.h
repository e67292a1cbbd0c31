// Runs the program `rcnn` in a separate process, to test what only a process shows: the exit status, the
// error stream, and what happens when it is killed.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/data/fixtures.h"

namespace rcnn::fixtures {

/// The path of the program: RCNN_PROGRAM, or `rcnn` in the folder of the tests, or build/rcnn. If none
/// exists, prints a message and returns an empty path, and the test is to be skipped.
inline std::filesystem::path find_program() {
  namespace fs = std::filesystem;
  std::vector<fs::path> places;
  if (const char* named = std::getenv("RCNN_PROGRAM")) places.emplace_back(named);
  std::error_code none;
  places.push_back(fs::read_symlink("/proc/self/exe", none).parent_path() / "rcnn");
  places.emplace_back("build/rcnn");
  for (const fs::path& place : places)
    if (fs::is_regular_file(place)) return fs::absolute(place);
  MESSAGE("skipped: the program was not found; build it, or set RCNN_PROGRAM to its path");
  return {};
}

inline std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
/// The lines of a file; 0 if there is none yet.
inline int64_t count_lines(const std::filesystem::path& path) {
  const std::string text = content_of(path);
  return std::count(text.begin(), text.end(), '\n');
}

/// Sets or removes variables of the environment, and restores them.
class Environment {
 public:
  void set(const std::string& name, const std::string& value) {
    keep(name);
    ::setenv(name.c_str(), value.c_str(), 1);
  }
  void remove(const std::string& name) {
    keep(name);
    ::unsetenv(name.c_str());
  }
  ~Environment() {
    for (const auto& [name, value] : before_) {
      if (value)
        ::setenv(name.c_str(), value->c_str(), 1);
      else
        ::unsetenv(name.c_str());
    }
  }

 private:
  void keep(const std::string& name) {
    const char* value = std::getenv(name.c_str());
    before_.emplace(name, value ? std::optional<std::string>(value) : std::nullopt);
  }
  std::map<std::string, std::optional<std::string>> before_;
};

/// How long a test waits for what a program that works does within seconds, also under a sanitizer on a busy
/// machine. Less than a minute: a program that is broken fails the test instead of holding it up.
inline constexpr std::chrono::seconds kPatience{45};

/// A process whose output goes to files. The destructor kills it if it is still running.
class Process {
 public:
  /// `words` are the path of the program and its arguments.
  explicit Process(std::vector<std::string> words) {
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const int flags = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, (folder_ / "out").c_str(), flags, 0600);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, (folder_ / "err").c_str(), flags, 0600);
    // Signals that the tests are told to ignore, by nohup for example, are not ignored by the program.
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGHUP, SIGINT, SIGTERM}) sigaddset(&signals, signal);
    posix_spawnattr_setsigdefault(&attributes, &signals);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    const int failed = ::posix_spawn(&id_, argv[0], &files, &attributes, argv.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    REQUIRE(failed == 0);
  }
  ~Process() {
    if (id_ > 0) kill_and_wait();
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  /// Waits for the end and returns the exit status, or 128 plus the signal's number if a signal ended the
  /// process.
  int wait() {
    int status = 0;
    REQUIRE(::waitpid(id_, &status, 0) == id_);
    id_ = -1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  /// The same for a process that ends by itself within seconds. If it does not, it is killed, and the test
  /// fails and ends. For REQUIRE: CHECK would go on with the next process that waits.
  int wait_briefly() {
    wait_briefly_until([this] { return !running(); }, "the end of the process");
    return wait();
  }
  /// Waits, as long as the process runs, until `condition()` holds. If it does not within seconds, the
  /// process is killed, and the test fails and ends, with a sentence that says what (`awaited`) did not come.
  template <class Condition>
  void wait_briefly_until(const Condition& condition, const std::string& awaited) {
    wait_until(condition, kPatience);
    if (!running() || condition()) return;
    kill_and_wait();
    FAIL("waited " << kPatience.count() << " seconds for " << awaited << ", in vain");
  }
  void signal(int number) const { ::kill(id_, number); }
  int kill_and_wait() {
    ::kill(id_, SIGKILL);
    return wait();
  }
  /// Waits until `condition()` holds, at most for `limit` and as long as the process runs.
  template <class Condition>
  void wait_until(const Condition& condition, std::chrono::seconds limit = std::chrono::minutes(2)) const {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (running() && !condition() && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  pid_t id() const { return id_; }
  /// Whether it is still running. `wait` must still be called.
  bool running() const {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(id_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == 0;
  }
  std::string out() const { return content_of(folder_ / "out"); }
  std::string err() const { return content_of(folder_ / "err"); }

 private:
  TemporaryFolder folder_;
  pid_t id_ = -1;
};

/// The result of a process that has ended.
struct Finished {
  int status;
  std::string out, err;
};

inline Finished run_program(const std::filesystem::path& program, std::vector<std::string> words) {
  words.insert(words.begin(), program.string());
  Process process(std::move(words));
  const int status = process.wait();
  return {status, process.out(), process.err()};
}

/// The program and an empty folder to try it in.
struct ProgramTrial {
  std::filesystem::path program = find_program();
  TemporaryFolder folder;

  /// False if the program was not found, in which case the test is skipped.
  explicit operator bool() const { return !program.empty(); }
  std::string path(const std::string& name) const { return (folder / name).string(); }
  Finished run(const std::vector<std::string>& words) const { return run_program(program, words); }
};

}  // namespace rcnn::fixtures
