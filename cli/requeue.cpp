#include "cli/requeue.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/text.h"
#include "core/world/launch.h"

namespace rcnn {
namespace {

std::string job;                 // empty without --requeue
std::filesystem::path scontrol;  // the program

/// "123", or "123_4" for a job of an array.
bool is_job_of_slurm(std::string_view text) {
  const auto is_number = [](std::string_view part) {
    return !part.empty() && std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
  };
  const size_t line = text.find('_');
  return is_number(text.substr(0, line)) &&
         (line == std::string_view::npos || is_number(text.substr(line + 1)));
}

}  // namespace

void prepare_requeue() {
  const char* number = std::getenv("SLURM_JOB_ID");
  check_input(number && *number, "--requeue: SLURM_JOB_ID is not set, so this is no job of Slurm");
  check_input(is_job_of_slurm(number),
              "--requeue: SLURM_JOB_ID is '{}'; expected the number of a job, as in 123, or as in 123_4 of a "
              "job array",
              printable(number));
  scontrol = find_on_path("scontrol");
  check_input(!scontrol.empty(), "--requeue: there is no scontrol in the folders of PATH");
  job = number;
}

void requeue() {
  if (job.empty()) return;
  const int status = run_and_wait(scontrol, {"requeue", job});
  std::fputs(status == 0 ? fmt::format("rcnn: job {} was requeued\n", job).c_str()
                         : fmt::format("rcnn: job {} was not requeued: `scontrol requeue {}` ended with {}\n",
                                       job, job, status)
                               .c_str(),
             stderr);
}

bool requeues_after(int signal) { return signal == SIGTERM || signal == SIGUSR1; }

}  // namespace rcnn
