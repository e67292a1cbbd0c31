// Smaller versions of a case, from which a search finds the smallest one on which a variant still fails.
//
// `smaller(c)` lists the cases that differ from `c` in one size, which is halved or lowered by one, or in one
// flag, which is cleared. Ops whose cases are not listed here have none: their cases are reported as they
// are.
#pragma once

#include "kernels/op_cases.h"

namespace rcnn::kernels {

/// Appends the cases in which the number or flag that `field(case)` refers to is smaller, but not below
/// `low`.
template <class Case, class Field>
void lower(std::vector<Case>& found, const Case& c, Field field, int64_t low = 1) {
  Case copy = c;
  auto& value = field(copy);
  if constexpr (std::is_same_v<std::remove_reference_t<decltype(value)>, bool>) {
    if (std::exchange(value, false)) found.push_back(copy);
  } else {
    using Number = std::remove_reference_t<decltype(value)>;
    const auto before = static_cast<int64_t>(value);
    for (const int64_t next : {before / 2, before - 1}) {
      if (next < low || next >= before) continue;
      value = static_cast<Number>(next);
      found.push_back(copy);
      if (next == before - 1) break;  // for 2 both are 1
    }
  }
}

/// RCNN_LOWER(shape.h, 1): the member of the case `c`.
#define RCNN_LOWER(member, low) \
  lower(                        \
      found, c, [](auto& of) -> auto& { return of.member; }, low)

template <class Case>
std::vector<Case> smaller(const Case&) {
  return {};
}

inline std::vector<Conv2dCase> smaller(const Conv2dCase& c) {
  std::vector<Conv2dCase> found;
  RCNN_LOWER(shape.n, 1);
  RCNN_LOWER(shape.h, 1);
  RCNN_LOWER(shape.w, 1);
  RCNN_LOWER(shape.c, 1);
  RCNN_LOWER(shape.k, 1);
  RCNN_LOWER(shape.r, 1);
  RCNN_LOWER(shape.s, 1);
  RCNN_LOWER(shape.stride, 1);
  RCNN_LOWER(shape.pad, 0);
  RCNN_LOWER(shape.dilation, 1);
  RCNN_LOWER(g_every, 1);
  RCNN_LOWER(scale, 0);
  RCNN_LOWER(bias, 0);
  RCNN_LOWER(residual, 0);
  RCNN_LOWER(relu, 0);
  std::erase_if(found, [](const Conv2dCase& f) {
    const Conv2dShape& s = f.shape;
    return s.h + 2 * s.pad <= s.dilation * (s.r - 1) || s.w + 2 * s.pad <= s.dilation * (s.s - 1);
  });
  return found;
}

inline std::vector<MatmulCase> smaller(const MatmulCase& c) {
  std::vector<MatmulCase> found;
  RCNN_LOWER(m, 1);
  RCNN_LOWER(n, 1);
  RCNN_LOWER(k, 1);
  RCNN_LOWER(transpose_a, 0);
  RCNN_LOWER(transpose_b, 0);
  RCNN_LOWER(bias, 0);
  RCNN_LOWER(relu, 0);
  return found;
}

inline std::vector<EpilogueCase> smaller(const EpilogueCase& c) {
  std::vector<EpilogueCase> found;
  RCNN_LOWER(rows, 1);
  RCNN_LOWER(c, 1);
  return found;
}

inline std::vector<RoiAlignCase> smaller(const RoiAlignCase& c) {
  std::vector<RoiAlignCase> found;
  RCNN_LOWER(roi.n, 1);
  RCNN_LOWER(roi.r, 1);
  RCNN_LOWER(roi.c, 1);
  RCNN_LOWER(roi.ph, 1);
  RCNN_LOWER(roi.pw, 1);
  RCNN_LOWER(roi.h, 1);
  RCNN_LOWER(roi.w, 1);
  RCNN_LOWER(roi.levels, 1);
  RCNN_LOWER(roi.wild, 0);
  RCNN_LOWER(roi.counted, 0);
  RCNN_LOWER(sampling, 1);
  RCNN_LOWER(aligned, 0);
  return found;
}

inline std::vector<RoiCase> smaller(const RoiCase& c) {
  std::vector<RoiCase> found;
  RCNN_LOWER(n, 1);
  RCNN_LOWER(r, 1);
  RCNN_LOWER(c, 1);
  RCNN_LOWER(ph, 1);
  RCNN_LOWER(pw, 1);
  RCNN_LOWER(h, 1);
  RCNN_LOWER(w, 1);
  RCNN_LOWER(levels, 1);
  RCNN_LOWER(wild, 0);
  RCNN_LOWER(counted, 0);
  return found;
}

inline std::vector<NmsCase> smaller(const NmsCase& c) {
  std::vector<NmsCase> found;
  RCNN_LOWER(n, 1);
  RCNN_LOWER(capacity, 0);
  if (c.columns == 0) {
    RCNN_LOWER(m, 1);
    RCNN_LOWER(groups, 1);
  } else {  // the boxes are rows of `columns` boxes
    const int64_t rows = c.m / c.columns;
    for (const int64_t fewer : {rows / 2, rows - 1}) {
      if (fewer < 1) continue;
      found.push_back(c);
      found.back().m = fewer * c.columns;
    }
    if (c.columns > 1) {
      found.push_back(c);
      found.back().columns = c.columns / 2;
      found.back().m = rows * found.back().columns;
    }
  }
  return found;
}

inline std::vector<MaxPoolCase> smaller(const MaxPoolCase& c) {
  std::vector<MaxPoolCase> found;
  RCNN_LOWER(n, 1);
  RCNN_LOWER(h, 1);
  RCNN_LOWER(w, 1);
  RCNN_LOWER(c, 1);
  RCNN_LOWER(kernel, 1);
  RCNN_LOWER(stride, 1);
  RCNN_LOWER(pad, 0);
  RCNN_LOWER(ceil_mode, 0);
  std::erase_if(found, [](const MaxPoolCase& f) {
    return 2 * f.pad > f.kernel || f.h + 2 * f.pad < f.kernel || f.w + 2 * f.pad < f.kernel;
  });
  return found;
}

inline std::vector<AveragePoolCase> smaller(const AveragePoolCase& c) {
  std::vector<AveragePoolCase> found;
  RCNN_LOWER(n, 1);
  RCNN_LOWER(p, 1);
  RCNN_LOWER(c, 1);
  return found;
}

inline std::vector<UpsampleAddCase> smaller(const UpsampleAddCase& c) {
  std::vector<UpsampleAddCase> found;
  RCNN_LOWER(n, 1);
  RCNN_LOWER(h, 1);
  RCNN_LOWER(w, 1);
  RCNN_LOWER(c, 1);
  RCNN_LOWER(th, 1);
  RCNN_LOWER(tw, 1);
  std::erase_if(found, [](const UpsampleAddCase& f) { return f.th > f.h || f.tw > f.w; });
  return found;
}

inline std::vector<SoftmaxCase> smaller(const SoftmaxCase& c) {
  std::vector<SoftmaxCase> found;
  RCNN_LOWER(rows, 1);
  RCNN_LOWER(c, 1);
  return found;
}

inline std::vector<DropoutCase> smaller(const DropoutCase& c) {
  std::vector<DropoutCase> found;
  RCNN_LOWER(count, 1);
  return found;
}

#undef RCNN_LOWER

/// From a case on which `fails(c)`, one smaller case after another on which it also fails, until there is
/// none or `in_time()` is false.
template <class Case, class Fails, class InTime>
Case smallest_failing(Case c, Fails fails, InTime in_time) {
  for (bool found = true; found;) {
    found = false;
    for (const Case& candidate : smaller(c)) {
      if (!in_time()) return c;
      if (!fails(candidate)) continue;
      c = candidate;
      found = true;
      break;
    }
  }
  return c;
}

}  // namespace rcnn::kernels
