// Convolution and its gradient dx on tensor cores, in TF32 or bf16: the matrix of patches
// (kernels/gemm/conv2d_gemm.h) times the filters, tile by tile (kernels/gemm/mma_tile.h).
//
// Both operands lie along k: the channels of a patch and of a filter are neighbours in memory, so every copy
// is a vector of 16 bytes of one tap. Channels that do not fill vectors are padded with zeros in a packed
// copy; for dx the filters are transposed to (C, R, S, K). The bf16 variant packs both operands; the TF32
// variant reads an operand in place if it needs neither padding nor transposing and is aligned.
#include <algorithm>

#include "kernels/gemm/conv2d_gemm.h"
#include "kernels/gemm/mma_tile.h"

namespace rcnn::kernels {
namespace mma {
namespace {

template <class Stored>
struct ConvGemm {
  ConvDims dims;  // with the channels of `image` as packed
  bool dx;
  const Stored* image;    // x (N, H, W, C), or g (N, OH, OW, K)
  const Stored* filters;  // (columns, R, S, channels)
  GemmOutput output;
  GemmParts parts;
  int column_tiles;

  __device__ Patches patches(int phase) const { return dx ? patches_of_g(dims, phase) : patches_of_x(dims); }
};

/// A position of the tile: the patch that it reads, and the row of the output that it is written to, or -1.
struct alignas(16) Position {
  PatchRow patch;
  int output_row;
};

/// Copies the chunks of a tile. A thread always copies the same vector of a line, so it steps through taps
/// and channels without dividing.
template <class Stored, class T>
struct ConvCopy {
  using ChunkA = Chunk<Stored, Order::along_k, T::kM>;
  using ChunkB = Chunk<Stored, Order::along_k, T::kN>;
  static constexpr int kEach = kThreads / ChunkA::kVectors;  // lines at a time

  const ConvGemm<Stored>& gemm;
  const Patches& patches;
  const Position* positions;  // (T::kM), in shared memory
  int column;                 // first of the tile
  int tap_i, tap_j, channel;  // of this thread's next vector

  __device__ void start(int chunk) {
    const int at = chunk * kDepth<Stored> + vector() * kVector<Stored>;
    const int taps_w = std::max(patches.taps_w, 1), tap = at / patches.channels;
    channel = at - tap * patches.channels;
    tap_i = tap / taps_w;
    tap_j = tap - tap_i * taps_w;
  }

  __device__ void prepare(int) {}

  __device__ void copy(int, Stored* a, Stored* b) {
    const int v = vector(), first = static_cast<int>(threadIdx.x) / ChunkA::kVectors;
    const bool some = tap_i < patches.taps_h;
    const int y = tap_i * patches.tap_step, x = tap_j * patches.tap_step;
    const PatchTap tap{y, x, (y * patches.w + x) * patches.channels + channel};
    RCNN_UNROLL
    for (int i = 0; i < T::kM / kEach; ++i) {
      const PatchRow row = positions[first + i * kEach].patch;
      const bool valid = some && patches.inside(row, tap);
      cuda::cp_async_16(ChunkA::at(a, first + i * kEach, v),
                        gemm.image + (valid ? row.offset + tap.offset : 0), valid);
    }
    const int r = patches.r0 + tap_i * patches.filter_step, s = patches.s0 + tap_j * patches.filter_step;
    const int taps = patches.filter_r * patches.filter_s;
    const int filter = (r * patches.filter_s + s) * patches.channels + channel;
    RCNN_UNROLL
    for (int i = 0; i < T::kN / kEach; ++i) {
      const int n = column + first + i * kEach;
      const bool valid = some && n < gemm.output.columns;
      cuda::cp_async_16(ChunkB::at(b, first + i * kEach, v),
                        gemm.filters + (valid ? n * taps * patches.channels + filter : 0), valid);
    }
    for (channel += kDepth<Stored>; channel >= patches.channels; channel -= patches.channels)
      if (++tap_j == patches.taps_w) tap_j = 0, ++tap_i;
  }

  static __device__ int vector() { return static_cast<int>(threadIdx.x) % ChunkA::kVectors; }
};

// One block of 128 threads per tile (blockIdx.x, columns fastest, so that neighbours share the patches in the
// cache), phase and part of the reduction (blockIdx.z, parts fastest); kernels/gemm/mma_tile.h describes its
// threads. Shared memory: the ring of chunks, and a table of the positions of the tile. Images and filters
// are aligned to 16 bytes. Bottleneck: the tensor cores; for 1 x 1 filters, memory.
template <class Element, class T>
__global__ void __launch_bounds__(kThreads, T::kBlocks)
    conv2d_mma_kernel(ConvGemm<typename Element::Stored> gemm) {
  using Stored = typename Element::Stored;
  // Placed behind the ring, not in a static array: shared memory beyond 48 KiB must be dynamic.
  auto* const positions = reinterpret_cast<Position*>(dynamic_shared<unsigned char>() + T::kSharedBytes);
  const int part = static_cast<int>(blockIdx.z) % gemm.parts.count;
  const Patches patches = gemm.patches(static_cast<int>(blockIdx.z) / gemm.parts.count);
  const int row = static_cast<int>(blockIdx.x) / gemm.column_tiles * T::kM;
  const int column = static_cast<int>(blockIdx.x) % gemm.column_tiles * T::kN;
  if (row >= patches.rows()) return;  // the whole block: a phase with fewer rows than phase 0
  for (int i = static_cast<int>(threadIdx.x); i < T::kM; i += kThreads)
    positions[i] = {patches.row(row + i), row + i < patches.rows() ? patches.output_row(row + i) : -1};

  const int chunks = (patches.depth() + kDepth<Stored> - 1) / kDepth<Stored>;
  const StepRange range = steps_of_part(chunks, gemm.parts, part);
  ConvCopy<Stored, T> copy{gemm, patches, positions, column, 0, 0, 0};
  copy.start(range.begin);
  T tile;
  multiply<Element, Order::along_k, Order::along_k>(tile, copy, range.begin, range.end - range.begin);
  write_tile(
      tile, output_of_part(gemm.output, gemm.parts, part), column,
      [&](int i) { return positions[i].output_row; }, [](int c) { return c; });
}

/// Completes `gemm`, in which dims, dx, image, filters and output are set, and runs it. The output
/// has `rows` rows.
template <class Element>
void run(const Stream& stream, Workspace& workspace, ConvGemm<typename Element::Stored> gemm, int64_t rows,
         std::optional<Plan> plan) {
  const ConvDims& p = gemm.dims;
  const int phases = gemm.dx ? dx_phases(p) : 1;
  const Patches largest = gemm.dx ? patches_of_g(p, 0) : patches_of_x(p);
  const int depth = p.r * p.s * (gemm.dx ? p.k : p.c) / phases;
  if (!plan)
    plan = choose_plan(largest.rows(), gemm.output.columns,
                       blocks_for(depth, kDepth<typename Element::Stored>), phases);
  gemm.parts = take_parts(workspace, plan->parts, rows, gemm.output);
  with_tile(plan->tile, [&](auto tile) {
    using T = decltype(tile);
    gemm.column_tiles = static_cast<int>(blocks_for(gemm.output.columns, T::kN));
    const dim3 grid(blocks_for(largest.rows(), T::kM) * blocks_for(gemm.output.columns, T::kN), 1,
                    static_cast<unsigned>(phases * plan->parts));
    launch<conv2d_mma_kernel<Element, T>>(stream, grid, kThreads, T::kSharedBytes + T::kM * sizeof(Position),
                                          gemm);
  });
  combine_parts(stream, gemm.parts, gemm.output);
}

template <class Element>
void forward(const Stream& stream, Workspace& workspace, const Conv2dArgs<float>& a,
             std::optional<Plan> plan) {
  using Stored = typename Element::Stored;
  const Conv2dShape& s = a.shape;
  Conv2dShape packed = s;
  packed.c = padded<Stored>(s.c);
  ConvGemm<Stored> gemm{};
  gemm.dims = conv_dims(packed);
  gemm.image = packed_rows<Stored>(stream, workspace, a.x, s.n * s.h * s.w, s.c);
  gemm.filters = packed_rows<Stored>(stream, workspace, a.w, s.k * s.r * s.s, s.c, a.weights);
  gemm.output = output_of(conv_dims(s), a);
  run<Element>(stream, workspace, gemm, s.n * s.oh() * s.ow(), plan);
}

template <class Element>
void backward(const Stream& stream, Workspace& workspace, const Conv2dDxArgs<float>& a,
              std::optional<Plan> plan) {
  using Stored = typename Element::Stored;
  const Conv2dShape& s = a.shape;
  Conv2dShape packed = s;
  packed.k = padded<Stored>(s.k);
  ConvGemm<Stored> gemm{};
  gemm.dx = true;
  gemm.dims = conv_dims(packed);
  gemm.image = packed_gradient<Stored>(stream, workspace, a.g, s.n * s.oh() * s.ow(), s.k, a.gradient);
  gemm.filters = packed_transposed<Stored>(stream, workspace, a.w, s.k, s.r * s.s, s.c, a.weights);
  gemm.output = output_of(conv_dims(s), a);
  run<Element>(stream, workspace, gemm, s.n * s.h * s.w, plan);
}

}  // namespace

void conv2d_planned(const Stream& stream, Workspace& workspace, const Conv2dArgs<float>& a,
                    Precision precision, std::optional<Plan> plan) {
  (precision == Precision::bf16 ? forward<Bf16> : forward<Tf32>)(stream, workspace, a, plan);
}

void conv2d_dx_planned(const Stream& stream, Workspace& workspace, const Conv2dDxArgs<float>& a,
                       Precision precision, std::optional<Plan> plan) {
  (precision == Precision::bf16 ? backward<Bf16> : backward<Tf32>)(stream, workspace, a, plan);
}

}  // namespace mma

void conv2d_implicit_gemm_tf32(const Stream& stream, Workspace& workspace, const Conv2dArgs<float>& a) {
  mma::conv2d_planned(stream, workspace, a, Precision::tf32, {});
}
void conv2d_implicit_gemm_bf16(const Stream& stream, Workspace& workspace, const Conv2dArgs<float>& a) {
  mma::conv2d_planned(stream, workspace, a, Precision::bf16, {});
}
void conv2d_dx_implicit_gemm_tf32(const Stream& stream, Workspace& workspace, const Conv2dDxArgs<float>& a) {
  mma::conv2d_dx_planned(stream, workspace, a, Precision::tf32, {});
}
void conv2d_dx_implicit_gemm_bf16(const Stream& stream, Workspace& workspace, const Conv2dDxArgs<float>& a) {
  mma::conv2d_dx_planned(stream, workspace, a, Precision::bf16, {});
}

}  // namespace rcnn::kernels
