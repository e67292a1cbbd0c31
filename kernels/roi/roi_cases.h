// RoIs and feature levels for the cases of the ops that pool RoIs.
#pragma once

#include "kernels/cases.h"
#include "kernels/roi/roi_levels.h"

namespace rcnn::kernels {

/// Levels of h x w, h/2 x w/2 (rounded up), ... at strides `stride`, 2 `stride`, ... RoIs of side
/// `canonical_size` belong to level `canonical_level`.
struct RoiCase {
  int64_t n, r, c, ph, pw;
  int64_t h, w;
  int levels;
  float stride;
  float canonical_size;
  bool counted;  // the last row of the first image, and all of the last image but one, are padding
  bool wild;     // some RoIs have NaNs or infinities, or are outside, reversed, empty or huge
  int canonical_level = 1;
};

RCNN_CASE_FIELDS(RoiCase, n, r, c, ph, pw, h, w, levels, stride, canonical_size, counted, wild,
                 canonical_level)

inline RoiCase roi_case_of(const RoiLevels& a) {
  return {a.n,
          a.r,
          a.c,
          a.ph,
          a.pw,
          a.h[0],
          a.w[0],
          a.levels,
          1 / a.scale[0],
          a.canonical_size,
          a.count != nullptr,
          false,
          a.canonical_level};
}

/// RoIs of all sizes, some across the borders; NaN in the padding.
inline void make_rois(const RoiCase& c, Filler& fill, std::vector<Tensor>& keep, RoiLevels& a) {
  const float height = static_cast<float>(c.h) * c.stride, width = static_cast<float>(c.w) * c.stride;
  const Tensor rois = fill.uniform<float>(keep, {c.n, c.r, 4}, 0, 1);
  const Tensor count = Tensor::empty({c.n}, DType::i32);
  count.fill(static_cast<double>(c.r));
  if (c.counted && c.n > 0) {
    count.mutable_data<int32_t>()[0] = static_cast<int32_t>(std::max<int64_t>(c.r - 1, 0));
    if (c.n > 1) count.mutable_data<int32_t>()[c.n - 1] = static_cast<int32_t>(std::min<int64_t>(c.r, 1));
  }
  keep.push_back(count);

  float* values = rois.mutable_data<float>();
  for (int64_t k = 0; k < c.n * c.r; ++k) {
    float* roi = values + k * 4;
    const float smallest = c.stride / 2, largest = 1.2f * std::max(height, width);
    const auto side = [&](float u) { return smallest * std::pow(largest / smallest, u); };
    const float cx = roi[0] * width, cy = roi[1] * height, size = side(roi[2]);
    const float rw = size * (0.5f + roi[3]) / 2, rh = size * (1.5f - roi[3]) / 2;  // half sides
    roi[0] = cx - rw, roi[1] = cy - rh, roi[2] = cx + rw, roi[3] = cy + rh;
  }
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN(),
                  kInf = std::numeric_limits<float>::infinity();
  const float wild[][4] = {{kNaN, 1, 9, 9},
                           {1, 1, 9, kNaN},
                           {-kInf, 0, 9, 9},
                           {0, 0, kInf, kInf},
                           {0, 2 * height, 9, 3e6f},
                           {-90, -90, -80, -80},
                           {9, 9, 2, 2},
                           {5, 5, 5, 5},
                           {-1e30f, -1e30f, 1e30f, 1e30f},
                           {0, 0, width, height},
                           {-3, -3, width, 7},
                           {kNaN, kNaN, kNaN, kNaN}};
  const auto bytes = sizeof wild[0];
  if (c.wild)
    for (int64_t k = 0; k < std::min<int64_t>(c.n * c.r, std::size(wild)); ++k)
      std::memcpy(values + k * 4, wild[k], bytes);
  if (c.counted)
    for (int64_t k = 0; k < c.n * c.r; ++k)
      if (k % c.r >= count.data<int32_t>()[k / c.r]) std::fill_n(values + k * 4, 4, kNaN);
  a.rois = rois.data<float>();
  a.count = c.counted ? count.data<int32_t>() : nullptr;
}

/// All arguments except the features.
inline RoiLevels make_roi_levels(const RoiCase& c, Filler& fill, std::vector<Tensor>& keep) {
  RoiLevels a{};
  a.n = c.n, a.r = c.r, a.c = c.c;
  a.ph = c.ph, a.pw = c.pw;
  a.levels = c.levels;
  for (int l = 0; l < c.levels; ++l) {
    const int64_t shrink = int64_t{1} << l;
    a.h[l] = (c.h + shrink - 1) / shrink;
    a.w[l] = (c.w + shrink - 1) / shrink;
    a.scale[l] = 1 / (c.stride * static_cast<float>(shrink));
  }
  a.canonical_size = c.canonical_size;
  a.canonical_level = c.canonical_level;
  make_rois(c, fill, keep, a);
  return a;
}

inline Shape level_shape(const RoiLevels& a, int level) { return {a.n, a.h[level], a.w[level], a.c}; }

/// Bytes of the RoIs and of the outputs: of the maps, which are the last inputs, only what lies in RoIs has
/// to be read.
template <class Args>
double bytes_without_maps(const Prepared<Args>& p) {
  size_t bytes = 0;
  for (size_t i = 0; i + static_cast<size_t>(p.args.levels) < p.inputs.size(); ++i)
    bytes += p.inputs[i].bytes();
  for (const Tensor& tensor : p.outputs) bytes += tensor.bytes();
  return static_cast<double>(bytes);
}

/// Fills the padding rows of an (N R, PH, PW, C) gradient with NaN, because they must not be read.
template <class T>
void poison_padding(const RoiLevels& a, const Tensor& dy) {
  const int64_t size = a.ph * a.pw * a.c;
  for (int64_t k = 0; k < a.n * a.r; ++k)
    if (is_padding(a, k / a.r, k % a.r))
      std::fill_n(dy.mutable_data<T>() + k * size, size, std::numeric_limits<T>::quiet_NaN());
}

}  // namespace rcnn::kernels
