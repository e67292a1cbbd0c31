#include "core/world/launched.h"

#include <cstdio>
#include <memory>
#include <optional>

#include "core/error.h"
#include "core/world.h"
#include "core/world/gloo.h"
#include "core/world/mpi.h"

namespace rcnn {
namespace {

std::optional<Rendezvous> meeting;
std::unique_ptr<World> met;

}  // namespace

void meet_at(const Rendezvous& rendezvous) { meeting = rendezvous; }

bool is_launched() { return meeting || has_rendezvous_in_environment() || is_launched_by_mpi(); }

int launched_rank() {
  if (meeting) return meeting->rank;
  if (has_rendezvous_in_environment()) return rank_in_environment();
  return number_in_environment({"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"}).value_or(0);
}

World& launched_world() {
  if (!meeting) {
    const int processes = number_in_environment({"WORLD_SIZE"}).value_or(1);
    check_input(
        is_launched_by_mpi() || processes <= 1 || !number_in_environment({"RANK"}),
        "RANK and WORLD_SIZE={} say that this is one of {} processes, which have no place to meet: expected "
        "--rendezvous FOLDER, or these variables unset",
        processes, processes);
    return mpi_world();
  }
  if (meeting->ranks == 1) return alone();
  if (!met) met = make_gloo_world(*meeting, start_timeout());
  return *met;
}

World* connected_world() { return meeting ? met.get() : connected_mpi_world(); }

void leave_launched_world() {
  try {
    if (met) met->barrier();
  } catch (const LostRank& error) {
    std::fputs(fmt::format("rcnn: {}: {}\n", met->name_of(met->rank()), error.what()).c_str(), stderr);
    met->abort(1);
  }
  met.reset();
  leave_mpi_world();
}

}  // namespace rcnn
