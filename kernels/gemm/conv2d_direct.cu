// Convolution, one thread an output. Each thread walks over its sum alone and keeps it in a register; nothing
// is shared, so that the three passes can be read off their formulas.
//
// Bottleneck: the loads. Every term costs two of them for one multiply-add; neighbouring threads read the
// same or neighbouring addresses, and the caches are all that saves the rest.
#include "kernels/gemm/conv2d_gemm.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256;

/// y[n, i, j, k]: thread = ((n OH + i) OW + j) K + k.
__global__ void forward_kernel(Conv2dShape p, int oh, int ow, const float* x, const float* w,
                               GemmOutput output) {
  const int h = static_cast<int>(p.h), width = static_cast<int>(p.w), c = static_cast<int>(p.c);
  const int filters = static_cast<int>(p.k), stride = static_cast<int>(p.stride);
  const int dilation = static_cast<int>(p.dilation), pad = static_cast<int>(p.pad);
  const int thread = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  const int row = thread / filters, k = thread % filters;
  const int n = row / (oh * ow), i = row / ow % oh, j = row % ow;
  if (n >= p.n) return;

  float sum = 0;
  for (int r = 0; r < p.r; ++r) {
    const int iy = i * stride + r * dilation - pad;
    if (iy < 0 || iy >= h) continue;
    for (int s = 0; s < p.s; ++s) {
      const int ix = j * stride + s * dilation - pad;
      if (ix < 0 || ix >= width) continue;
      const float* input = x + ((n * h + iy) * width + ix) * c;
      const float* filter = w + ((k * static_cast<int>(p.r) + r) * static_cast<int>(p.s) + s) * c;
      for (int channel = 0; channel < c; ++channel) sum = fmaf(input[channel], filter[channel], sum);
    }
  }
  write<1>(output, row, k, {sum});
}

/// dx[n, y, x, c]: thread = ((n H + y) W + x) C + c. It gathers from the outputs that read this pixel: those
/// whose row i and filter row r have i stride + r dilation - pad = y.
__global__ void dx_kernel(Conv2dShape p, int oh, int ow, const float* g, const float* w, GemmOutput output) {
  const int h = static_cast<int>(p.h), width = static_cast<int>(p.w), channels = static_cast<int>(p.c);
  const int filters = static_cast<int>(p.k), stride = static_cast<int>(p.stride);
  const int dilation = static_cast<int>(p.dilation), pad = static_cast<int>(p.pad);
  const int thread = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  const int row = thread / channels, c = thread % channels;
  const int n = row / (h * width), y = row / width % h, x = row % width;
  if (n >= p.n) return;

  const int filter_size = static_cast<int>(p.r * p.s) * channels;
  float sum = 0;
  for (int r = 0; r < p.r; ++r) {
    const int i = y + pad - r * dilation;  // = output row * stride
    if (i < 0 || i % stride != 0 || i / stride >= oh) continue;
    for (int s = 0; s < p.s; ++s) {
      const int j = x + pad - s * dilation;
      if (j < 0 || j % stride != 0 || j / stride >= ow) continue;
      const float* gradient = g + ((n * oh + i / stride) * ow + j / stride) * filters;
      const float* filter = w + (r * static_cast<int>(p.s) + s) * channels + c;
      for (int k = 0; k < filters; ++k) sum = fmaf(gradient[k], filter[k * filter_size], sum);
    }
  }
  write<1>(output, row, c, {sum});
}

/// dw[k, r, s, c]: thread = ((k R + r) S + s) C + c. It gathers from all output positions; few threads with
/// long sums, so a GPU stays mostly idle.
__global__ void dw_kernel(Conv2dShape p, int oh, int ow, const float* x, const float* g, GemmOutput output) {
  const int h = static_cast<int>(p.h), width = static_cast<int>(p.w), channels = static_cast<int>(p.c);
  const int filters = static_cast<int>(p.k), stride = static_cast<int>(p.stride);
  const int dilation = static_cast<int>(p.dilation), pad = static_cast<int>(p.pad);
  const int thread = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  const int k = thread / output.columns, column = thread % output.columns;
  const int tap = column / channels, c = column % channels;
  const int r = tap / static_cast<int>(p.s), s = tap % static_cast<int>(p.s);
  if (k >= filters) return;

  float sum = 0;
  for (int n = 0; n < p.n; ++n)
    for (int i = 0; i < oh; ++i) {
      const int iy = i * stride + r * dilation - pad;
      if (iy < 0 || iy >= h) continue;
      for (int j = 0; j < ow; ++j) {
        const int ix = j * stride + s * dilation - pad;
        if (ix < 0 || ix >= width) continue;
        sum = fmaf(g[((n * oh + i) * ow + j) * filters + k], x[((n * h + iy) * width + ix) * channels + c],
                   sum);
      }
    }
  write<1>(output, k, column, {sum});
}

}  // namespace

void conv2d_direct(const Stream& stream, Workspace&, const Conv2dArgs<float>& a) {
  check_conv2d_sizes(a.shape);
  const int oh = static_cast<int>(a.shape.oh()), ow = static_cast<int>(a.shape.ow());
  launch<forward_kernel>(stream, blocks_for(a.shape.n * oh * ow * a.shape.k, kThreads), kThreads, 0, a.shape,
                         oh, ow, a.x, a.w, output_of(a));
}

void conv2d_dx_direct(const Stream& stream, Workspace&, const Conv2dDxArgs<float>& a) {
  check_conv2d_sizes(a.shape);
  const int oh = static_cast<int>(a.shape.oh()), ow = static_cast<int>(a.shape.ow());
  launch<dx_kernel>(stream, blocks_for(a.shape.n * a.shape.h * a.shape.w * a.shape.c, kThreads), kThreads, 0,
                    a.shape, oh, ow, a.g, a.w, output_of(a));
}

void conv2d_dw_direct(const Stream& stream, Workspace&, const Conv2dDwArgs<float>& a) {
  check_conv2d_sizes(a.shape);
  const int oh = static_cast<int>(a.shape.oh()), ow = static_cast<int>(a.shape.ow());
  launch<dw_kernel>(stream, blocks_for(a.shape.k * a.shape.r * a.shape.s * a.shape.c, kThreads), kThreads, 0,
                    a.shape, oh, ow, a.x, a.g, output_of(a));
}

}  // namespace rcnn::kernels
