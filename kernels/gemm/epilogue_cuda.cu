#include <algorithm>

#include "kernels/gemm/epilogue.h"
#include "kernels/gemm/mma_pack.h"
#include "kernels/relu_math.h"
#include "kernels/vectors.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMaxChunks = 512;  // a constant, so that every card adds dbias in the same order

/// One block per chunk of rows (blockIdx.y) and blockDim.x vectors of V channels (blockIdx.x); its blockDim.y
/// rows of threads take the rows of the chunk in turn. Each thread sums the g of its rows in registers.
/// Thread row 0 then adds the sums of all thread rows in order, through shared memory, and writes them to
/// shares (chunks, C).
///
/// Shared memory: 4 KiB for V = 4. Bottleneck: memory, one pass over y, dy and the results.
template <int V>
__global__ void backward_kernel(EpilogueBackwardArgs<float> a, int64_t rows_per_chunk, bf16* packed_dz,
                                float* shares) {
  RCNN_SHARED(float, thread_sums, [kThreads][V]);
  const int64_t c = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * V;
  const int64_t first = blockIdx.y * rows_per_chunk;
  const int64_t last = first + rows_per_chunk < a.rows ? first + rows_per_chunk : a.rows;
  const int thread = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);

  float sums[V] = {};
  if (c < a.c) {
    float scale[V];
    RCNN_UNROLL
    for (int i = 0; i < V; ++i) scale[i] = 1;
    if (a.scale) read_values<V>(a.scale + c, scale);
    for (int64_t row = first + threadIdx.y; row < last; row += blockDim.y) {
      const int64_t at = row * a.c + c;
      float g[V], dz[V], dresidual[V] = {};
      read_values<V>(a.dy + at, g);
      if (a.y) {
        float y[V];
        read_values<V>(a.y + at, y);
        RCNN_UNROLL
        for (int i = 0; i < V; ++i) g[i] = relu_gradient(y[i], g[i]);
      }
      if (a.dresidual && a.accumulate_residual == Accumulate::yes)
        read_values<V>(a.dresidual + at, dresidual);
      RCNN_UNROLL
      for (int i = 0; i < V; ++i) {
        dz[i] = scale[i] * g[i];
        put(dresidual[i], g[i], a.accumulate_residual);
        sums[i] += g[i];
      }
      if (a.dz) write_values<V>(a.dz + at, dz);
      if (packed_dz) write_rounded<V>(packed_dz + at, dz);
      if (a.dresidual) write_values<V>(a.dresidual + at, dresidual);
    }
  }
  if (!shares) return;  // in all threads alike
  write_values<V>(thread_sums[thread], sums);
  __syncthreads();
  if (threadIdx.y != 0 || c >= a.c) return;
  for (unsigned row = 1; row < blockDim.y; ++row) {
    RCNN_UNROLL
    for (int i = 0; i < V; ++i) sums[i] += thread_sums[row * blockDim.x + threadIdx.x][i];
  }
  write_values<V>(shares + blockIdx.y * a.c + c, sums);
}

constexpr int kColumns = 32, kLines = kThreads / kColumns;

/// dbias: adds the shares of the chunks in a fixed order. One block per 32 channels; each of its 8 rows of
/// threads adds every eighth chunk, and thread row 0 adds the eight sums.
__global__ void dbias_kernel(EpilogueBackwardArgs<float> a, const float* shares, int chunks) {
  RCNN_SHARED(float, thread_sums, [kLines][kColumns]);
  const int64_t c = static_cast<int64_t>(blockIdx.x) * kColumns + threadIdx.x;
  float sum = 0;
  if (c < a.c)
    for (int chunk = static_cast<int>(threadIdx.y); chunk < chunks; chunk += kLines)
      sum += shares[chunk * a.c + c];
  thread_sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || c >= a.c) return;
  for (int line = 1; line < kLines; ++line) sum += thread_sums[line][threadIdx.x];
  put(a.dbias[c], sum, a.accumulate_bias);
}

}  // namespace

void epilogue_backward_block_per_chunk(const Stream& stream, Workspace& workspace,
                                       const EpilogueBackwardArgs<float>& args) {
  if (args.c == 0) return;
  bf16* packed_dz = mma::packed_result(stream, args.dz, args.rows, args.c, args.packed_dz);
  EpilogueBackwardArgs<float> a = args;
  a.packed_dz = nullptr;  // an address of the host's, which kernels must not get
  const bool vectors = four_at_a_time(a.c, {a.y, a.dy, a.scale, a.dz, a.dresidual});
  const int64_t across = vectors ? a.c / 4 : a.c;
  unsigned width = 1;  // threads along the channels, a power of two
  while (width < across && width < kThreads) width *= 2;
  const dim3 block(width, kThreads / width);
  // At least 4 rows per thread, if there are enough rows.
  const int64_t rows_per_chunk = std::max<int64_t>(4 * block.y, (a.rows + kMaxChunks - 1) / kMaxChunks);
  const dim3 grid(blocks_for(across, width), blocks_for(a.rows, rows_per_chunk));
  float* shares = a.dbias ? workspace.take<float>(grid.y * a.c) : nullptr;
  if (vectors)
    launch<backward_kernel<4>>(stream, grid, block, 0, a, rows_per_chunk, packed_dz, shares);
  else
    launch<backward_kernel<1>>(stream, grid, block, 0, a, rows_per_chunk, packed_dz, shares);
  if (a.dbias)
    launch<dbias_kernel>(stream, blocks_for(a.c, kColumns), dim3(kColumns, kLines), 0, a, shares,
                         static_cast<int>(grid.y));
}

}  // namespace rcnn::kernels
