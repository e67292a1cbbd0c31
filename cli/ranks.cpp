#include "cli/ranks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "core/error.h"

namespace rcnn {

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

void end_all(std::string_view sentence, int status) {
  World* world = connected_world();
  if (!world) return;
  let_first_speak();
  std::fputs(fmt::format("rcnn: {}: {}\n", world->name_of(world->rank()), sentence).c_str(), stderr);
  std::fflush(stdout);
  // mpirun must have passed the sentence on before it ends all.
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  world->abort(status);
}

}  // namespace rcnn
