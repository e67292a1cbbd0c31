// Convolution and its gradient dx on tensor cores, in TF32 or bf16: the matrix of patches
// (kernels/gemm/conv2d_gemm.h) times the filters, tile by tile (kernels/gemm/mma_tile.h).
//
// Both operands lie along k: the channels of a patch and of a filter are neighbours in memory, so every copy
// is a vector of 16 bytes of one tap. Channels that do not fill vectors are padded with zeros in a packed
// copy; for dx the filters are transposed to (C, R, S, K). The bf16 variant packs both operands; the TF32
// variant reads images in place if they need no padding and are aligned; filters it packs too, so that they
// are rounded once.
#include <algorithm>

#include "kernels/gemm/conv2d_gemm.h"
#include "kernels/gemm/mma_tile.h"

namespace rcnn::kernels {
namespace mma {
namespace {

template <class Stored, class Output>
struct ConvGemm {
  ConvDims dims;  // with the channels of `image` as packed
  bool dx;
  const Stored* image;    // x (N, H, W, C), or g (N, OH, OW, K)
  const Stored* filters;  // (columns, R, S, channels)
  Output output;
  GemmParts parts;
  int column_tiles;

  __device__ Patches patches(int phase) const { return dx ? patches_of_g(dims, phase) : patches_of_x(dims); }
};

/// What a block's threads share of a position of the tile.
struct alignas(16) Position {
  int offset;      // in the image, of tap (0, 0); see PatchRow
  unsigned taps;   // that are inside the image: bit i for line i of the filter, bit 16 + j for column j
  int output_row;  // that the position is written to, or -1
};

/// No position has this line of the filter.
constexpr unsigned kNoTap = 1u << kMaxFilter;

__device__ unsigned taps_inside(const Patches& patches, const PatchRow& row) {
  unsigned taps = 0;
  for (int i = 0; i < patches.taps_h; ++i)
    if (static_cast<unsigned>(row.y + i * patches.tap_step) < static_cast<unsigned>(patches.h))
      taps |= 1u << i;
  for (int j = 0; j < patches.taps_w; ++j)
    if (static_cast<unsigned>(row.x + j * patches.tap_step) < static_cast<unsigned>(patches.w))
      taps |= 0x10000u << j;
  return taps;
}

/// Copies the chunks of a tile. A thread always copies the same vector of the same lines, so it keeps what it
/// needs of them, and steps through taps and channels without dividing.
template <class Stored, class T>
struct ConvCopy {
  using ShareA = CopyShare<Chunk<Stored, Order::along_k, T::kM>, T::kThreads>;
  using ShareB = CopyShare<Chunk<Stored, Order::along_k, T::kN>, T::kThreads>;

  const Patches& patches;
  const Stored* image;
  const Stored* filters;  // at the thread's first line
  int filter_length;
  int columns;                // from the thread's first to the last
  int tap_i, tap_j, channel;  // of this thread's next vector
  ShareA share_a;
  ShareB share_b;
  int offsets[ShareA::kCount];
  unsigned taps[ShareA::kCount];

  /// `column` is the first of the tile, `first` the first chunk. A barrier lies before it, since another
  /// thread has written the position.
  template <class Output>
  __device__ ConvCopy(const ConvGemm<Stored, Output>& gemm, const Patches& of, const Position* positions,
                      int column, int first)
      : patches(of), image(gemm.image) {
    filter_length = patches.filter_r * patches.filter_s * patches.channels;
    filters = gemm.filters + static_cast<int64_t>(column + share_b.line) * filter_length;
    columns = gemm.output.columns - column - share_b.line;
    const int at = first * kDepth<Stored> + share_a.vector * kVector<Stored>;
    const int taps_w = std::max(patches.taps_w, 1), tap = at / patches.channels;
    channel = at - tap * patches.channels;
    tap_i = tap / taps_w;
    tap_j = tap - tap_i * taps_w;
    RCNN_UNROLL
    for (int i = 0; i < ShareA::kCount; ++i) {
      // Not a copy, which would read the padding that nobody has written.
      const Position& position = positions[share_a.line + i * ShareA::kEach];
      offsets[i] = position.offset;
      taps[i] = position.taps;
    }
  }

  __device__ void prepare(int) {}

  __device__ void copy(int, Stored* a, Stored* b) {
    const bool some = tap_i < patches.taps_h;
    const unsigned tap = some ? 1u << tap_i | 0x10000u << tap_j : kNoTap;
    const int y = tap_i * patches.tap_step, x = tap_j * patches.tap_step;
    const Stored* const from = image + ((y * patches.w + x) * patches.channels + channel);
    RCNN_UNROLL
    for (int i = 0; i < ShareA::kCount; ++i) share_a.copy(a, i, from + offsets[i], (tap & ~taps[i]) == 0);

    const int r = patches.r0 + tap_i * patches.filter_step, s = patches.s0 + tap_j * patches.filter_step;
    const Stored* const filter = filters + ((r * patches.filter_s + s) * patches.channels + channel);
    const int left = some ? columns : 0;
    RCNN_UNROLL
    for (int i = 0; i < ShareB::kCount; ++i)
      share_b.copy(b, i, filter + static_cast<int64_t>(i * ShareB::kEach) * filter_length,
                   i * ShareB::kEach < left);
    for (channel += kDepth<Stored>; channel >= patches.channels; channel -= patches.channels)
      if (++tap_j == patches.taps_w) tap_j = 0, ++tap_i;
  }
};

// One block per tile (blockIdx.x, columns fastest, so that neighbours share the patches in the
// cache), phase and part of the reduction (blockIdx.z, parts fastest); kernels/gemm/mma_tile.h describes its
// threads. Shared memory: the ring of chunks, and a table of the positions of the tile. Images and filters
// are aligned to 16 bytes. Bottleneck: the tensor cores; for 1 x 1 filters, memory.
template <class Element, class T>
__global__ void __launch_bounds__(T::kThreads, T::kBlocks)
    conv2d_mma_kernel(ConvGemm<typename Element::Stored, typename Element::Output> gemm) {
  using Stored = typename Element::Stored;
  // Placed behind the ring, not in a static array: shared memory beyond 48 KiB must be dynamic.
  auto* const positions = reinterpret_cast<Position*>(dynamic_shared<unsigned char>() + T::kSharedBytes);
  const int part = static_cast<int>(blockIdx.z) % gemm.parts.count;
  const Patches patches = gemm.patches(static_cast<int>(blockIdx.z) / gemm.parts.count);
  const int row = static_cast<int>(blockIdx.x) / gemm.column_tiles * T::kM;
  const int column = static_cast<int>(blockIdx.x) % gemm.column_tiles * T::kN;
  if (row >= patches.rows()) return;  // the whole block: a phase with fewer rows than phase 0
  for (int i = static_cast<int>(threadIdx.x); i < T::kM; i += T::kThreads) {
    const PatchRow patch = patches.row(row + i);
    positions[i] = {patch.offset, taps_inside(patches, patch),
                    row + i < patches.rows() ? patches.output_row(row + i) : -1};
  }
  __syncthreads();

  const int chunks = (patches.depth() + kDepth<Stored> - 1) / kDepth<Stored>;
  const StepRange range = steps_of_part(chunks, gemm.parts, part);
  ConvCopy<Stored, T> copy(gemm, patches, positions, column, range.begin);
  T tile;
  multiply<Element, Order::along_k, Order::along_k>(tile, copy, range.begin, range.end - range.begin);
  write_tile(
      tile, output_of_part(gemm.output, gemm.parts, part), column,
      [&](int i) { return positions[i].output_row; }, [](int c) { return c; });
}

/// Completes `gemm`, in which dims, dx, image, filters and output are set, and runs it. The output
/// has `rows` rows.
template <class Element>
void run(const Stream& stream, Workspace& workspace,
         ConvGemm<typename Element::Stored, typename Element::Output> gemm, int64_t rows,
         std::optional<Plan> plan) {
  const ConvDims& p = gemm.dims;
  const int phases = gemm.dx ? dx_phases(p) : 1;
  const Patches largest = gemm.dx ? patches_of_g(p, 0) : patches_of_x(p);
  const int depth = p.r * p.s * (gemm.dx ? p.k : p.c) / phases;
  if (!plan)
    plan = plan_of_call(workspace, largest.rows(), gemm.output.columns,
                        blocks_for(depth, kDepth<typename Element::Stored>), phases);
  gemm.parts = take_parts(workspace, plan->parts, rows, gemm.output);
  with_tile(stream, plan->tile, [&](auto tile) {
    using T = decltype(tile);
    gemm.column_tiles = static_cast<int>(blocks_for(gemm.output.columns, T::kN));
    const dim3 grid(blocks_for(largest.rows(), T::kM) * blocks_for(gemm.output.columns, T::kN), 1,
                    static_cast<unsigned>(phases * plan->parts));
    launch<conv2d_mma_kernel<Element, T>>(stream, grid, T::kThreads,
                                          T::kSharedBytes + T::kM * sizeof(Position), gemm);
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
  ConvGemm<Stored, typename Element::Output> gemm{};
  gemm.dims = conv_dims(packed);
  gemm.image = packed_rows<Stored>(stream, workspace, a.x, s.n * s.h * s.w, s.c, a.packed_x);
  gemm.filters = packed_weights<Stored>(stream, workspace, a.w, s.k * s.r * s.s, s.c, a.weights, false);
  const int64_t rows = s.n * s.oh() * s.ow();
  const GemmOutput output = output_of(conv_dims(s), a);
  if constexpr (std::is_same_v<Stored, bf16>)
    gemm.output = {output, nullptr, packed_result(stream, a.y, rows, s.k, a.packed_y)};
  else
    gemm.output = output;
  run<Element>(stream, workspace, gemm, rows, plan);
}

template <class Element>
void backward(const Stream& stream, Workspace& workspace, const Conv2dDxArgs<float>& a,
              std::optional<Plan> plan) {
  using Stored = typename Element::Stored;
  const Conv2dShape& s = a.shape;
  Conv2dShape packed = s;
  packed.k = padded<Stored>(s.k);
  ConvGemm<Stored, typename Element::Output> gemm{};
  gemm.dx = true;
  gemm.dims = conv_dims(packed);
  gemm.image = packed_rows<Stored>(stream, workspace, a.g, s.n * s.oh() * s.ow(), s.k, a.packed_g);
  gemm.filters = packed_transposed<Stored>(stream, workspace, a.w, s.k, s.r * s.s, s.c, a.weights);
  const int64_t rows = s.n * s.h * s.w;
  const GemmOutput output = output_of(conv_dims(s), a);
  if constexpr (std::is_same_v<Stored, bf16>)
    gemm.output = {output, a.mask, packed_result(stream, a.dx, rows, s.c, a.packed_dx)};
  else
    gemm.output = output;
  run<Element>(stream, workspace, gemm, rows, plan);
}

}  // namespace

void conv2d_planned(const Stream& stream, Workspace& workspace, const Conv2dArgs<float>& a,
                    Precision precision, std::optional<Plan> plan) {
  (precision == Precision::bf16 ? forward<Bf16> : forward<Tf32Filters>)(stream, workspace, a, plan);
}

void conv2d_dx_planned(const Stream& stream, Workspace& workspace, const Conv2dDxArgs<float>& a,
                       Precision precision, std::optional<Plan> plan) {
  (precision == Precision::bf16 ? backward<Bf16> : backward<Tf32Filters>)(stream, workspace, a, plan);
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
