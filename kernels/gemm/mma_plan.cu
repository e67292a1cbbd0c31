// The choice of a plan, and the passes that pack operands for the tensor cores.
#include "kernels/gemm/mma_plan.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/cuda/cuda.h"
#include "core/recently_used.h"
#include "kernels/gemm/gemm_output.h"
#include "kernels/plans.h"

namespace rcnn::kernels::mma {

namespace {

/// Calls f(plan, clocks) for each plan, with its time by the model.
template <class F>
void for_each_plan(int64_t m, int64_t n, int64_t chunks, int64_t products, const F& f) {
  struct Candidate {
    TileSize tile;
    int64_t m, n;
    double chunk;   // clocks that an SM spends on one chunk of one tile while other blocks fill the gaps
    double around;  // a block's start and end, in chunks
  };
  // Estimates. Smaller tiles read more shared memory for each multiplication. The largest reads least from
  // the second-level cache, but it is alone on an SM, so nothing hides its start and end.
  constexpr Candidate candidates[] = {{TileSize::m128n256, 128, 256, 1450, 6},
                                      {TileSize::m128n128, 128, 128, 800, 3},
                                      {TileSize::m128n64, 128, 64, 480, 3},
                                      {TileSize::m64n64, 64, 64, 300, 3}};
  constexpr int parts[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, kMaxParts};
  constexpr double processors = kWantedBlocks / 2;
  constexpr double second_launch = 4000;    // clocks
  constexpr double bytes_per_clock = 1500;  // of device memory and second-level cache together

  for (const Candidate& candidate : candidates)
    for (const int count : parts) {
      if (count > 1 && count > chunks) break;
      const int64_t tiles = products * blocks_for(m, candidate.m) * blocks_for(n, candidate.n);
      const double blocks = std::ceil(static_cast<double>(tiles * count) / processors);  // on the busiest SM
      const double depth = std::ceil(static_cast<double>(chunks) / count) + candidate.around;
      double clocks = blocks * depth * candidate.chunk;
      if (count > 1)
        clocks +=
            second_launch + static_cast<double>(products * m * n) * 4 * (2 * count + 1) / bytes_per_clock;
      f(Plan{candidate.tile, count}, clocks);
    }
}

}  // namespace

Plan choose_plan(int64_t m, int64_t n, int64_t chunks, int64_t products) {
  Plan best;
  double best_clocks = std::numeric_limits<double>::infinity();
  for_each_plan(m, n, chunks, products, [&](const Plan& plan, double clocks) {
    if (clocks < best_clocks) best = plan, best_clocks = clocks;
  });
  return best;
}

std::vector<Plan> likely_plans(int64_t m, int64_t n, int64_t chunks, int64_t products) {
  constexpr size_t kMaxPlans = 16;
  std::vector<std::pair<double, Plan>> all;
  for_each_plan(m, n, chunks, products,
                [&](const Plan& plan, double clocks) { all.emplace_back(clocks, plan); });
  // Stable, so that the first is the one that choose_plan finds.
  std::ranges::stable_sort(all, {}, &std::pair<double, Plan>::first);
  std::vector<Plan> plans;
  for (const auto& [clocks, plan] : all)
    if (plans.size() < kMaxPlans && clocks <= 2 * all.front().first) plans.push_back(plan);
  return plans;
}

Plan plan_of_call(Workspace& workspace, int64_t m, int64_t n, int64_t chunks, int64_t products) {
  const CutOfCall& call = workspace.cache<CutOfCall>();
  if (call.offered)
    for (const Plan& plan : likely_plans(m, n, chunks, products)) call.offered->push_back(cut_of(plan));
  const std::optional<Plan> wanted = plan_of_cut(call.wanted);
  // Parts beyond the last chunk would sum nothing.
  return wanted && wanted->parts <= std::max<int64_t>(chunks, 1) ? *wanted
                                                                 : choose_plan(m, n, chunks, products);
}

namespace {

constexpr int kThreads = 256;

__device__ inline void convert(float value, float& to) { to = value; }
__device__ inline void convert(float value, bf16& to) { to = to_bf16(value); }

template <class Stored>
struct alignas(16) Vector {
  Stored values[16 / sizeof(Stored)];
};

// One thread per vector of 16 bytes; no shared memory. `quads`: c % 4 == 0 and `values` is aligned to 16
// bytes, so four floats are read at once. Bottleneck: memory.
template <class Stored>
__global__ void __launch_bounds__(kThreads)
    pack_rows_kernel(const float* values, unsigned vectors, unsigned vectors_per_row, int c, bool quads,
                     Vector<Stored>* packed) {
  constexpr int kCount = 16 / sizeof(Stored);
  const unsigned index = blockIdx.x * kThreads + threadIdx.x;
  if (index >= vectors) return;
  const unsigned row = index / vectors_per_row;
  const int column = static_cast<int>(index - row * vectors_per_row) * kCount;
  const float* from = values + static_cast<int64_t>(row) * c + column;
  Vector<Stored> result;
  if (quads) {
    RCNN_UNROLL
    for (int i = 0; i < kCount; i += 4) {
      float four[4] = {};
      if (column + i < c) read_values<4>(from + i, four);
      RCNN_UNROLL
      for (int j = 0; j < 4; ++j) convert(four[j], result.values[i + j]);
    }
  } else {
    RCNN_UNROLL
    for (int i = 0; i < kCount; ++i) convert(column + i < c ? from[i] : 0.0f, result.values[i]);
  }
  packed[index] = result;
}

// One block of 256 threads per 32 x 32 square (k, c) of one tap (blockIdx.z); each warp takes every eighth
// row. It transposes the square through shared memory, in rows of 33 so that neither direction has bank
// conflicts. Bottleneck: memory.
template <class Stored>
__global__ void __launch_bounds__(kThreads)
    pack_transposed_kernel(const float* filters, int k, int taps, int c, int padded_k, Stored* packed) {
  RCNN_SHARED(float, square, [32][33]);
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int k0 = static_cast<int>(blockIdx.x) * 32, c0 = static_cast<int>(blockIdx.y) * 32;
  const int tap = static_cast<int>(blockIdx.z);
  for (int row = warp; row < 32; row += kThreads / 32) {
    const bool inside = k0 + row < k && c0 + lane < c;
    square[row][lane] =
        inside ? filters[(static_cast<int64_t>(k0 + row) * taps + tap) * c + c0 + lane] : 0.0f;
  }
  __syncthreads();
  for (int row = warp; row < 32; row += kThreads / 32)
    if (c0 + row < c && k0 + lane < padded_k)
      convert(square[lane][row],
              packed[(static_cast<int64_t>(c0 + row) * taps + tap) * padded_k + k0 + lane]);
}

/// The kernels that read packed operands compute offsets in int.
void check_size(int64_t elements, int64_t rows, int64_t columns) {
  check(elements < int64_t{1} << 31,
        "an operand of {} x {} for tensor cores has {} elements with its padding, but must have fewer than "
        "2^31",
        rows, columns, elements);
}

/// The packed forms of weights, for as many as a large model has.
class KeptWeights {
 public:
  struct Key {
    uint64_t id;            // of the storage
    const float* values;    // several matrices can lie in one storage
    int64_t rows, taps, c;  // one storage can be seen as matrices of several shapes
    bool transposed;
    size_t element;
    auto operator<=>(const Key&) const = default;
  };
  struct Kept {
    Tensor packed;
    uint64_t version;  // of the weights, plus 1; 0: not packed yet
  };

  Kept& get(Device device, const Key& key, int64_t bytes) {
    return kept_.get(key, [&] { return Kept{Tensor::empty({bytes}, DType::u8, device), 0}; });
  }

 private:
  RecentlyUsed<Key, Kept> kept_{1024};
};

/// The gradient that was packed last.
struct LastGradient {
  ContentsKey contents;
  const float* values = nullptr;
  int64_t rows = 0, c = 0;
  size_t element = 0;
  Tensor packed;

  /// Whether `packed`, which has at least `bytes` bytes afterwards, has to be written.
  bool renew(const LastGradient& wanted, Device device, size_t bytes) {
    if (contents == wanted.contents && values == wanted.values && rows == wanted.rows && c == wanted.c &&
        element == wanted.element)
      return false;
    Tensor buffer = std::move(packed);
    if (!buffer.defined() || buffer.bytes() < bytes) {
      buffer = {};  // frees it first
      buffer = Tensor::empty({static_cast<int64_t>(bytes)}, DType::u8, device);
    }
    *this = wanted;
    packed = buffer;
    return true;
  }
};

/// Where an operand is packed to, and whether that has to be done now.
template <class Stored>
struct Place {
  Stored* data;
  bool stale = true;
};

/// For `count` elements of weights (rows, taps, c).
template <class Stored>
Place<Stored> place_of_weights(const Stream& stream, Workspace& workspace, const float* values, int64_t rows,
                               int64_t taps, int64_t c, int64_t count, bool transposed,
                               const WeightsKey& weights) {
  if (weights.id == 0) return {workspace.take<Stored>(count)};
  KeptWeights::Kept& kept = workspace.cache<KeptWeights>().get(
      stream.device, {weights.id, values, rows, taps, c, transposed, sizeof(Stored)},
      count * static_cast<int64_t>(sizeof(Stored)));
  const uint64_t before = std::exchange(kept.version, weights.version + 1);
  return {static_cast<Stored*>(kept.packed.mutable_raw()), before != weights.version + 1};
}

template <class Stored>
bool used_in_place(const float* values, int64_t c) {
  return std::is_same_v<Stored, float> && four_at_a_time(c, {values});
}

template <class Stored>
const Stored* pack(const Stream& stream, const float* values, int64_t rows, int64_t c,
                   const Place<Stored>& place) {
  if (!place.stale) return place.data;
  const int64_t width = padded<Stored>(c), vectors = rows * width * static_cast<int64_t>(sizeof(Stored)) / 16;
  // Rows without padding are treated as one long row.
  const int64_t row_vectors =
      width == c ? std::max<int64_t>(vectors, 1) : vectors / std::max<int64_t>(rows, 1);
  launch<pack_rows_kernel<Stored>>(stream, blocks_for(vectors, kThreads), kThreads, 0, values,
                                   static_cast<unsigned>(vectors), static_cast<unsigned>(row_vectors),
                                   static_cast<int>(width == c ? rows * c : c), four_at_a_time(c, {values}),
                                   reinterpret_cast<Vector<Stored>*>(place.data));
  return place.data;
}

}  // namespace

template <class Stored>
const Stored* packed_rows(const Stream& stream, Workspace& workspace, const float* values, int64_t rows,
                          int64_t c, const WeightsKey& weights) {
  const int64_t count = rows * padded<Stored>(c);
  check_size(count, rows, c);
  if (used_in_place<Stored>(values, c)) return reinterpret_cast<const Stored*>(values);
  return pack(stream, values, rows, c,
              place_of_weights<Stored>(stream, workspace, values, rows, 1, c, count, false, weights));
}

template <class Stored>
const Stored* packed_input(const Stream& stream, Workspace& workspace, const float* values, int64_t rows,
                           int64_t c, PackedInput* keep) {
  if (!keep || used_in_place<Stored>(values, c))
    return packed_rows<Stored>(stream, workspace, values, rows, c);
  const int64_t count = rows * padded<Stored>(c);
  check_size(count, rows, c);
  keep->element = sizeof(Stored);
  keep->values = Tensor::empty({count * static_cast<int64_t>(sizeof(Stored))}, DType::u8, stream.device);
  return pack(stream, values, rows, c, Place<Stored>{static_cast<Stored*>(keep->values.mutable_raw()), true});
}

template <class Stored>
const Stored* kept_input(const Stream& stream, Workspace& workspace, const float* values, int64_t rows,
                         int64_t c, const PackedInput* kept) {
  if (kept && kept->values.defined() && kept->element == sizeof(Stored))
    return static_cast<const Stored*>(kept->values.raw());
  return packed_rows<Stored>(stream, workspace, values, rows, c);
}

template <class Stored>
const Stored* packed_gradient(const Stream& stream, Workspace& workspace, const float* values, int64_t rows,
                              int64_t c, const ContentsKey& contents) {
  if (contents.id == 0 || used_in_place<Stored>(values, c))
    return packed_rows<Stored>(stream, workspace, values, rows, c);
  check_size(rows * padded<Stored>(c), rows, c);
  auto& last = workspace.cache<LastGradient>();
  const size_t bytes = static_cast<size_t>(rows * padded<Stored>(c)) * sizeof(Stored);
  const bool stale = last.renew({contents, values, rows, c, sizeof(Stored), {}}, stream.device, bytes);
  return pack(stream, values, rows, c, Place<Stored>{static_cast<Stored*>(last.packed.mutable_raw()), stale});
}

template <class Stored>
const Stored* packed_transposed(const Stream& stream, Workspace& workspace, const float* filters, int64_t k,
                                int64_t taps, int64_t c, const WeightsKey& weights) {
  const int64_t padded_k = padded<Stored>(k);
  check_size(c * taps * padded_k, c * taps, k);
  const Place<Stored> place =
      place_of_weights<Stored>(stream, workspace, filters, k, taps, c, c * taps * padded_k, true, weights);
  if (!place.stale) return place.data;
  const dim3 grid(blocks_for(padded_k, 32), blocks_for(c, 32), static_cast<unsigned>(taps));
  launch<pack_transposed_kernel<Stored>>(stream, grid, kThreads, 0, filters, static_cast<int>(k),
                                         static_cast<int>(taps), static_cast<int>(c),
                                         static_cast<int>(padded_k), place.data);
  return place.data;
}

template const float* packed_rows(const Stream&, Workspace&, const float*, int64_t, int64_t,
                                  const WeightsKey&);
template const bf16* packed_rows(const Stream&, Workspace&, const float*, int64_t, int64_t,
                                 const WeightsKey&);
template const float* packed_input(const Stream&, Workspace&, const float*, int64_t, int64_t, PackedInput*);
template const bf16* packed_input(const Stream&, Workspace&, const float*, int64_t, int64_t, PackedInput*);
template const float* kept_input(const Stream&, Workspace&, const float*, int64_t, int64_t,
                                 const PackedInput*);
template const bf16* kept_input(const Stream&, Workspace&, const float*, int64_t, int64_t,
                                const PackedInput*);
template const float* packed_gradient(const Stream&, Workspace&, const float*, int64_t, int64_t,
                                      const ContentsKey&);
template const bf16* packed_gradient(const Stream&, Workspace&, const float*, int64_t, int64_t,
                                     const ContentsKey&);
template const float* packed_transposed(const Stream&, Workspace&, const float*, int64_t, int64_t, int64_t,
                                        const WeightsKey&);
template const bf16* packed_transposed(const Stream&, Workspace&, const float*, int64_t, int64_t, int64_t,
                                       const WeightsKey&);

}  // namespace rcnn::kernels::mma
