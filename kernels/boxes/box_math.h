// Formulas for boxes: area, overlap, the deltas from one box to another, clipping and anchors.
//
// A box is (x1, y1, x2, y2) in pixels of the network's input. Its coordinates are continuous: its width is
// x2 - x1, without a + 1. Ops with an argument `plus_one` also support py-faster-rcnn's convention, in which
// the corners are whole pixels and both belong to the box: they work on the `spanned` box.
//
// Rounding is part of these formulas, because matching compares overlaps for equality and NMS compares them
// with a threshold. So every op uses these functions on every device, compiled without contraction.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/box.h"
#include "core/host_device.h"

namespace rcnn::kernels {

/// The largest logarithm of a size ratio that `decode` applies by default: ln(1000 / 16). It keeps exp from
/// overflowing early in training.
inline constexpr double kMaxLogScale = 4.135166556742356;

template <class T>
RCNN_HOST_DEVICE inline BoxOf<T> load_box(const T* p) {
  return {p[0], p[1], p[2], p[3]};
}

template <class T>
RCNN_HOST_DEVICE inline void store_box(T* p, const BoxOf<T>& box) {
  p[0] = box.x1;
  p[1] = box.y1;
  p[2] = box.x2;
  p[3] = box.y2;
}

/// The extent of a box in continuous coordinates. With `plus_one` 0 it is the box itself. With 1 the corners
/// are the first and the last pixel of the box, so the box ends one pixel further: its width is x2 - x1 + 1.
template <class T>
RCNN_HOST_DEVICE inline BoxOf<T> spanned(const BoxOf<T>& box, T plus_one) {
  return {box.x1, box.y1, box.x2 + plus_one, box.y2 + plus_one};
}

/// True unless a coordinate is NaN or infinite.
template <class T>
RCNN_HOST_DEVICE inline bool is_finite(const BoxOf<T>& box) {
  // v - v is 0 for a finite number, and NaN for an infinity or a NaN.
  return (box.x1 - box.x1) + (box.y1 - box.y1) + (box.x2 - box.x2) + (box.y2 - box.y2) == T(0);
}

/// True when both sides are at least `min_size` long; false for NaN.
template <class T>
RCNN_HOST_DEVICE inline bool is_large_enough(const BoxOf<T>& box, T min_size) {
  return box.x2 - box.x1 >= min_size && box.y2 - box.y1 >= min_size;
}

template <class T>
RCNN_HOST_DEVICE inline T box_area(const BoxOf<T>& box) {
  return (box.x2 - box.x1) * (box.y2 - box.y1);
}

/// Intersection over union of boxes whose areas are known, for loops that compare one box with many. The
/// result is 0 when the union is not positive, as for two empty boxes, and when a coordinate is NaN or
/// infinite: the area, and with it the union, is then NaN or infinite.
template <class T>
RCNN_HOST_DEVICE inline T iou(const BoxOf<T>& a, T area_a, const BoxOf<T>& b, T area_b) {
  const T left = a.x1 > b.x1 ? a.x1 : b.x1, right = a.x2 < b.x2 ? a.x2 : b.x2;
  const T top = a.y1 > b.y1 ? a.y1 : b.y1, bottom = a.y2 < b.y2 ? a.y2 : b.y2;
  const T width = right > left ? right - left : T(0), height = bottom > top ? bottom - top : T(0);
  const T common = width * height, whole = area_a + area_b - common;
  return whole > T(0) ? common / whole : T(0);
}

/// Intersection over union; symmetric to the last bit.
template <class T>
RCNN_HOST_DEVICE inline T iou(const BoxOf<T>& a, const BoxOf<T>& b) {
  return iou(a, box_area(a), b, box_area(b));
}

/// exp and log are computed in double: the results of two math libraries then round to the same float except
/// for about one argument in 10^8, so the CPU and a GPU decode a box to the same bits.
template <class T>
RCNN_HOST_DEVICE inline T exp_through_double(T x) {
  return static_cast<T>(std::exp(static_cast<double>(x)));
}
template <class T>
RCNN_HOST_DEVICE inline T log_through_double(T x) {
  return static_cast<T>(std::log(static_cast<double>(x)));
}

/// Writes to `delta` the deltas (4 values) that move `reference` onto `gt`, both of positive area:
///
///     dx = wx (gt_cx - cx) / w     dw = ww ln(gt_w / w)     and the same for y and h
///
/// `weights` are (wx, wy, ww, wh).
template <class T>
RCNN_HOST_DEVICE inline void encode(const BoxOf<T>& reference, const BoxOf<T>& gt, const float* weights,
                                    T* delta) {
  const T w = reference.x2 - reference.x1, h = reference.y2 - reference.y1;
  const T cx = reference.x1 + T(0.5) * w, cy = reference.y1 + T(0.5) * h;
  const T gt_w = gt.x2 - gt.x1, gt_h = gt.y2 - gt.y1;
  const T gt_cx = gt.x1 + T(0.5) * gt_w, gt_cy = gt.y1 + T(0.5) * gt_h;
  delta[0] = static_cast<T>(weights[0]) * (gt_cx - cx) / w;
  delta[1] = static_cast<T>(weights[1]) * (gt_cy - cy) / h;
  delta[2] = static_cast<T>(weights[2]) * log_through_double(gt_w / w);
  delta[3] = static_cast<T>(weights[3]) * log_through_double(gt_h / h);
}

/// `reference`, moved by the deltas `delta` (4 values): the inverse of `encode`, with dw and dh limited to
/// `limit`. A NaN in `delta` gives a NaN in the box.
///
/// py-faster-rcnn encodes spanned boxes. When it decodes from a spanned reference, it takes the result for a
/// box of whole pixels, without the - 1 on x2 and y2 that would undo the span. Weights trained with it rely
/// on that.
template <class T>
RCNN_HOST_DEVICE inline BoxOf<T> decode(const BoxOf<T>& reference, const T* delta, const float* weights,
                                        T limit = static_cast<T>(kMaxLogScale)) {
  const T w = reference.x2 - reference.x1, h = reference.y2 - reference.y1;
  const T dw = delta[2] / static_cast<T>(weights[2]), dh = delta[3] / static_cast<T>(weights[3]);
  const T cx = delta[0] / static_cast<T>(weights[0]) * w + (reference.x1 + T(0.5) * w);
  const T cy = delta[1] / static_cast<T>(weights[1]) * h + (reference.y1 + T(0.5) * h);
  const T half_w = T(0.5) * (exp_through_double(dw > limit ? limit : dw) * w);
  const T half_h = T(0.5) * (exp_through_double(dh > limit ? limit : dh) * h);
  return {cx - half_w, cy - half_h, cx + half_w, cy + half_h};
}

/// `value` limited to [0, limit]; NaN stays NaN.
template <class T>
RCNN_HOST_DEVICE inline T clip(T value, T limit) {
  return value < T(0) ? T(0) : value > limit ? limit : value;
}

/// The box clipped to an image of this size. The right edge of the image is at x = width; with `plus_one` 1
/// its last pixel is at x = width - 1.
template <class T>
RCNN_HOST_DEVICE inline BoxOf<T> clip(const BoxOf<T>& box, T height, T width, T plus_one = T(0)) {
  const T right = width - plus_one, bottom = height - plus_one;
  return {clip(box.x1, right), clip(box.y1, bottom), clip(box.x2, right), clip(box.y2, bottom)};
}

/// True when the box lies inside an image of this size and does not reach its right or lower edge. This is
/// py-faster-rcnn's rule for anchors, whose corners are pixels. False for NaN.
template <class T>
RCNN_HOST_DEVICE inline bool is_inside(const BoxOf<T>& box, T height, T width) {
  return box.x1 >= T(0) && box.y1 >= T(0) && box.x2 < width && box.y2 < height;
}

/// Moves `reference` in image `n` by `delta`, clips it and writes the result to `inside`. The arguments of
/// the op give the weights, image_size, plus_one and max_log_scale. Returns false when the box must not be
/// used: it is not finite before clipping, or a side is shorter than `min_size` after clipping.
template <class Args>
RCNN_HOST_DEVICE inline bool regress(const Args& a, int64_t n, const Box& reference, const float* delta,
                                     float min_size, Box& inside) {
  const Box box = decode(spanned(reference, a.plus_one), delta, a.weights, a.max_log_scale);
  inside = clip(box, a.image_size[n * 2], a.image_size[n * 2 + 1], a.plus_one);
  return is_finite(box) && is_large_enough(spanned(inside, a.plus_one), min_size);
}

/// The anchor of cell (y, x) of a map: the cell anchor, which is given around the origin, moved by
/// (x stride_x, y stride_y).
template <class T>
RCNN_HOST_DEVICE inline BoxOf<T> anchor_at(const BoxOf<T>& cell, int64_t y, int64_t x, T stride_y,
                                           T stride_x) {
  const T dy = static_cast<T>(y) * stride_y, dx = static_cast<T>(x) * stride_x;
  return {cell.x1 + dx, cell.y1 + dy, cell.x2 + dx, cell.y2 + dy};
}

}  // namespace rcnn::kernels
