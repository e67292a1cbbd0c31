#pragma once

#include "kernels/roi/roi_cases.h"
#include "kernels/roi/roi_pool.h"

namespace rcnn::kernels {

inline std::vector<RoiCase> roi_pool_cases() {
  return {
      {2, 17, 5, 3, 2, 13, 11, 3, 4, 32, true, true},  {3, 7, 19, 7, 7, 17, 23, 2, 8, 64, true, false},
      {1, 53, 5, 1, 1, 33, 37, 6, 1, 2, false, true},  {1, 5, 1, 7, 7, 1, 1, 1, 16, 64, false, false},
      {2, 13, 33, 5, 5, 29, 31, 4, 2, 16, true, true},  // channels over several blocks
      {1, 3, 264, 1, 2, 4, 5, 2, 8, 64, true, true},    // several vectors of channels per lane
      {1, 270, 1, 2, 2, 3, 9, 2, 8, 32, true, true},    // many RoIs on every pixel
      {1, 3, 2, 33, 1, 9, 7, 1, 4, 32, false, false},   // more bins than lanes
      {2, 0, 3, 7, 7, 4, 4, 2, 4, 32, true, false},     // no RoIs
      {0, 5, 3, 7, 7, 4, 4, 2, 4, 32, true, false},     // no images
  };
}

/// VGG16 at 600 x 1000 with 128 RoIs in training, and the sizes of nano-fpn.
inline std::vector<RoiCase> roi_pool_bench_cases() {
  return {{1, 128, 512, 7, 7, 37, 62, 1, 16, 224, false, false},
          {4, 64, 32, 5, 5, 60, 80, 3, 4, 64, false, false}};
}

template <class T>
RoiCase case_of(const RoiPoolArgs<T>& a, ArgumentReader&) {
  return roi_case_of(a);
}
template <class T>
RoiCase case_of(const RoiPoolBackwardArgs<T>& a, ArgumentReader&) {
  return roi_case_of(a);
}

template <class T>
Prepared<RoiPoolArgs<T>> prepare_roi_pool(const RoiCase& c, Filler fill) {
  Prepared<RoiPoolArgs<T>> p;
  static_cast<RoiLevels&>(p.args) = make_roi_levels(c, fill, p.inputs);
  for (int l = 0; l < c.levels; ++l)
    p.args.x[l] = fill.numbers<T>(p.inputs, level_shape(p.args, l)).template data<T>();
  const Shape out{c.n * c.r, c.ph, c.pw, c.c};
  p.args.y = fill.poisoned<T>(p.outputs, out).template mutable_data<T>();
  p.args.argmax = fill.poisoned<int32_t>(p.outputs, out).template mutable_data<int32_t>();
  p.bytes = bytes_without_maps(p);
  return p;
}

template <class T>
Prepared<RoiPoolBackwardArgs<T>> prepare_roi_pool_backward(const RoiCase& c, Filler fill) {
  Prepared<RoiPoolBackwardArgs<T>> p;
  static_cast<RoiLevels&>(p.args) = make_roi_levels(c, fill, p.inputs);
  const Shape out{c.n * c.r, c.ph, c.pw, c.c};

  // The argmax of a forward pass over features that do not depend on the fill.
  RoiPoolArgs<T> forward{};
  static_cast<RoiLevels&>(forward) = p.args;
  for (int l = 0; l < c.levels; ++l)
    forward.x[l] = fill.uniform<T>(p.inputs, level_shape(p.args, l), -1, 1).template data<T>();
  std::vector<Tensor> features;
  forward.y = fill.poisoned<T>(features, out).template mutable_data<T>();
  forward.argmax = fill.poisoned<int32_t>(p.inputs, out).template mutable_data<int32_t>();
  Workspace workspace;
  roi_pool_reference<T>({}, workspace, forward);
  p.args.argmax = forward.argmax;

  const Tensor dy = fill.numbers<T>(p.inputs, out);
  poison_padding<T>(p.args, dy);
  p.args.dy = dy.data<T>();
  for (int l = 0; l < c.levels; ++l) {
    p.args.dx[l] = fill.output<T>(p.outputs, level_shape(p.args, l)).template mutable_data<T>();
    p.args.accumulate[l] = fill.accumulate();
  }
  p.match = Match::sum;
  p.terms = c.r * c.ph * c.pw;
  return p;
}

RCNN_OP_CASES(roi_pool, roi_pool_cases, roi_pool_bench_cases, prepare_roi_pool<T>)
RCNN_OP_CASES(roi_pool_backward, roi_pool_cases, roi_pool_bench_cases, prepare_roi_pool_backward<T>)

}  // namespace rcnn::kernels
