// Several processes of one command on this machine, without mpirun.
#pragma once

#include <string>
#include <vector>

namespace rcnn {

/// Starts so many processes of this command, of which the first word is the program's file, and returns when
/// all have ended. Each finds its rank and a place to meet in its environment. Signals that this process gets
/// are passed on. When one fails, the others have so many seconds to end before they are killed. Returns 0 if
/// all succeed; otherwise 128 plus the number of the signal that killed one, which is said on standard error,
/// or else the status of the first that failed. Throws Error if the processes cannot be started.
int run_as_ranks(const std::vector<std::string>& command, int processes, double seconds_to_end = 10);

}  // namespace rcnn
