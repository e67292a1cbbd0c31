#include "cli/requeue.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "core/error.h"
#include "core/world/launch.h"

namespace rcnn {
namespace {

std::string job;                 // empty without --requeue
std::filesystem::path scontrol;  // the program

}  // namespace

void prepare_requeue() {
  const char* number = std::getenv("SLURM_JOB_ID");
  check_input(number && *number, "--requeue: SLURM_JOB_ID is not set, so this is no job of Slurm");
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
