#include "core/parallel.h"
#include "kernels/boxes/anchors.h"
#include "kernels/boxes/box_math.h"

namespace rcnn::kernels {

std::vector<float> cell_anchors(std::span<const float> sizes, std::span<const float> ratios) {
  std::vector<float> cells;
  for (const float ratio : ratios)
    for (const float size : sizes) {
      const float h_ratio = std::sqrt(ratio), w_ratio = 1 / h_ratio;
      // nearbyint rounds halves to even, as torch.round does.
      const float half_w = std::nearbyint(w_ratio * size / 2), half_h = std::nearbyint(h_ratio * size / 2);
      cells.insert(cells.end(), {-half_w, -half_h, half_w, half_h});
    }
  return cells;
}

std::vector<float> caffe2015_cell_anchors(std::span<const float> sizes, std::span<const float> ratios) {
  constexpr double kBase = 16, kCentre = (kBase - 1) / 2;  // side and centre of the box that is enlarged
  std::vector<float> cells;
  for (const float ratio : ratios) {
    // In double, as numpy works it out.
    const double h_over_w = static_cast<double>(ratio);
    const double w = std::nearbyint(std::sqrt(kBase * kBase / h_over_w)), h = std::nearbyint(w * h_over_w);
    for (const float size : sizes) {
      const double scale = static_cast<double>(size) / kBase;
      // From the centre of the first pixel to that of the last: one less than the width.
      const double half_w = (w * scale - 1) / 2, half_h = (h * scale - 1) / 2;
      for (const double corner : {kCentre - half_w, kCentre - half_h, kCentre + half_w, kCentre + half_h})
        cells.push_back(static_cast<float>(corner));
    }
  }
  return cells;
}

void anchors_reference(const Stream&, Workspace&, const AnchorsArgs& a) {
  const float* cells = a.cells;
  float* out = a.anchors;
  for (int l = 0; l < a.levels; ++l) {
    const int64_t count = a.cell_anchors[l], w = a.w[l];
    parallel_for(a.h[l], 16, [&](int64_t begin, int64_t end) {
      for (int64_t y = begin; y < end; ++y)
        for (int64_t x = 0; x < w; ++x)
          for (int64_t i = 0; i < count; ++i)
            store_box(out + ((y * w + x) * count + i) * 4,
                      anchor_at(load_box(cells + i * 4), y, x, a.stride_y[l], a.stride_x[l]));
    });
    cells += count * 4;
    out += a.h[l] * w * count * 4;
  }
}

}  // namespace rcnn::kernels
