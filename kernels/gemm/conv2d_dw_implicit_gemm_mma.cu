// The gradient dw of a convolution on tensor cores, in TF32 or bf16: G^T times the matrix of patches of x
// (kernels/gemm/conv2d_gemm.h), tile by tile (kernels/gemm/mma_tile.h).
//
// The reduction runs over positions, so both operands lie along their outer index: the filters of g, the
// channels of x. Channels that do not fill vectors of 16 bytes are padded in a packed copy; the product then
// has (tap, padded channel) columns, and those of the padding are not written. The output is small and the
// reduction long, so most of the parallelism comes from splitting the reduction into parts.
#include "kernels/gemm/conv2d_gemm.h"
#include "kernels/gemm/mma_tile.h"

namespace rcnn::kernels {
namespace mma {
namespace {

template <class Stored>
struct DwGemm {
  Patches patches;  // of x as packed
  const Stored* x;
  const Stored* g;  // (positions, g_columns)
  int g_columns;
  int k, c;  // of dw
  GemmOutput output;
  GemmParts parts;
  int column_tiles;
};

/// Copies the chunks of a tile. A chunk is a few positions. `prepare` finds their pixels, one position per
/// thread, so that the threads that copy need not divide.
template <class Stored, class T>
struct DwCopy {
  using ShareB = CopyShare<Chunk<Stored, Order::along_outer, T::kN>, T::kThreads>;
  struct alignas(16) Position {
    PatchRow patch;
  };
  using Positions = Position[kStages][kDepth<Stored>];

  DenseOperand<Stored, Order::along_outer, T::kM, T::kThreads> g;
  const Patches& patches;
  Positions& positions;  // in shared memory: chunk i in place i % kStages
  ShareB share;
  PatchTap tap;         // of this thread's vector, the same in every chunk
  const Stored* image;  // at this tap

  /// The tile begins at `row` and `column`.
  __device__ DwCopy(const DwGemm<Stored>& gemm, Positions& table, int row, int column)
      : g(gemm.g, gemm.patches.rows(), gemm.g_columns, row),
        patches(gemm.patches),
        positions(table),
        tap(patches.tap(column + share.vector * kVector<Stored>)),
        image(gemm.x + tap.offset) {}

  __device__ void prepare(int chunk) {
    const int i = static_cast<int>(threadIdx.x);
    if (i < kDepth<Stored>) positions[chunk % kStages][i].patch = patches.row(chunk * kDepth<Stored> + i);
  }

  __device__ void copy(int chunk, Stored* a, Stored* b) {
    g.copy(chunk, a);
    const Position* const of_chunk = positions[chunk % kStages];
    RCNN_UNROLL
    for (int i = 0; i < ShareB::kCount; ++i) {
      const PatchRow row = of_chunk[share.line + i * ShareB::kEach].patch;
      share.copy(b, i, image + row.offset, patches.inside(row, tap));
    }
  }
};

// One block per tile (blockIdx.x, columns fastest) and part of the positions (blockIdx.z);
// kernels/gemm/mma_tile.h describes its threads. Shared memory: the ring of chunks, and the pixels of as many
// chunks. x and g are aligned to 16 bytes. Bottleneck: shared memory; TF32 reads it float by float, because
// ldmatrix cannot transpose floats.
template <class Element, class T>
__global__ void __launch_bounds__(T::kThreads, T::kBlocks)
    conv2d_dw_mma_kernel(DwGemm<typename Element::Stored> gemm) {
  using Stored = typename Element::Stored;
  using Copy = DwCopy<Stored, T>;
  // Placed behind the ring, not in a static array: shared memory beyond 48 KiB must be dynamic.
  auto& positions =
      *reinterpret_cast<typename Copy::Positions*>(dynamic_shared<unsigned char>() + T::kSharedBytes);
  const Patches& patches = gemm.patches;
  const int part = static_cast<int>(blockIdx.z);
  const int row = static_cast<int>(blockIdx.x) / gemm.column_tiles * T::kM;
  const int column = static_cast<int>(blockIdx.x) % gemm.column_tiles * T::kN;

  const int chunks = (patches.rows() + kDepth<Stored> - 1) / kDepth<Stored>;
  const StepRange range = steps_of_part(chunks, gemm.parts, part);
  Copy copy(gemm, positions, row, column);
  T tile;
  multiply<Element, Order::along_outer, Order::along_outer>(tile, copy, range.begin, range.end - range.begin);

  const bool padding = patches.channels != gemm.c;
  GemmOutput output = output_of_part(gemm.output, gemm.parts, part);
  output.vectors = output.vectors && !padding;
  write_tile(
      tile, output, column, [&](int i) { return row + i < gemm.k ? row + i : -1; },
      [&](int at) {
        if (!padding) return at;
        const int tap = at / patches.channels, channel = at - tap * patches.channels;
        return channel < gemm.c ? tap * gemm.c + channel : -1;
      });
}

template <class Element>
void run(const Stream& stream, Workspace& workspace, const Conv2dDwArgs<float>& a, std::optional<Plan> plan) {
  using Stored = typename Element::Stored;
  const Conv2dShape& s = a.shape;
  Conv2dShape packed = s;
  packed.c = padded<Stored>(s.c), packed.k = padded<Stored>(s.k);
  const ConvDims dims = conv_dims(packed), bare = conv_dims(s);
  const int64_t rows = s.n * s.oh() * s.ow();
  DwGemm<Stored> gemm{};
  gemm.x = packed_rows<Stored>(stream, workspace, a.x, s.n * s.h * s.w, s.c, a.packed_x);
  gemm.g = packed_rows<Stored>(stream, workspace, a.g, rows, s.k, a.packed_g);
  gemm.k = bare.k, gemm.c = bare.c;
  gemm.g_columns = dims.k;
  gemm.patches = patches_of_x(dims);
  gemm.output = output_of(bare, a);

  const int columns = dims.r * dims.s * dims.c;
  if (!plan) plan = plan_of_call(workspace, gemm.k, columns, blocks_for(rows, kDepth<Stored>));
  gemm.parts = take_parts(workspace, plan->parts, gemm.k, gemm.output);
  with_tile(stream, plan->tile, [&](auto tile) {
    using T = decltype(tile);
    gemm.column_tiles = static_cast<int>(blocks_for(columns, T::kN));
    const dim3 grid(blocks_for(gemm.k, T::kM) * blocks_for(columns, T::kN), 1,
                    static_cast<unsigned>(plan->parts));
    constexpr size_t shared = T::kSharedBytes + sizeof(typename DwCopy<Stored, T>::Positions);
    launch<conv2d_dw_mma_kernel<Element, T>>(stream, grid, T::kThreads, shared, gemm);
  });
  combine_parts(stream, gemm.parts, gemm.output);
}

}  // namespace

void conv2d_dw_planned(const Stream& stream, Workspace& workspace, const Conv2dDwArgs<float>& a,
                       Precision precision, std::optional<Plan> plan) {
  (precision == Precision::bf16 ? run<Bf16> : run<Tf32>)(stream, workspace, a, plan);
}

}  // namespace mma

void conv2d_dw_implicit_gemm_tf32(const Stream& stream, Workspace& workspace, const Conv2dDwArgs<float>& a) {
  mma::conv2d_dw_planned(stream, workspace, a, Precision::tf32, {});
}
void conv2d_dw_implicit_gemm_bf16(const Stream& stream, Workspace& workspace, const Conv2dDwArgs<float>& a) {
  mma::conv2d_dw_planned(stream, workspace, a, Precision::bf16, {});
}

}  // namespace rcnn::kernels
