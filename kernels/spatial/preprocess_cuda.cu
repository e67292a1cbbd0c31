#include "core/cuda/cuda.h"
#include "kernels/spatial/preprocess.h"
#include "kernels/spatial/preprocess_math.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256;

/// One thread per pixel and its three channels: blockIdx.y is the row, and blockIdx.z strides over the
/// images. Bottleneck: memory.
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
  constexpr int64_t kMaxImages = 65535;  // of gridDim.z
  const dim3 grid(blocks_for(a.width, kThreads), static_cast<unsigned>(a.height),
                  static_cast<unsigned>(a.n < kMaxImages ? a.n : kMaxImages));
  launch<preprocess_kernel>(stream, grid, kThreads, 0, a, channels_of(a));
}

}  // namespace rcnn::kernels
