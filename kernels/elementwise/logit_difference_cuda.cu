#include "kernels/elementwise/logit_difference.h"
#include "kernels/lanes.h"

namespace rcnn::kernels {
namespace {

// Each thread processes kWidth neighbouring anchors of one row. Bottleneck: memory.

/// The offset in (rows, 2 A) of the first background score of thread `index`. The object scores are A
/// elements further on.
template <int kWidth>
__device__ int64_t background_at(unsigned index, int64_t anchors) {
  const unsigned lanes = static_cast<unsigned>(anchors / kWidth), row = index / lanes;
  return row * 2 * anchors + int64_t{index % lanes} * kWidth;
}

struct LogitDifference {
  LogitDifferenceArgs<float> a;

  template <int kWidth>
  __device__ void run(unsigned index) const {
    const float* x = a.x + background_at<kWidth>(index, a.a);
    const Lanes<kWidth> background = load_lanes<kWidth>(x);
    Lanes<kWidth> y = load_lanes<kWidth>(x + a.a);
    RCNN_UNROLL
    for (int k = 0; k < kWidth; ++k) y.v[k] -= background.v[k];
    store_lanes(a.y + int64_t{index} * kWidth, y);
  }
};

struct LogitDifferenceBackward {
  LogitDifferenceBackwardArgs<float> a;

  template <int kWidth>
  __device__ void run(unsigned index) const {
    float* dx = a.dx + background_at<kWidth>(index, a.a);
    const Lanes<kWidth> dy = load_lanes<kWidth>(a.dy + int64_t{index} * kWidth);
    Lanes<kWidth> minus_dy;
    RCNN_UNROLL
    for (int k = 0; k < kWidth; ++k) minus_dy.v[k] = -dy.v[k];
    put_lanes(dx, minus_dy, a.accumulate);
    put_lanes(dx + a.a, dy, a.accumulate);
  }
};

}  // namespace

void logit_difference_thread_per_four_anchors(const Stream& stream, Workspace&,
                                              const LogitDifferenceArgs<float>& a) {
  launch_lanes(stream, a.rows * a.a, a.a, {a.x, a.y}, LogitDifference{a});
}

void logit_difference_backward_thread_per_four_anchors(const Stream& stream, Workspace&,
                                                       const LogitDifferenceBackwardArgs<float>& a) {
  launch_lanes(stream, a.rows * a.a, a.a, {a.dy, a.dx}, LogitDifferenceBackward{a});
}

}  // namespace rcnn::kernels
