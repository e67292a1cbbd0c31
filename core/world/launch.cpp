#include "core/world/launch.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "core/error.h"
#include "core/files/retry.h"
#include "core/parallel.h"

namespace rcnn {

std::vector<char*> pointers_to(std::vector<std::string>& words) {
  std::vector<char*> all;
  for (std::string& word : words) all.push_back(word.data());
  all.push_back(nullptr);
  return all;
}

std::vector<std::string> own_command() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> words;
  for (std::string word; std::getline(file, word, '\0');) words.push_back(word);
  check(!words.empty(), "/proc/self/cmdline cannot be read");
  std::error_code none;
  words.front() = std::filesystem::read_symlink("/proc/self/exe", none).string();
  return words;
}

void divide_threads(int processes) {
  const int threads = std::max(1, thread_count() / processes);
  ::setenv("OMP_NUM_THREADS", std::to_string(threads).c_str(), 0);
}

std::filesystem::path find_on_path(const std::string& program) {
  const char* all = std::getenv("PATH");
  std::istringstream folders(all ? all : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::filesystem::path file = std::filesystem::path(folder.empty() ? "." : folder) / program;
    std::error_code none;
    if (std::filesystem::is_regular_file(file, none) && ::access(file.c_str(), X_OK) == 0) return file;
  }
  return {};
}

int run_and_wait(const std::filesystem::path& program, const std::vector<std::string>& arguments) {
  std::vector<std::string> words = arguments;
  words.insert(words.begin(), program.string());
  pid_t id = 0;
  if (::posix_spawn(&id, program.c_str(), nullptr, nullptr, pointers_to(words).data(), environ) != 0)
    return -1;
  int status = 0;
  if (retried([&] { return ::waitpid(id, &status, 0); }) != id) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::vector<std::string> mpirun_words(const std::filesystem::path& mpirun, int processes, int processors,
                                      const std::vector<std::string>& command) {
  // Open MPI would bind each of two processes to one processor, and the threads that decode images with it.
  std::vector<std::string> words = {mpirun.string(), "-n", std::to_string(processes), "--bind-to", "none"};
  if (processes > processors) words.emplace_back("--oversubscribe");
  words.insert(words.end(), command.begin(), command.end());
  return words;
}

void become_ranks(int processes) {
  const std::filesystem::path mpirun = find_on_path("mpirun");
  check_input(!mpirun.empty(), "there is no mpirun in the folders of PATH, which starts {} processes",
              processes);
  divide_threads(processes);
  const auto processors = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  std::vector<std::string> words = mpirun_words(mpirun, processes, processors, own_command());
  ::execv(words.front().c_str(), pointers_to(words).data());
  throw Error(fmt::format("{} cannot be started: {}", words.front(), std::strerror(errno)));
}

}  // namespace rcnn
