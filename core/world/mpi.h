// Ranks as processes that mpirun or srun has started, by MPI.
#pragma once

#include "core/world.h"

namespace rcnn {

/// Whether the environment says so.
bool is_launched_by_mpi();
/// launched_world, connected_world and leave_launched_world (core/world.h), for these processes.
World& mpi_world();
World* connected_mpi_world();
void leave_mpi_world();

}  // namespace rcnn
