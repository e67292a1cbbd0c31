// Marks functions that both the CPU and the GPU build compile, so that a formula is written only once.
#pragma once

#if defined(__CUDACC__)
#define RCNN_HOST_DEVICE __host__ __device__
#else
#define RCNN_HOST_DEVICE
#endif
