// A multiplication and an addition a channel: batch normalisation with frozen statistics, where no
// convolution has taken it into its epilogue.
//
//     y = relu(scale x + shift + residual)
#pragma once

#include "kernels/op.h"

namespace rcnn::kernels {

template <class T>
struct ScaleShiftArgs {
  int64_t rows = 0, c = 0;      // rows = N H W; C >= 1
  const T* x = nullptr;         // (rows, C)
  const T* scale = nullptr;     // (C)
  const T* shift = nullptr;     // (C)
  const T* residual = nullptr;  // (rows, C), or null
  bool relu = false;
  T* y = nullptr;  // (rows, C)
};

/// With g = dy where y > 0, else 0 (dy itself without ReLU): dx = scale g, dresidual = g. Scale and shift are
/// constants. The outputs may not overlap each other or an input.
template <class T>
struct ScaleShiftBackwardArgs {
  int64_t rows = 0, c = 0;
  const T* scale = nullptr;  // (C)
  const T* y = nullptr;      // (rows, C); null unless relu
  const T* dy = nullptr;     // (rows, C)
  bool relu = false;
  T* dx = nullptr;  // (rows, C), or null: not wanted
  Accumulate accumulate = Accumulate::no;
  T* dresidual = nullptr;  // (rows, C), or null
  Accumulate accumulate_residual = Accumulate::no;
};

template <class T>
void scale_shift_reference(const Stream&, Workspace&, const ScaleShiftArgs<T>& a);
template <class T>
void scale_shift_backward_reference(const Stream&, Workspace&, const ScaleShiftBackwardArgs<T>& a);

Run<ScaleShiftArgs<float>> scale_shift_thread_per_four_channels;
Run<ScaleShiftBackwardArgs<float>> scale_shift_backward_thread_per_four_channels;

// clang-format off
inline constexpr RealTechnique<ScaleShiftArgs, ScaleShiftBackwardArgs> scale_shift_techniques[] = {
    {"thread_per_four_channels", on_cuda, scale_shift_thread_per_four_channels,
     scale_shift_backward_thread_per_four_channels},
    {"reference", on_cpu, {scale_shift_reference<float>, scale_shift_reference<double>},
     {scale_shift_backward_reference<float>, scale_shift_backward_reference<double>}},
};
// clang-format on
inline constexpr Op scale_shift{"scale_shift", "scale_shift", column<0>(scale_shift_techniques)};
inline constexpr Op scale_shift_backward{"scale_shift_backward", "scale_shift",
                                         column<1>(scale_shift_techniques)};

}  // namespace rcnn::kernels
