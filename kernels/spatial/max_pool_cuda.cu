#include "kernels/spatial/max_pool.h"

#include "kernels/lanes.h"
#include "kernels/spatial/max_pool_math.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256;

// A thread takes kWidth neighbouring channels of one pixel, so that its loads and stores have 4 * kWidth
// bytes and that alignment. Bottleneck: memory; if windows overlap, neighbouring threads read the same pixels
// from a cache.

/// The maxima of a window and their pixels, row * W + column.
template <int kWidth>
struct Maxima {
  Lanes<kWidth> best;
  Lanes<kWidth, int> pixel;
};

/// Searches the window of output `at`, row by row.
template <int kWidth, class Args>
__device__ Maxima<kWidth> find_maxima(const Args& a, const Pixel& at) {
  const PoolWindow rows = pool_window(at.i, a.h, a.kernel, a.stride, a.pad);
  const PoolWindow columns = pool_window(at.j, a.w, a.kernel, a.stride, a.pad);
  const int w = static_cast<int>(a.w), first = rows.begin * w + columns.begin;
  const float* image = a.x + at.n * a.h * a.w * a.c + at.c;
  Maxima<kWidth> maxima{load_lanes<kWidth>(image + first * a.c), {}};
  RCNN_UNROLL
  for (int k = 0; k < kWidth; ++k) maxima.pixel.v[k] = first;
  for (int i = rows.begin; i < rows.end; ++i)
    for (int j = columns.begin; j < columns.end; ++j) {
      const int pixel = i * w + j;
      const Lanes<kWidth> x = load_lanes<kWidth>(image + pixel * a.c);
      RCNN_UNROLL
      for (int k = 0; k < kWidth; ++k) {
        const bool larger = exceeds(x.v[k], maxima.best.v[k]);
        maxima.best.v[k] = larger ? x.v[k] : maxima.best.v[k];
        maxima.pixel.v[k] = larger ? pixel : maxima.pixel.v[k];
      }
    }
  return maxima;
}

/// One thread per kWidth channels of a pixel of y.
template <int kWidth>
__global__ void max_pool_kernel(MaxPoolArgs<float> a, unsigned count) {
  const unsigned index = blockIdx.x * kThreads + threadIdx.x;
  if (index >= count) return;
  const Maxima<kWidth> maxima = find_maxima<kWidth>(a, pixel_of<kWidth>(index, a.oh, a.ow, a.c));
  store_lanes(a.y + int64_t{index} * kWidth, maxima.best);
}

/// Stores the pixel that each value of dy goes to. One thread per kWidth channels of a pixel of dy.
template <int kWidth>
__global__ void places_kernel(MaxPoolBackwardArgs<float> a, int* places, unsigned count) {
  const unsigned index = blockIdx.x * kThreads + threadIdx.x;
  if (index >= count) return;
  const Maxima<kWidth> maxima = find_maxima<kWidth>(a, pixel_of<kWidth>(index, a.oh, a.ow, a.c));
  store_lanes(places + int64_t{index} * kWidth, maxima.pixel);
}

/// The windows [begin, end) that contain `pixel`, on an axis with `windows` of them.
__device__ PoolWindow windows_over(int pixel, int64_t windows, int kernel, int stride, int pad) {
  const int place = pixel + pad, end = place / stride + 1;
  return {place < kernel ? 0 : (place - kernel) / stride + 1,
          end < windows ? end : static_cast<int>(windows)};
}

/// One thread per kWidth channels of a pixel of dx: it visits the windows that contain the pixel, row by
/// row, and adds up dy of those that chose it.
template <int kWidth>
__global__ void gather_kernel(MaxPoolBackwardArgs<float> a, const int* places, unsigned count) {
  const unsigned index = blockIdx.x * kThreads + threadIdx.x;
  if (index >= count) return;
  const Pixel at = pixel_of<kWidth>(index, a.h, a.w, a.c);
  const PoolWindow rows = windows_over(at.i, a.oh, a.kernel, a.stride, a.pad);
  const PoolWindow columns = windows_over(at.j, a.ow, a.kernel, a.stride, a.pad);
  const int pixel = at.i * static_cast<int>(a.w) + at.j;
  float* dx = a.dx + int64_t{index} * kWidth;
  Lanes<kWidth> sum{};
  if (a.accumulate == Accumulate::yes) sum = load_lanes<kWidth>(dx);
  for (int i = rows.begin; i < rows.end; ++i)
    for (int j = columns.begin; j < columns.end; ++j) {
      const int64_t output = ((at.n * a.oh + i) * a.ow + j) * a.c + at.c;
      const Lanes<kWidth, int> chosen = load_lanes<kWidth>(places + output);
      const Lanes<kWidth> dy = load_lanes<kWidth>(a.dy + output);
      RCNN_UNROLL
      for (int k = 0; k < kWidth; ++k)
        if (chosen.v[k] == pixel) sum.v[k] += dy.v[k];
    }
  store_lanes(dx, sum);
}

}  // namespace

void max_pool_thread_per_four_channels(const Stream& stream, Workspace&, const MaxPoolArgs<float>& a) {
  const bool four = four_at_a_time(a.c, {a.x, a.y});
  const unsigned count = lane_groups(a.n * a.oh * a.ow * a.c, four);
  if (four)
    launch<max_pool_kernel<4>>(stream, blocks_for(count, kThreads), kThreads, 0, a, count);
  else
    launch<max_pool_kernel<1>>(stream, blocks_for(count, kThreads), kThreads, 0, a, count);
}

/// The first kernel stores the pixel that each window chose, the second gathers. Each window is thus
/// searched once, and the sums have the reference's order.
void max_pool_backward_places_then_gather(const Stream& stream, Workspace& workspace,
                                          const MaxPoolBackwardArgs<float>& a) {
  const bool four = four_at_a_time(a.c, {a.x, a.dy, a.dx});
  const int64_t outputs = a.n * a.oh * a.ow * a.c;
  int* places = workspace.take<int>(outputs);
  const unsigned windows = lane_groups(outputs, four), pixels = lane_groups(a.n * a.h * a.w * a.c, four);
  if (four) {
    launch<places_kernel<4>>(stream, blocks_for(windows, kThreads), kThreads, 0, a, places, windows);
    launch<gather_kernel<4>>(stream, blocks_for(pixels, kThreads), kThreads, 0, a, places, pixels);
  } else {
    launch<places_kernel<1>>(stream, blocks_for(windows, kThreads), kThreads, 0, a, places, windows);
    launch<gather_kernel<1>>(stream, blocks_for(pixels, kThreads), kThreads, 0, a, places, pixels);
  }
}

}  // namespace rcnn::kernels
