// RoIAlign over the levels of a feature pyramid (He et al., "Mask R-CNN", section 3): each RoI is cut into
// PH x PW bins, and the value of a bin is the mean of the features at points spread evenly over it,
// interpolated bilinearly.
//
//     y[k, i, j, c] = 1 / |S| sum over the points s of S(k, i, j), over the four pixels p around s:
//                     weight(s, p) x[level(k)][image(k), p, c]
//
// Positions, the treatment of borders and the choice of the level are those of torchvision: see
// roi_align_math.h and roi_levels.h. A point outside the map counts in |S| but adds nothing, and so does
// every point of a RoI with a coordinate that is NaN or infinite.
#pragma once

#include "kernels/op.h"
#include "kernels/roi/roi_levels.h"

namespace rcnn::kernels {

struct RoiAlignGrid : RoiLevels {
  int sampling = 0;      // points along each side of a bin; 0: ceil(side of the bin), for each RoI and axis
  bool aligned = false;  // half-pixel rule, see roi_axis
};

template <class T>
struct RoiAlignArgs : RoiAlignGrid {
  const T* x[kMaxLevels] = {};  // (N, h, w, C)
  T* y = nullptr;               // (N R, PH, PW, C); padding rows are set to 0
};

/// Backward: dx[l][image, p, c] is the sum of weight(s, p) / |S| dy[k, i, j, c] over all points s around p.
/// Contributions are added in the order of the RoIs, so the result has the same bits with any number of
/// threads. RoIs are constants and get no gradient. Padding rows are not read.
template <class T>
struct RoiAlignBackwardArgs : RoiAlignGrid {
  const T* dy = nullptr;   // (N R, PH, PW, C)
  T* dx[kMaxLevels] = {};  // (N, h, w, C); null: not needed
  Accumulate accumulate[kMaxLevels] = {};
};

/// One block per RoI, one warp per bin, with merged taps in shared memory; each lane takes every 32nd vector
/// of channels.
Run<RoiAlignArgs<float>> roi_align_warp_per_bin;
/// The formula as written above, with one thread per value of y.
Run<RoiAlignArgs<float>> roi_align_thread_per_output;
/// One warp per pixel, or one thread per value of dx, adds up the contributions RoI by RoI: see
/// kernels/roi/roi_gather.h.
Run<RoiAlignBackwardArgs<float>> roi_align_backward_warp_per_pixel, roi_align_backward_thread_per_input;

template <class T>
void roi_align_reference(const Stream&, Workspace&, const RoiAlignArgs<T>& a);
template <class T>
void roi_align_backward_reference(const Stream&, Workspace&, const RoiAlignBackwardArgs<T>& a);

/// Computes once per RoI which rows and columns each bin reads, merges those that several points share, and
/// handles each pixel of a bin once, with all its channels. Backward gives each thread bands of rows of the
/// maps; for each band, the thread goes through all RoIs of the image.
Run<RoiAlignArgs<float>> roi_align_merged_taps;
Run<RoiAlignBackwardArgs<float>> roi_align_backward_merged_taps;

/// Taps are stored in tables of fixed size, so the number of points must be fixed and small.
inline constexpr int kMaxTapSampling = 4;
template <class Args>
bool has_tap_sampling(const Args& a) {
  return a.sampling > 0 && a.sampling <= kMaxTapSampling;
}

// clang-format off
inline constexpr RealTechnique<RoiAlignArgs, RoiAlignBackwardArgs> roi_align_techniques[] = {
    {"warp_per_bin", on_cuda, {roi_align_warp_per_bin, has_tap_sampling}, nullptr},
    {"thread_per_output", on_cuda, roi_align_thread_per_output, nullptr},
    {"warp_per_pixel", on_cuda, nullptr, {roi_align_backward_warp_per_pixel, bins_fit_a_warp}},
    {"thread_per_input", on_cuda, nullptr, roi_align_backward_thread_per_input},
    {"merged_taps", on_cpu, {roi_align_merged_taps, has_tap_sampling},
     {roi_align_backward_merged_taps, has_tap_sampling}},
    {"reference", on_cpu, {roi_align_reference<float>, roi_align_reference<double>},
     {roi_align_backward_reference<float>, roi_align_backward_reference<double>}},
};
// clang-format on
inline constexpr Op roi_align{"roi_align", "roi_align", column<0>(roi_align_techniques)};
inline constexpr Op roi_align_backward{"roi_align_backward", "roi_align", column<1>(roi_align_techniques)};

}  // namespace rcnn::kernels
