// How much memory tensors and workspaces take, on each device.
//
// On the CPU these are the bytes of all storages that are alive. On a GPU they are the bytes that the arenas
// took from CUDA, kept ones included: what other programs cannot have.
#pragma once

#include <cstdint>

#include "core/device.h"

namespace rcnn {

/// Bytes in use now.
int64_t memory_in_use(Device device);
/// The most that was in use at once since the program began, or since the last reset.
int64_t peak_memory(Device device);
/// Begins anew: the peak is what is in use now.
void reset_peak_memory(Device device);

/// What the system says of this process's memory on the host, in bytes: what is in memory now, the most that
/// ever was, and what it could have besides, with the limit of its control group heeded. Zeros where it says
/// nothing.
struct ProcessMemory {
  int64_t resident = 0, most_resident = 0, available = 0;
};
ProcessMemory process_memory();

/// For who allocates and frees: `bytes` more are in use, or less when negative.
void count_memory(Device device, int64_t bytes);

}  // namespace rcnn
