// RoIPool over the levels of a feature pyramid (Girshick, "Fast R-CNN", section 2.1): each RoI is rounded to
// whole pixels and cut into PH x PW bins that may overlap by a pixel; a bin's value is the largest feature in
// it.
//
// Rounding is that of py-faster-rcnn and torchvision, see roi_pool_math.h; the level is chosen as in
// RoIAlign, see roi_levels.h. A bin without pixels is 0, and so is every bin of a RoI with a coordinate that
// is NaN or infinite. A NaN in a bin makes its value NaN.
#pragma once

#include "kernels/op.h"
#include "kernels/roi/roi_levels.h"

namespace rcnn::kernels {

template <class T>
struct RoiPoolArgs : RoiLevels {
  const T* x[kMaxLevels];  // (N, h, w, C)
  T* y;                    // (N R, PH, PW, C); padding rows are written 0
  int32_t* argmax;         // (N R, PH, PW, C): row * w + column of the first largest pixel; -1: none
};

/// Backward: dy goes to the pixels that argmax names; which level they are on follows from the RoI. Several
/// contributions to a pixel add up in the order of the RoIs. Nothing of a padding row is read.
template <class T>
struct RoiPoolBackwardArgs : RoiLevels {
  const T* dy;            // (N R, PH, PW, C)
  const int32_t* argmax;  // of the forward pass
  T* dx[kMaxLevels];      // (N, h, w, C); null: not wanted
  Accumulate accumulate[kMaxLevels];
};

/// A warp a bin, whole channel vectors.
void roi_pool_warp_per_bin(const Stream&, Workspace&, const RoiPoolArgs<float>& a);
/// A warp adds up what comes to a pixel, RoI by RoI: see kernels/roi/roi_gather.h.
void roi_pool_backward_warp_per_pixel(const Stream&, Workspace&, const RoiPoolBackwardArgs<float>& a);
void roi_pool_backward_thread_per_input(const Stream&, Workspace&, const RoiPoolBackwardArgs<float>& a);

template <class T>
void roi_pool_reference(const Stream&, Workspace&, const RoiPoolArgs<T>& a);
template <class T>
void roi_pool_backward_reference(const Stream&, Workspace&, const RoiPoolBackwardArgs<T>& a);

// clang-format off
inline constexpr Variant<RoiPoolArgs<float>, RoiPoolArgs<double>> roi_pool_variants[] = {
    OnCuda{"warp_per_bin", roi_pool_warp_per_bin},
    {DeviceType::cpu, "reference", roi_pool_reference<float>, roi_pool_reference<double>},
};
inline constexpr Op<RoiPoolArgs<float>, RoiPoolArgs<double>> roi_pool{
    "roi_pool", "roi_pool", roi_pool_variants};

inline constexpr Variant<RoiPoolBackwardArgs<float>, RoiPoolBackwardArgs<double>> roi_pool_backward_variants[] = {
    OnCuda{"warp_per_pixel", roi_pool_backward_warp_per_pixel, bins_fit_a_warp<RoiPoolBackwardArgs<float>>},
    OnCuda{"thread_per_input", roi_pool_backward_thread_per_input},
    {DeviceType::cpu, "reference", roi_pool_backward_reference<float>, roi_pool_backward_reference<double>},
};
inline constexpr Op<RoiPoolBackwardArgs<float>, RoiPoolBackwardArgs<double>> roi_pool_backward{
    "roi_pool_backward", "roi_pool", roi_pool_backward_variants};
// clang-format on

}  // namespace rcnn::kernels
