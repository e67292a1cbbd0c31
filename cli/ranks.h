// The part of a process in a command of which several run together.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <string>
#include <string_view>

#include "core/world.h"

namespace rcnn {

/// --rendezvous FOLDER: where processes meet without MPI.
CLI::Option* add_rendezvous(CLI::App& app, std::string& folder);
/// To be called before start_gpus and join_world; "": the option was not given. Returns whether there is a
/// rendezvous. Throws InputError if the environment does not say which of how many processes this is.
bool use_rendezvous(const std::string& folder);

/// Connects this process with the others. Only rank 0 has a standard output from here on.
World& join_world();
/// Starts so many processes of this command, each for a GPU of this machine, in the place of this one; does
/// nothing for one process, and in a process that was started as one of several. Throws InputError if that
/// is not possible here.
void start_gpus(int gpus);
/// Throws InputError if --gpus, unless it is 0, is not the number of processes.
void check_gpus(const World& world, int gpus);
/// Throws InputError, the same on every rank, if only some have this flag: they would wait for different
/// things.
void check_all_or_none(World& world, const char* flag, bool given);
/// Says on standard error why this process ends, with its rank, and ends the others with this status. What
/// all processes find wrong is said once, by rank 0. Returns if there are no others. `before` is called
/// between the sentence and the end.
void end_all(std::string_view sentence, int status, const std::function<void()>& before = {});
/// What a command line lacks is found by all processes before join_world: those other than rank 0 wait for
/// the moment in which rank 0 says it and ends, and mpirun, or the process of --gpus, with it ends them.
void let_first_speak();

}  // namespace rcnn
