#pragma once

#include "kernels/roi/roi_align.h"
#include "kernels/roi/roi_cases.h"

namespace rcnn::kernels {

struct RoiAlignCase {
  RoiCase roi;
  int sampling;
  bool aligned;
};

inline std::vector<RoiAlignCase> roi_align_cases() {
  return {
      {{2, 17, 5, 3, 2, 13, 11, 3, 4, 32, true, true}, 2, false},
      {{2, 17, 5, 3, 2, 13, 11, 3, 4, 32, true, true}, 2, true},
      {{3, 7, 19, 7, 7, 17, 23, 2, 8, 64, true, false}, 1, false},
      {{1, 13, 3, 5, 5, 29, 31, 4, 2, 16, false, true}, 3, true},
      {{2, 15, 4, 2, 3, 11, 7, 2, 4, 16, false, true}, 0, false},  // adaptive
      {{1, 31, 2, 3, 3, 19, 19, 3, 4, 32, true, true}, 0, true},
      {{1, 53, 5, 1, 1, 33, 37, 6, 1, 2, false, false}, 4, false},  // six levels, one bin
      {{1, 3, 1, 7, 7, 1, 1, 1, 16, 64, false, false}, 2, false},   // a map of one pixel
      {{1, 3, 264, 1, 2, 4, 5, 2, 8, 64, false, false}, 2, false},  // several vectors of channels per lane
      {{1, 270, 1, 2, 2, 3, 9, 2, 8, 32, true, true}, 2, false},    // many RoIs on every pixel
      {{1, 3, 2, 33, 1, 9, 7, 1, 4, 32, false, false}, 1, false},   // more bins than lanes
      {{2, 0, 3, 7, 7, 4, 4, 2, 4, 32, true, false}, 2, false},     // no RoIs
      {{0, 5, 3, 7, 7, 4, 4, 2, 4, 32, true, false}, 2, false},     // no images
  };
}

/// nano-fpn at 4 x 240 x 320; a ResNet-50 FPN at 800 x 1344 with 512 RoIs in training and 1000 in detection.
inline std::vector<RoiAlignCase> roi_align_bench_cases() {
  return {
      {{4, 64, 32, 5, 5, 60, 80, 3, 4, 64, false, false}, 2, false},
      {{1, 512, 256, 7, 7, 200, 336, 4, 4, 112, false, false}, 2, false},
      {{1, 1000, 256, 7, 7, 200, 336, 4, 4, 112, false, false}, 2, false},
  };
}

RCNN_CASE_FIELDS(RoiAlignCase, roi, sampling, aligned)

template <class T>
RoiAlignCase case_of(const RoiAlignArgs<T>& a, ArgumentReader&) {
  return {roi_case_of(a), a.sampling, a.aligned};
}
template <class T>
RoiAlignCase case_of(const RoiAlignBackwardArgs<T>& a, ArgumentReader&) {
  return {roi_case_of(a), a.sampling, a.aligned};
}

/// The weights of a bin's points sum to at most 1, over 4 pixels per point. They are not integers even with
/// Fill::small_integers, so no result is exact.
template <class Args>
void set_roi_align_match(const RoiAlignCase& c, const Filler& fill, int64_t bins, Prepared<Args>& p) {
  const int64_t points = c.sampling > 0 ? c.sampling : std::max(c.roi.h, c.roi.w);
  p.match = fill.fill() == Fill::small_integers ? Match::relative : Match::sum;
  p.terms = 4 * points * points * bins;
  p.tolerance = 1e-5;
  p.flop = 8.0 * static_cast<double>(points * points * c.roi.n * c.roi.r * c.roi.ph * c.roi.pw * c.roi.c);
}

template <class T>
Prepared<RoiAlignArgs<T>> prepare_roi_align(const RoiAlignCase& c, Filler fill) {
  Prepared<RoiAlignArgs<T>> p;
  static_cast<RoiAlignGrid&>(p.args) = {make_roi_levels(c.roi, fill, p.inputs), c.sampling, c.aligned};
  for (int l = 0; l < p.args.levels; ++l)
    p.args.x[l] = fill.numbers<T>(p.inputs, level_shape(p.args, l)).template data<T>();
  const Tensor y = fill.poisoned<T>(p.outputs, {c.roi.n * c.roi.r, c.roi.ph, c.roi.pw, c.roi.c});
  p.args.y = y.mutable_data<T>();
  set_roi_align_match(c, fill, 1, p);
  p.bytes = bytes_without_maps(p);
  return p;
}

template <class T>
Prepared<RoiAlignBackwardArgs<T>> prepare_roi_align_backward(const RoiAlignCase& c, Filler fill) {
  Prepared<RoiAlignBackwardArgs<T>> p;
  static_cast<RoiAlignGrid&>(p.args) = {make_roi_levels(c.roi, fill, p.inputs), c.sampling, c.aligned};
  const Tensor dy = fill.numbers<T>(p.inputs, {c.roi.n * c.roi.r, c.roi.ph, c.roi.pw, c.roi.c});
  poison_padding<T>(p.args, dy);
  p.args.dy = dy.data<T>();
  for (int l = 0; l < p.args.levels; ++l) {
    p.args.dx[l] = fill.output<T>(p.outputs, level_shape(p.args, l)).template mutable_data<T>();
    p.args.accumulate[l] = fill.accumulate();
  }
  set_roi_align_match(c, fill, c.roi.r * c.roi.ph * c.roi.pw, p);
  return p;
}

RCNN_OP_CASES(roi_align, roi_align_cases, roi_align_bench_cases, prepare_roi_align<T>)
RCNN_OP_CASES(roi_align_backward, roi_align_cases, roi_align_bench_cases, prepare_roi_align_backward<T>)

}  // namespace rcnn::kernels
