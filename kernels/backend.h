// What a variant of an op runs on, and whether this build has it.
//
// This is the one place that knows which libraries a build may lack. A table names a function of a missing
// library like any other: it is declared, and nothing refers to it once the table is made.
#pragma once

#include "core/context.h"

namespace rcnn::kernels {

struct Backend {
  DeviceType device;
  const char* needs;  // what the build must have: "oneDNN"
  bool built;
  Precision precision = Precision::f32;  // of the operands of products
  int capability = 0;                    // the minimum compute capability, 80 for sm_80; 0 for any

  constexpr Backend with(Precision operands, int min_capability) const {
    return {device, needs, built, operands, min_capability};
  }
};

#if defined(RCNN_ONEDNN)
inline constexpr bool kHasOneDnn = true;
#else
inline constexpr bool kHasOneDnn = false;
#endif
#if defined(RCNN_CUDA)
inline constexpr bool kHasCuda = true;
#else
inline constexpr bool kHasCuda = false;
#endif
#if defined(RCNN_CUDNN)
inline constexpr bool kHasCudnn = true;
#else
inline constexpr bool kHasCudnn = false;
#endif
#if defined(RCNN_CUBLAS)
inline constexpr bool kHasCublas = true;
#else
inline constexpr bool kHasCublas = false;
#endif

inline constexpr Backend on_cpu{DeviceType::cpu, "", true};
inline constexpr Backend on_onednn{DeviceType::cpu, "oneDNN", kHasOneDnn};
inline constexpr Backend on_cuda{DeviceType::cuda, "CUDA", kHasCuda};
inline constexpr Backend on_cudnn{DeviceType::cuda, "cuDNN", kHasCudnn};
inline constexpr Backend on_cublas{DeviceType::cuda, "cuBLAS", kHasCublas};

}  // namespace rcnn::kernels
