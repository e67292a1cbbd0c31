// The events that core/cuda/sim/access_*.cpp report while accesses are counted; see access_count.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/cuda/sim/access_check.h"

namespace rcnn::cuda_sim {

void count_launch();
bool count_wants(size_t block, size_t blocks);
void count_block();
void count_thread(unsigned thread);
/// The running thread enters (+1) or leaves (-1) a function that was not inlined.
void count_call(int change);
void count_access(uintptr_t at, size_t bytes, Access access, uint32_t line);
void count_copy(const void* shared, const void* global, size_t bytes, uint32_t line);
void count_meeting(unsigned mask);
void count_barrier();
void count_end();

}  // namespace rcnn::cuda_sim
