// The part of a process in a command that mpirun has started several times.
#pragma once

#include <string_view>

#include "core/world.h"

namespace rcnn {

/// Connects this process with the others. Only rank 0 has a standard output from here on.
World& join_world();
/// Throws InputError, the same on every rank, if only some have this flag: they would wait for different
/// things.
void check_all_or_none(World& world, const char* flag, bool given);
/// Says on standard error why this process ends, with its rank, and ends the others with this status. What
/// all processes find wrong is said once, by rank 0. Returns if there are no others.
void end_all(std::string_view sentence, int status);
/// What a command line lacks is found by all processes before join_world: those other than rank 0 wait for
/// the moment in which rank 0 says it and ends, and mpirun with it ends them.
void let_first_speak();

}  // namespace rcnn
