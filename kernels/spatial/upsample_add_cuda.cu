#include "kernels/spatial/upsample_add.h"

#include "kernels/lanes.h"
#include "kernels/spatial/upsample_add_math.h"

namespace rcnn::kernels {
namespace {

// A thread takes kWidth neighbouring channels of one pixel, so that its loads and stores have 4 * kWidth
// bytes and that alignment. Bottleneck: memory; pixels that share a pixel of `top` read it from a cache.

struct UpsampleAdd {
  UpsampleAddArgs<float> a;

  template <int kWidth>
  __device__ void run(unsigned index) const {
    const int h = static_cast<int>(a.h), w = static_cast<int>(a.w);
    const int th = static_cast<int>(a.th), tw = static_cast<int>(a.tw);
    const Pixel at = pixel_of<kWidth>(index, h, w, a.c);
    const int64_t top =
        (int64_t{at.n} * th + upsample_source(at.i, h, th)) * tw + upsample_source(at.j, w, tw);
    const Lanes<kWidth> added = load_lanes<kWidth>(a.top + top * a.c + at.c);
    const int64_t place = int64_t{index} * kWidth;
    Lanes<kWidth> y = load_lanes<kWidth>(a.lateral + place);
    RCNN_UNROLL
    for (int k = 0; k < kWidth; ++k) y.v[k] += added.v[k];
    store_lanes(a.y + place, y);
  }
};

/// One thread per kWidth channels of a pixel of dtop: it sums dy over the pixels that read it, row by row.
struct UpsampleAddBackward {
  UpsampleAddBackwardArgs<float> a;

  template <int kWidth>
  __device__ void run(unsigned index) const {
    const int h = static_cast<int>(a.h), w = static_cast<int>(a.w);
    const int th = static_cast<int>(a.th), tw = static_cast<int>(a.tw);
    const Pixel at = pixel_of<kWidth>(index, th, tw, a.c);
    float* dtop = a.dtop + int64_t{index} * kWidth;
    Lanes<kWidth> sum{};
    if (a.accumulate == Accumulate::yes) sum = load_lanes<kWidth>(dtop);
    const int bottom = upsample_first(at.i + 1, h, th), right = upsample_first(at.j + 1, w, tw);
    for (int i = upsample_first(at.i, h, th); i < bottom; ++i)
      for (int j = upsample_first(at.j, w, tw); j < right; ++j) {
        const Lanes<kWidth> dy = load_lanes<kWidth>(a.dy + ((int64_t{at.n} * h + i) * w + j) * a.c + at.c);
        RCNN_UNROLL
        for (int k = 0; k < kWidth; ++k) sum.v[k] += dy.v[k];
      }
    store_lanes(dtop, sum);
  }
};

}  // namespace

void upsample_add_thread_per_four_channels(const Stream& stream, Workspace&,
                                           const UpsampleAddArgs<float>& a) {
  launch_lanes(stream, a.n * a.h * a.w * a.c, a.c, {a.lateral, a.top, a.y}, UpsampleAdd{a});
}

void upsample_add_backward_thread_per_four_channels(const Stream& stream, Workspace&,
                                                    const UpsampleAddBackwardArgs<float>& a) {
  launch_lanes(stream, a.n * a.th * a.tw * a.c, a.c, {a.dy, a.dtop}, UpsampleAddBackward{a});
}

}  // namespace rcnn::kernels
