// How the processes of a run find each other.
#pragma once

#include "core/world/rendezvous.h"

namespace rcnn {

/// launched_world (core/world.h) connects the processes that meet there, not those that MPI connects.
void meet_at(const Rendezvous& rendezvous);

}  // namespace rcnn
