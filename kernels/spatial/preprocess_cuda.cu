#include "core/cuda/cuda.h"
#include "kernels/spatial/preprocess.h"
#include "kernels/spatial/preprocess_math.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256;

/// A thread a pixel of row blockIdx.y of the batch, all three channels. Bottleneck: memory.
__global__ void preprocess_kernel(PreprocessArgs a, Channels channels) {
  const int64_t row = blockIdx.y, j = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (j >= a.width) return;
  for (int64_t n = blockIdx.z; n < a.n; n += gridDim.z) {
    const PreprocessImage image = a.images[n];
    float* y = a.y + ((n * a.height + row) * a.width + j) * 3;
    if (row < image.rh && j < image.rw) {
      const SourcePair rows = source_pair(row, image.h, image.rh),
                       columns = source_pair(j, image.w, image.rw);
      for (int k = 0; k < 3; ++k) y[k] = resized_value(image, rows, columns, channels, k);
    } else {
      for (int k = 0; k < 3; ++k) y[k] = 0;
    }
  }
}

}  // namespace

void preprocess_thread_per_pixel(const Stream& stream, Workspace&, const PreprocessArgs& a) {
  constexpr int64_t kMostImages = 65535;
  const dim3 grid(blocks_for(a.width, kThreads), static_cast<unsigned>(a.height),
                  static_cast<unsigned>(a.n < kMostImages ? a.n : kMostImages));
  launch<preprocess_kernel>(stream, grid, kThreads, 0, a, channels_of(a));
}

}  // namespace rcnn::kernels
