// Matrix product on tensor cores, in TF32 or bf16, tile by tile (kernels/gemm/mma_tile.h).
//
// Neither operand is transposed in memory: each lies along k or along its outer index, and the fragments are
// read accordingly. The bf16 variant packs both operands; the TF32 variant packs an operand only if its lines
// do not consist of aligned vectors of 16 bytes.
#include "kernels/gemm/matmul_gemm.h"
#include "kernels/gemm/mma_tile.h"

namespace rcnn::kernels {
namespace mma {
namespace {

template <class Stored, class Output>
struct MatmulGemm {
  const Stored* a;
  const Stored* b;
  int m, n, k;
  int a_length, b_length;  // elements of a packed line
  Output output;
  GemmParts parts;
  int column_tiles;
};

template <class Stored, Order OrderA, Order OrderB, class T>
struct MatmulCopy {
  DenseOperand<Stored, OrderA, T::kM, T::kThreads> left;
  DenseOperand<Stored, OrderB, T::kN, T::kThreads> right;

  __device__ void prepare(int) {}
  __device__ void copy(int chunk, Stored* a, Stored* b) {
    left.copy(chunk, a);
    right.copy(chunk, b);
  }
};

// One block per tile (blockIdx.x, columns fastest) and part of the reduction (blockIdx.z);
// kernels/gemm/mma_tile.h describes its threads and its shared memory. Bottleneck: the tensor cores, or
// memory if a matrix is thin.
template <class Element, Order OrderA, Order OrderB, class T>
__global__ void __launch_bounds__(T::kThreads, T::kBlocks)
    matmul_mma_kernel(MatmulGemm<typename Element::Stored, typename Element::Output> gemm) {
  using Stored = typename Element::Stored;
  const int part = static_cast<int>(blockIdx.z);
  const int row = static_cast<int>(blockIdx.x) / gemm.column_tiles * T::kM;
  const int column = static_cast<int>(blockIdx.x) % gemm.column_tiles * T::kN;
  const int chunks = (gemm.k + kDepth<Stored> - 1) / kDepth<Stored>;
  const StepRange range = steps_of_part(chunks, gemm.parts, part);
  MatmulCopy<Stored, OrderA, OrderB, T> copy{
      {gemm.a, OrderA == Order::along_k ? gemm.m : gemm.k, gemm.a_length, row},
      {gemm.b, OrderB == Order::along_k ? gemm.n : gemm.k, gemm.b_length, column}};
  T tile;
  multiply<Element, OrderA, OrderB>(tile, copy, range.begin, range.end - range.begin);
  write_tile(
      tile, output_of_part(gemm.output, gemm.parts, part), column,
      [&](int i) { return row + i < gemm.m ? row + i : -1; }, [](int c) { return c; });
}

template <class Element, Order OrderA, Order OrderB>
void launch_matmul(const Stream& stream, TileSize size,
                   MatmulGemm<typename Element::Stored, typename Element::Output>& gemm) {
  with_tile(stream, size, [&](auto tile) {
    using T = decltype(tile);
    gemm.column_tiles = static_cast<int>(blocks_for(gemm.n, T::kN));
    const dim3 grid(blocks_for(gemm.m, T::kM) * blocks_for(gemm.n, T::kN), 1,
                    static_cast<unsigned>(gemm.parts.count));
    launch<matmul_mma_kernel<Element, OrderA, OrderB, T>>(stream, grid, T::kThreads, T::kSharedBytes, gemm);
  });
}

template <class Element>
void run(const Stream& stream, Workspace& workspace, const MatmulArgs<float>& args,
         std::optional<Plan> plan) {
  using Stored = typename Element::Stored;
  const MatmulDims p = matmul_dims(args);
  // A line of `a` has k elements (m if it is stored transposed), a line of `b` has n (k if transposed).
  const int64_t a_length = args.transpose_a ? args.m : args.k, a_lines = args.transpose_a ? args.k : args.m;
  const int64_t b_length = args.transpose_b ? args.k : args.n, b_lines = args.transpose_b ? args.n : args.k;
  MatmulGemm<Stored, typename Element::Output> gemm{};
  gemm.a = packed_rows<Stored>(stream, workspace, args.a, a_lines, a_length, args.packed_a);
  gemm.b = args.weights.id != 0
               ? packed_weights<Stored>(stream, workspace, args.b, b_lines, b_length, args.weights, true)
               : packed_rows<Stored>(stream, workspace, args.b, b_lines, b_length, args.packed_b);
  gemm.m = p.m, gemm.n = p.n, gemm.k = p.k;
  gemm.a_length = static_cast<int>(padded<Stored>(a_length));
  gemm.b_length = static_cast<int>(padded<Stored>(b_length));
  if constexpr (std::is_same_v<Stored, bf16>)
    gemm.output = {output_of(p, args), nullptr, packed_result(stream, args.c, args.m, args.n, args.packed_c)};
  else
    gemm.output = output_of(p, args);

  if (!plan) plan = plan_of_call(workspace, args.m, args.n, blocks_for(args.k, kDepth<Stored>));
  gemm.parts = take_parts(workspace, plan->parts, args.m, gemm.output);
  constexpr Order k = Order::along_k, outer = Order::along_outer;
  if (!args.transpose_a && args.transpose_b) launch_matmul<Element, k, k>(stream, plan->tile, gemm);
  if (!args.transpose_a && !args.transpose_b) launch_matmul<Element, k, outer>(stream, plan->tile, gemm);
  if (args.transpose_a && args.transpose_b) launch_matmul<Element, outer, k>(stream, plan->tile, gemm);
  if (args.transpose_a && !args.transpose_b) launch_matmul<Element, outer, outer>(stream, plan->tile, gemm);
  combine_parts(stream, gemm.parts, gemm.output);
}

}  // namespace

void matmul_planned(const Stream& stream, Workspace& workspace, const MatmulArgs<float>& args,
                    Precision precision, std::optional<Plan> plan) {
  (precision == Precision::bf16 ? run<Bf16> : run<Tf32>)(stream, workspace, args, plan);
}

}  // namespace mma

void matmul_mma_tf32(const Stream& stream, Workspace& workspace, const MatmulArgs<float>& args) {
  mma::matmul_planned(stream, workspace, args, Precision::tf32, {});
}
void matmul_mma_bf16(const Stream& stream, Workspace& workspace, const MatmulArgs<float>& args) {
  mma::matmul_planned(stream, workspace, args, Precision::bf16, {});
}

}  // namespace rcnn::kernels
