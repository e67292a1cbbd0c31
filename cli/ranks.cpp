#include "cli/ranks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <thread>

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
