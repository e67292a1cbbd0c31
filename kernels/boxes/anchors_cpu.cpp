#include "core/parallel.h"
#include "kernels/boxes/anchors.h"
#include "kernels/boxes/box_math.h"

namespace rcnn::kernels {

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
