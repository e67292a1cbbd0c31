// Sorting in the shared memory of a block.
#pragma once

#include <cstdint>

#include "core/cuda/cuda.h"

namespace rcnn::kernels {

/// Sorts `width` keys, a power of two, in ascending order by a bitonic network. All threads of the block make
/// the call, with a barrier between their last writes and the call; when it returns, all keys are in place
/// for all threads.
__device__ inline void sort_in_block(uint64_t* keys, int width) {
  // Runs of run / 2 keys, every other one descending, are merged into runs of `run` keys.
  for (int run = 2; run <= width; run *= 2)
    for (int apart = run / 2; apart > 0; apart /= 2) {
      for (int pair = static_cast<int>(threadIdx.x); pair < width / 2; pair += static_cast<int>(blockDim.x)) {
        const int low = pair / apart * (2 * apart) + pair % apart, high = low + apart;
        const bool ascending = (low & run) == 0;
        const uint64_t a = keys[low], b = keys[high];
        if ((a > b) == ascending) {
          keys[low] = b;
          keys[high] = a;
        }
      }
      __syncthreads();
    }
}

}  // namespace rcnn::kernels
