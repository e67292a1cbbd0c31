// RoIPool over the levels of a feature pyramid (Girshick, "Fast R-CNN", section 2.1): each RoI is rounded to
// whole pixels and cut into PH x PW bins, which may overlap by a pixel. The value of a bin is the largest
// feature in it.
//
// RoIs are rounded as in py-faster-rcnn and torchvision (see roi_pool_math.h), and the level is chosen as in
// RoIAlign (see roi_levels.h). A bin without pixels is 0, and so is every bin of a RoI with a coordinate that
// is NaN or infinite. A NaN in a bin makes its value NaN.
#pragma once

#include "kernels/op.h"
#include "kernels/roi/roi_levels.h"

namespace rcnn::kernels {

template <class T>
struct RoiPoolArgs : RoiLevels {
  const T* x[kMaxLevels] = {};  // (N, h, w, C)
  T* y = nullptr;               // (N R, PH, PW, C); padding rows are set to 0
  int32_t* argmax = nullptr;    // (N R, PH, PW, C): row * w + column of the first largest pixel; -1: none
};

/// Backward: adds dy to the pixels that argmax names, on the level that the RoI was pooled from.
/// Contributions to the same pixel are added in the order of the RoIs. Padding rows are not read.
template <class T>
struct RoiPoolBackwardArgs : RoiLevels {
  const T* dy = nullptr;            // (N R, PH, PW, C)
  const int32_t* argmax = nullptr;  // of the forward pass
  T* dx[kMaxLevels] = {};           // (N, h, w, C); null: not needed
  Accumulate accumulate[kMaxLevels] = {};
};

/// One warp per bin; each lane takes every 32nd vector of channels.
Run<RoiPoolArgs<float>> roi_pool_warp_per_bin;
/// One warp per pixel, or one thread per value of dx, adds up the contributions RoI by RoI: see
/// kernels/roi/roi_gather.h.
Run<RoiPoolBackwardArgs<float>> roi_pool_backward_warp_per_pixel, roi_pool_backward_thread_per_input;

template <class T>
void roi_pool_reference(const Stream&, Workspace&, const RoiPoolArgs<T>& a);
template <class T>
void roi_pool_backward_reference(const Stream&, Workspace&, const RoiPoolBackwardArgs<T>& a);

// clang-format off
inline constexpr RealTechnique<RoiPoolArgs, RoiPoolBackwardArgs> roi_pool_techniques[] = {
    {"warp_per_bin", on_cuda, roi_pool_warp_per_bin, nullptr},
    {"warp_per_pixel", on_cuda, nullptr, {roi_pool_backward_warp_per_pixel, bins_fit_a_warp}},
    {"thread_per_input", on_cuda, nullptr, roi_pool_backward_thread_per_input},
    {"reference", on_cpu, {roi_pool_reference<float>, roi_pool_reference<double>},
     {roi_pool_backward_reference<float>, roi_pool_backward_reference<double>}},
};
// clang-format on
inline constexpr Op roi_pool{"roi_pool", "roi_pool", column<0>(roi_pool_techniques)};
inline constexpr Op roi_pool_backward{"roi_pool_backward", "roi_pool", column<1>(roi_pool_techniques)};

}  // namespace rcnn::kernels
