// How the threads of CPU ops wait between two ops.
//
// libgomp's threads, which compute our ops and oneDNN's, spin while they wait: 300,000 looks at a variable, 4
// to 16 ms depending on the processor. The next op usually follows within microseconds, and a thread that has
// gone to sleep needs about as many to wake up. But when another process wants the same processor, a thread
// that spins uses up its share of the time, and is not scheduled when there is work. So threads should spin
// for a short time and then sleep.
#pragma once

namespace rcnn {

/// How long a thread looks for the next op before it sleeps.
inline constexpr double kSpinMicroseconds = 50;

/// Lets threads sleep after they have waited for `kSpinMicroseconds`, unless the user has set OMP_WAIT_POLICY
/// or GOMP_SPINCOUNT. Must be called in `main` before the first op, and `argv` its argument: libgomp reads
/// these variables once, when it is loaded, so this starts the program again with GOMP_SPINCOUNT set (the
/// same process, arguments and open files). Does nothing where that is not possible, and under a debugger,
/// which would stop in `main` twice.
void sleep_soon_when_waiting(char** argv);

}  // namespace rcnn
