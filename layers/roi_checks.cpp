#include "layers/roi_checks.h"

#include <cmath>

#include "layers/checks.h"

namespace rcnn {

kernels::RoiLevels checked_roi_levels(const char* layer, const std::vector<Var>& levels, const Tensor& rois,
                                      const Tensor& count, int64_t height, int64_t width,
                                      const std::vector<float>& scales, float canonical_size,
                                      int canonical_level) {
  check(!levels.empty() && levels.size() <= kernels::kMaxLevels, "{}: found {} levels, expected 1 to {}",
        layer, levels.size(), kernels::kMaxLevels);
  check(scales.size() == levels.size(), "{}: found {} scales for {} levels", layer, scales.size(),
        levels.size());
  check(height > 0 && width > 0, "{}: found {} x {} bins, expected at least one", layer, height, width);
  check(canonical_size > 0 && std::isfinite(canonical_size),
        "{}: the canonical size is {}, expected a positive number", layer, canonical_size);
  check(rois.defined() && rois.shape().rank() == 3 && rois.dim(2) == 4 && rois.dtype() == DType::f32,
        "{}: rois is {}, expected f32 (N, R, 4)", layer, describe(rois));
  const int64_t n = rois.dim(0);
  check(!count.defined() || (count.shape() == Shape{n} && count.dtype() == DType::i32),
        "{}: count is {}, expected i32 ({})", layer, describe(count), n);

  kernels::RoiLevels a{};
  a.n = n;
  a.r = rois.dim(1);
  a.levels = static_cast<int>(levels.size());
  for (size_t l = 0; l < levels.size(); ++l) {
    const Var& x = levels[l];
    check(x.defined() && x.shape().rank() == 4 && x.dim(0) == n && x.dim(1) > 0 && x.dim(2) > 0,
          "{}: level {} is {}, expected ({}, h, w, C) with at least one pixel", layer, l, describe(x.value()),
          n);
    check(x.dim(3) == levels[0].dim(3) && x.dtype() == levels[0].dtype(),
          "{}: level {} is {}, level 0 is {}: expected one type and number of channels", layer, l,
          describe(x.value()), describe(levels[0].value()));
    check(x.dim(1) <= INT32_MAX / x.dim(2), "{}: level {} is {}, expected fewer than 2^31 pixels per image",
          layer, l, describe(x.value()));
    check(scales[l] > 0 && std::isfinite(scales[l]), "{}: scale {} is {}, expected a positive number", layer,
          l, scales[l]);
    a.h[l] = x.dim(1);
    a.w[l] = x.dim(2);
    a.scale[l] = scales[l];
  }
  a.c = levels[0].dim(3);
  a.rois = rois.data<float>();
  a.count = data_or_null<int32_t>(count);
  a.ph = height;
  a.pw = width;
  a.canonical_size = canonical_size;
  a.canonical_level = canonical_level;
  return a;
}

}  // namespace rcnn
