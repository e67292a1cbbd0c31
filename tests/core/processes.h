// Ranks as processes of the tests' own program, to test what happens when one of them fails.
#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "core/world.h"
#include "tests/program.h"

namespace rcnn::fixtures {

/// What has become of a process.
struct RankEnd {
  int status = -1;     // 0, or 3 for LostRank, 2 for InputError, 1 for Error, or that of abort()
  std::string said;    // its sentence, and what it wrote to standard error
  double seconds = 0;  // until it ended
};

/// Runs `work` in a process for each of these.
inline std::vector<RankEnd> run_forked(int processes, const std::function<void(int)>& work) {
  const TemporaryFolder folder;
  const auto begin = std::chrono::steady_clock::now();
  std::vector<pid_t> ids;
  std::fflush(nullptr);  // what this process has not yet written, the others would write again
  for (int i = 0; i < processes; ++i) {
    ids.push_back(::fork());
    REQUIRE(ids.back() >= 0);
    if (ids.back() != 0) continue;
    const int file = ::open((folder / std::to_string(i)).c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(file, STDERR_FILENO);
    int status = 0;
    std::string sentence;
    try {
      work(i);
    } catch (const LostRank& error) {
      status = 3, sentence = error.what();
    } catch (const InputError& error) {
      status = 2, sentence = error.what();
    } catch (const std::exception& error) {
      status = 1, sentence = error.what();
    }
    [[maybe_unused]] const ssize_t written = ::write(file, sentence.data(), sentence.size());
    ::_exit(status);
  }
  std::vector<RankEnd> ends(ids.size());
  for (size_t left = ids.size(); left > 0; --left) {
    int status = 0;
    const pid_t id = ::waitpid(-1, &status, 0);
    const auto found = std::find(ids.begin(), ids.end(), id);
    REQUIRE(found != ids.end());
    const auto i = static_cast<size_t>(found - ids.begin());
    ends[i] = {WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status),
               content_of(folder / std::to_string(i)),
               std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count()};
  }
  return ends;
}

}  // namespace rcnn::fixtures
