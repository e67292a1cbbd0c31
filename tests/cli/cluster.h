// The program under mpirun.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/train/ranks.h"

namespace rcnn::fixtures {

/// The program and mpirun; false if one of them is missing, in which case the test is skipped.
struct Cluster {
  ProgramTrial trial;
  std::string mpirun;
  Environment environment;

  Cluster() {
    if (!trial) return;
    for (const char* place : {"/usr/bin/mpirun", "/usr/local/bin/mpirun"})
      if (mpirun.empty() && std::filesystem::exists(place)) mpirun = place;
    if (!contains(trial.run({"--version"}).out, "MPI")) mpirun.clear();
    if (mpirun.empty()) MESSAGE("skipped: this build has no MPI, or there is no mpirun");
    environment.set("OMP_NUM_THREADS", "1");
    // Open MPI in a container and as root: no shared memory by system calls that a container forbids.
    environment.set("OMPI_MCA_btl_vader_single_copy_mechanism", "none");
    environment.set("OMPI_ALLOW_RUN_AS_ROOT", "1");
    environment.set("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
  }
  explicit operator bool() const { return !mpirun.empty(); }

  std::vector<std::string> train(int processes, const std::string& out,
                                 const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words;
    if (processes > 0)
      words = {mpirun, "--oversubscribe", "--bind-to", "none", "-n", std::to_string(processes)};
    words.insert(words.end(), {trial.program.string(), "train", "--data", trial.path("data"), "--out",
                               trial.path(out), "--accumulate", "4", "--workers", "1"});
    for (const auto& [key, text] : tiny_settings())
      if (key != "steps" && key != "batch") words.insert(words.end(), {"--" + key, text});
    words.insert(words.end(), {"--batch", "1", "--steps"});
    const bool named = !more.empty() && more.front() == "--steps";
    words.push_back(named ? more.at(1) : "4");
    words.insert(words.end(), more.begin() + (named ? 2 : 0), more.end());
    return words;
  }
  Finished run(const std::vector<std::string>& words) const {
    return run_program(words.front(), {words.begin() + 1, words.end()});
  }
  int64_t steps_in(const std::string& out) const { return count_lines(trial.folder / out / "metrics.jsonl"); }
  /// The process with this rank, a descendant of mpirun; 0 if there is none.
  static pid_t process_of(int rank, pid_t launcher) {
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string id = entry.path().filename().string();
      if (id.find_first_not_of("0123456789") != std::string::npos) continue;
      const std::string stat = content_of(entry.path() / "stat");
      const size_t after = stat.rfind(')');
      if (after == std::string::npos || std::atoi(stat.c_str() + after + 3) != launcher) continue;
      std::string variables = content_of(entry.path() / "environ");
      if (contains(variables, fmt::format("OMPI_COMM_WORLD_RANK={}", rank) + '\0'))
        return std::atoi(id.c_str());
    }
    return 0;
  }
};

}  // namespace rcnn::fixtures
