// --requeue: Slurm runs the job again if it ends before the training does.
#pragma once

namespace rcnn {

/// From here on, `requeue` has something to do. Throws InputError unless this process belongs to a job of
/// Slurm and scontrol is on the PATH.
void prepare_requeue();
/// Asks Slurm to run the job again, which ends this one, and says on standard error what came of it. Does
/// nothing without prepare_requeue.
void requeue();
/// Whether a run that ended by this signal is to be requeued: those that Slurm sends before it ends a job.
bool requeues_after(int signal);

}  // namespace rcnn
