// How much memory tensors and workspaces take, on each device.
//
// On the CPU these are the bytes of all live storages. On a GPU they are the bytes that the arenas took from
// CUDA, in use or kept: the memory that other programs cannot have.
#pragma once

#include <cstdint>

#include "core/device.h"

namespace rcnn {

/// Bytes in use now.
int64_t memory_in_use(Device device);
/// The maximum number of bytes in use at once since the program began or since the last reset.
int64_t peak_memory(Device device);
/// Sets the peak to what is in use now.
void reset_peak_memory(Device device);

/// What the system reports about this process's memory on the host, in bytes: the resident memory now and at
/// its maximum, and what the process could still get within the limit of its control group. Values that the
/// system does not report are 0.
struct ProcessMemory {
  int64_t resident = 0, max_resident = 0, available = 0;
};
ProcessMemory process_memory();

/// Called by code that allocates or frees: `bytes` more are in use, or fewer if negative.
void count_memory(Device device, int64_t bytes);

}  // namespace rcnn
