// Convolution with one thread per output. Each thread computes its sum alone, in a register; nothing is
// shared, so the three passes read like their formulas.
//
// Bottleneck: the loads, two for each multiply-add. Neighbouring threads read the same or neighbouring
// addresses, and only the caches save traffic.
#include "kernels/gemm/conv2d_gemm.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256;

/// y[n, i, j, k]: thread = ((n OH + i) OW + j) K + k.
__global__ void forward_kernel(ConvDims p, const float* x, const float* w, GemmOutput output) {
  const int thread = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  const int row = thread / p.k, k = thread % p.k;
  const int n = row / (p.oh * p.ow), i = row / p.ow % p.oh, j = row % p.ow;
  if (n >= p.n) return;

  float sum = 0;
  for (int r = 0; r < p.r; ++r) {
    const int iy = i * p.stride + r * p.dilation - p.pad;
    if (iy < 0 || iy >= p.h) continue;
    for (int s = 0; s < p.s; ++s) {
      const int ix = j * p.stride + s * p.dilation - p.pad;
      if (ix < 0 || ix >= p.w) continue;
      const float* input = x + ((n * p.h + iy) * p.w + ix) * p.c;
      const float* filter = w + ((k * p.r + r) * p.s + s) * p.c;
      for (int channel = 0; channel < p.c; ++channel) sum = fmaf(input[channel], filter[channel], sum);
    }
  }
  write<1>(output, row, k, {sum});
}

/// dx[n, y, x, c]: thread = ((n H + y) W + x) C + c. It gathers from the outputs that read this pixel: those
/// whose row i and filter row r satisfy i stride + r dilation - pad = y, and likewise for the columns.
__global__ void dx_kernel(ConvDims p, const float* g, const float* w, GemmOutput output) {
  const int thread = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  const int row = thread / p.c, c = thread % p.c;
  const int n = row / (p.h * p.w), y = row / p.w % p.h, x = row % p.w;
  if (n >= p.n) return;

  const int filter_size = p.r * p.s * p.c;
  float sum = 0;
  for (int r = 0; r < p.r; ++r) {
    const int i = y + p.pad - r * p.dilation;  // = output row * stride
    if (i < 0 || i % p.stride != 0 || i / p.stride >= p.oh) continue;
    for (int s = 0; s < p.s; ++s) {
      const int j = x + p.pad - s * p.dilation;
      if (j < 0 || j % p.stride != 0 || j / p.stride >= p.ow) continue;
      const float* gradient = g + ((n * p.oh + i / p.stride) * p.ow + j / p.stride) * p.k;
      const float* filter = w + (r * p.s + s) * p.c + c;
      for (int k = 0; k < p.k; ++k) sum = fmaf(gradient[k], filter[k * filter_size], sum);
    }
  }
  write<1>(output, row, c, {sum});
}

/// dw[k, r, s, c]: thread = ((k R + r) S + s) C + c. It gathers from all output positions. The threads are
/// few and their sums long, so a GPU stays mostly idle.
__global__ void dw_kernel(ConvDims p, const float* x, const float* g, GemmOutput output) {
  const int thread = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  const int k = thread / output.columns, column = thread % output.columns;
  const int tap = column / p.c, c = column % p.c;
  const int r = tap / p.s, s = tap % p.s;
  if (k >= p.k) return;

  float sum = 0;
  for (int n = 0; n < p.n; ++n)
    for (int i = 0; i < p.oh; ++i) {
      const int iy = i * p.stride + r * p.dilation - p.pad;
      if (iy < 0 || iy >= p.h) continue;
      for (int j = 0; j < p.ow; ++j) {
        const int ix = j * p.stride + s * p.dilation - p.pad;
        if (ix < 0 || ix >= p.w) continue;
        sum = fmaf(g[((n * p.oh + i) * p.ow + j) * p.k + k], x[((n * p.h + iy) * p.w + ix) * p.c + c], sum);
      }
    }
  write<1>(output, k, column, {sum});
}

}  // namespace

void conv2d_direct(const Stream& stream, Workspace&, const Conv2dArgs<float>& a) {
  const ConvDims p = conv_dims(a.shape);
  launch<forward_kernel>(stream, blocks_for(p.n * p.oh * p.ow * p.k, kThreads), kThreads, 0, p, a.x, a.w,
                         output_of(p, a));
}

void conv2d_dx_direct(const Stream& stream, Workspace&, const Conv2dDxArgs<float>& a) {
  const ConvDims p = conv_dims(a.shape);
  launch<dx_kernel>(stream, blocks_for(p.n * p.h * p.w * p.c, kThreads), kThreads, 0, p, a.g, a.w,
                    output_of(p, a));
}

void conv2d_dw_direct(const Stream& stream, Workspace&, const Conv2dDwArgs<float>& a) {
  const ConvDims p = conv_dims(a.shape);
  launch<dw_kernel>(stream, blocks_for(p.k * p.r * p.s * p.c, kThreads), kThreads, 0, p, a.x, a.g,
                    output_of(p, a));
}

}  // namespace rcnn::kernels
