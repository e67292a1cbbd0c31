// Nearest-neighbour upsampling added to a map: the top-down step of a feature pyramid (Lin et al., "Feature
// Pyramid Networks for Object Detection", section 3).
//
//     y[n, i, j, c] = lateral[n, i, j, c] + top[n, floor(i TH / H), floor(j TW / W), c]
#pragma once

#include "kernels/op.h"

namespace rcnn::kernels {

template <class T>
struct UpsampleAddArgs {
  int64_t n = 0, h = 0, w = 0, c = 0;  // of lateral and y
  int64_t th = 0, tw = 0;              // of top, at most h and w
  const T* lateral = nullptr;          // (N, H, W, C)
  const T* top = nullptr;              // (N, TH, TW, C)
  T* y = nullptr;                      // (N, H, W, C); may be lateral
};

/// Backward for `top`: dtop[n, a, b, c] is the sum of dy over the pixels that read it. The gradient for
/// `lateral` is dy itself.
template <class T>
struct UpsampleAddBackwardArgs {
  int64_t n = 0, h = 0, w = 0, c = 0;
  int64_t th = 0, tw = 0;
  const T* dy = nullptr;  // (N, H, W, C)
  T* dtop = nullptr;      // (N, TH, TW, C)
  Accumulate accumulate = Accumulate::no;
};

template <class T>
void upsample_add_reference(const Stream&, Workspace&, const UpsampleAddArgs<T>& a);
template <class T>
void upsample_add_backward_reference(const Stream&, Workspace&, const UpsampleAddBackwardArgs<T>& a);

Run<UpsampleAddArgs<float>> upsample_add_thread_per_four_channels;
Run<UpsampleAddBackwardArgs<float>> upsample_add_backward_thread_per_four_channels;

// clang-format off
inline constexpr RealTechnique<UpsampleAddArgs, UpsampleAddBackwardArgs> upsample_add_techniques[] = {
    {"thread_per_four_channels", on_cuda, upsample_add_thread_per_four_channels,
     upsample_add_backward_thread_per_four_channels},
    {"reference", on_cpu, {upsample_add_reference<float>, upsample_add_reference<double>},
     {upsample_add_backward_reference<float>, upsample_add_backward_reference<double>}},
};
// clang-format on
inline constexpr Op upsample_add{"upsample_add", "upsample_add", column<0>(upsample_add_techniques)};
inline constexpr Op upsample_add_backward{"upsample_add_backward", "upsample_add",
                                          column<1>(upsample_add_techniques)};

}  // namespace rcnn::kernels
