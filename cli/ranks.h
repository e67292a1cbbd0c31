// The part of a process in a command that mpirun has started several times.
#pragma once

#include <string_view>

#include "core/world.h"

namespace rcnn {

/// Connects this process with the others. Only rank 0 has a standard output from here on.
World& join_world();
/// Says on standard error why this process ends, with its rank, and ends the others with this status. What
/// all processes find wrong is said once, by rank 0. Returns if there are no others.
void end_all(std::string_view sentence, int status);
/// Whether another process of the same command line, whose rank is lower, speaks for this one: for what is
/// found before join_world. Waits for a moment in which that one usually ends all.
void let_first_speak();

}  // namespace rcnn
