// What a variant of an op runs on, and whether this build and this machine have it.
//
// This is the one place that knows which libraries a build may lack. A table names a function of a missing
// library like any other: it is declared, and nothing refers to it once the table is made. cuDNN and cuBLAS
// may be missing on the machine as well: they are opened when they are first asked for.
#pragma once

#include <string>

#include "core/context.h"

namespace rcnn::kernels {

struct Backend {
  DeviceType device;
  const char* needs;  // what the build must have: "oneDNN"
  bool built;
  Precision precision = Precision::f32;  // of the operands of products
  int capability = 0;                    // the minimum compute capability, 80 for sm_80; 0 for any
  /// Why this machine lacks the library, as a sentence; empty if it has it. Null: nothing can be missing.
  const std::string& (*missing)() = nullptr;

  constexpr Backend with(Precision operands, int min_capability) const {
    return {device, needs, built, operands, min_capability, missing};
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

inline constexpr Backend on_cpu{DeviceType::cpu, "", true};
inline constexpr Backend on_onednn{DeviceType::cpu, "oneDNN", kHasOneDnn};
inline constexpr Backend on_cuda{DeviceType::cuda, "CUDA", kHasCuda};

#if defined(RCNN_CUDNN)
const std::string& missing_cudnn();
inline constexpr Backend on_cudnn{DeviceType::cuda, "cuDNN", true, Precision::f32, 0, missing_cudnn};
#else
inline constexpr Backend on_cudnn{DeviceType::cuda, "cuDNN", false};
#endif
#if defined(RCNN_CUBLAS)
const std::string& missing_cublas();
inline constexpr Backend on_cublas{DeviceType::cuda, "cuBLAS", true, Precision::f32, 0, missing_cublas};
#else
inline constexpr Backend on_cublas{DeviceType::cuda, "cuBLAS", false};
#endif

}  // namespace rcnn::kernels
