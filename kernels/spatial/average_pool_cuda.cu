#include "kernels/lanes.h"
#include "kernels/spatial/average_pool.h"

namespace rcnn::kernels {
namespace {

// One thread per kWidth neighbouring channels of an image in forward, of a pixel of dx in backward, so that
// neighbouring threads read neighbouring addresses. Bottleneck: memory.

struct AveragePool {
  AveragePoolArgs<float> a;

  template <int kWidth>
  __device__ void run(unsigned index) const {
    const int64_t place = int64_t{index} * kWidth, n = place / a.c, c = place % a.c;
    const float share = 1.0f / static_cast<float>(a.p);
    Lanes<kWidth> sum{};
    for (int64_t i = 0; i < a.p; ++i) {
      const Lanes<kWidth> x = load_lanes<kWidth>(a.x + (n * a.p + i) * a.c + c);
      RCNN_UNROLL
      for (int k = 0; k < kWidth; ++k) sum.v[k] += x.v[k];
    }
    RCNN_UNROLL
    for (int k = 0; k < kWidth; ++k) sum.v[k] *= share;
    store_lanes(a.y + place, sum);
  }
};

struct AveragePoolBackward {
  AveragePoolBackwardArgs<float> a;

  template <int kWidth>
  __device__ void run(unsigned index) const {
    const int64_t place = int64_t{index} * kWidth, n = place / a.c / a.p, c = place % a.c;
    const float share = 1.0f / static_cast<float>(a.p);
    const Lanes<kWidth> dy = load_lanes<kWidth>(a.dy + n * a.c + c);
    Lanes<kWidth> dx;
    RCNN_UNROLL
    for (int k = 0; k < kWidth; ++k) dx.v[k] = share * dy.v[k];
    put_lanes(a.dx + place, dx, a.accumulate);
  }
};

}  // namespace

void average_pool_thread_per_four_channels(const Stream& stream, Workspace&,
                                           const AveragePoolArgs<float>& a) {
  launch_lanes(stream, a.n * a.c, a.c, {a.x, a.y}, AveragePool{a});
}

void average_pool_backward_thread_per_four_channels(const Stream& stream, Workspace&,
                                                    const AveragePoolBackwardArgs<float>& a) {
  launch_lanes(stream, a.n * a.p * a.c, a.c, {a.dy, a.dx}, AveragePoolBackward{a});
}

}  // namespace rcnn::kernels
