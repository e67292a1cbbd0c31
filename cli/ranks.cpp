#include "cli/ranks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <thread>

#include "core/cuda/device.h"
#include "core/error.h"
#include "core/world/gloo.h"
#include "core/world/launch.h"
#include "core/world/launched.h"
#include "core/world/supervisor.h"

namespace rcnn {

CLI::Option* add_rendezvous(CLI::App& app, std::string& folder) {
  return app
      .add_option("--rendezvous", folder,
                  "several processes without MPI: a folder that all see, in which they find each other")
      ->check([](const std::string& text) { return text.empty() ? "expected the name of a folder" : ""; })
      ->type_name("FOLDER");
}

bool use_rendezvous(const std::string& folder) {
  const std::optional<Rendezvous> found = find_rendezvous(folder);
  if (found) meet_at(*found);
  return found.has_value();
}

World& join_world() {
  World& world = launched_world();
  if (!world.is_first()) {
    std::fflush(stdout);
    const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    ::dup2(nowhere, STDOUT_FILENO);
    ::close(nowhere);
  }
  return world;
}

void start_gpus(int gpus) {
  if (is_launched()) return;
  check_input(
      cuda::is_built(),
      "--gpus {}: this build has no CUDA (make CUDA=1 builds it); `mpirun -n {} rcnn train` shares the "
      "processors of the machine",
      gpus, gpus);
  const int found = cuda::device_count();
  check_input(gpus <= found, "--gpus {}: this machine has {}{}", gpus,
              found == 1 ? "1 GPU" : fmt::format("{} GPUs", found),
              found == 0 ? ": " + cuda::why_no_device() : "");
  if (gpus == 1) return;
  if (!mpi_description().empty()) become_ranks(gpus);
  check_input(
      !gloo_description().empty(),
      "--gpus {}: this build has neither MPI nor Gloo, which connect processes: `sh tools/setup.sh && "
      "make CUDA=1` builds it with both",
      gpus);
  divide_threads(gpus);
  std::exit(run_as_ranks(own_command(), gpus));
}

void check_gpus(const World& world, int gpus) {
  check_input(gpus == 0 || gpus == world.size(),
              "--gpus {}, but {} processes were started; expected --gpus alone, or mpirun without it", gpus,
              world.size());
  check_input(gpus == 0 || cuda::is_built(), "--gpus {}: this build has no CUDA (make CUDA=1 builds it)",
              gpus);
}

void check_all_or_none(World& world, const char* flag, bool given) {
  const std::vector<uint8_t> all = world.of_all<uint8_t>(given ? 1 : 0);
  for (int rank = 1; rank < world.size(); ++rank)
    check_input(all[static_cast<size_t>(rank)] == all[0],
                "{} was started with {}, and {} without it; expected the same options in all processes",
                world.name_of(all[0] ? 0 : rank), flag, world.name_of(all[0] ? rank : 0));
}

void let_first_speak() {
  if (is_launched() && launched_rank() > 0) std::this_thread::sleep_for(std::chrono::seconds(2));
}

void end_all(std::string_view sentence, int status, const std::function<void()>& before) {
  World* world = connected_world();
  if (!world) return;
  let_first_speak();
  std::fputs(fmt::format("rcnn: {}: {}\n", world->name_of(world->rank()), sentence).c_str(), stderr);
  std::fflush(stdout);
  if (before) before();
  // mpirun must have passed the sentence on before it ends all.
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  world->abort(status);
}

}  // namespace rcnn
