#include "kernels/gemm/mma_pack.h"

#include <algorithm>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "core/cuda/cuda.h"
#include "core/recently_used.h"
#include "core/tf32.h"
#include "kernels/chunks_cuda.h"
#include "kernels/device_table.h"
#include "kernels/vectors.h"

namespace rcnn::kernels {
namespace mma {
namespace {

constexpr int kThreads = 256;
static_assert(kThreads == kChunkThreads);

__device__ inline void convert(float value, float& to) { to = __uint_as_float(cuda::to_tf32(value)); }
__device__ inline void convert(float value, bf16& to) { to = to_bf16(value); }

template <class Stored>
struct alignas(16) Vector {
  Stored values[16 / sizeof(Stored)];
};

/// Rows of c floats, and the same padded to whole vectors. `quads`: c % 4 == 0 and `from` is aligned to 16
/// bytes, so four floats are read at once.
template <class Stored>
struct Rows {
  const float* from;
  Vector<Stored>* to;
  unsigned vectors, vectors_per_row;
  int c;
  int quads;  // not a bool, so that the struct has no padding: tables of it are compared as bytes

  Rows(const float* values, int64_t rows, int64_t columns, void* packed)
      : from(values), to(static_cast<Vector<Stored>*>(packed)) {
    const int64_t width = padded<Stored>(columns),
                  all = rows * width * static_cast<int64_t>(sizeof(Stored)) / 16;
    // Rows without padding are treated as one long row.
    const int64_t in_row = width == columns ? std::max<int64_t>(all, 1) : all / std::max<int64_t>(rows, 1);
    vectors = static_cast<unsigned>(all);
    vectors_per_row = static_cast<unsigned>(in_row);
    c = static_cast<int>(width == columns ? rows * columns : columns);
    quads = four_at_a_time(columns, {values});
  }

  __device__ void pack(unsigned index) const {
    constexpr int kCount = 16 / sizeof(Stored);
    const unsigned row = index / vectors_per_row;
    const int column = static_cast<int>(index - row * vectors_per_row) * kCount;
    const float* values = from + static_cast<int64_t>(row) * c + column;
    Vector<Stored> result;
    if (quads) {
      RCNN_UNROLL
      for (int i = 0; i < kCount; i += 4) {
        float four[4] = {};
        if (column + i < c) read_values<4>(values + i, four);
        RCNN_UNROLL
        for (int j = 0; j < 4; ++j) convert(four[j], result.values[i + j]);
      }
    } else {
      RCNN_UNROLL
      for (int i = 0; i < kCount; ++i) convert(column + i < c ? values[i] : 0.0f, result.values[i]);
    }
    to[index] = result;
  }
};

// One thread per vector of 16 bytes; no shared memory. Bottleneck: memory.
template <class Stored>
__global__ void __launch_bounds__(kThreads) pack_rows_kernel(Rows<Stored> rows) {
  const unsigned index = blockIdx.x * kThreads + threadIdx.x;
  if (index < rows.vectors) rows.pack(index);
}

template <class Stored>
const Stored* pack(const Stream& stream, const float* values, int64_t rows, int64_t c, Stored* place) {
  const Rows<Stored> job(values, rows, c, place);
  launch<pack_rows_kernel<Stored>>(stream, blocks_for(job.vectors, kThreads), kThreads, 0, job);
  return place;
}

constexpr int kSquare = 32;

/// A matrix of weights and its packed form: as Rows, or transposed from (k, taps, c) to (c, taps, padded_k).
template <class Stored>
struct Weights {
  Rows<Stored> rows;
  int k, taps, c, padded_k;  // taps is 0 unless it is transposed
  int64_t size;              // elements that are written; of a transposed form, those of all its squares
  int64_t first_chunk = 0;   // see number_chunks

  Weights(const float* values, int64_t outputs, int64_t inner, int64_t channels, bool transposed,
          void* packed)
      : rows(values, outputs * inner, channels, packed),
        k(static_cast<int>(outputs)),
        taps(static_cast<int>(transposed ? inner : 0)),
        c(static_cast<int>(channels)),
        padded_k(static_cast<int>(padded<Stored>(outputs))),
        size(transposed ? int64_t{across()} * down() * taps * kSquare * kSquare
                        : outputs * inner * padded<Stored>(channels)) {}

  /// Squares along k, and along c.
  RCNN_HOST_DEVICE int across() const { return (padded_k + kSquare - 1) / kSquare; }
  RCNN_HOST_DEVICE int down() const { return (c + kSquare - 1) / kSquare; }

  /// A square (k, c) of one tap, each warp every eighth row. It is transposed in shared memory, in rows of 33
  /// so that neither direction has bank conflicts.
  __device__ void pack_square(int index, float (&square)[kSquare][kSquare + 1]) const {
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    const int tap = index / (across() * down()), place = index % (across() * down());
    const int k0 = place % across() * kSquare, c0 = place / across() * kSquare;
    auto* const to = reinterpret_cast<Stored*>(rows.to);
    for (int row = warp; row < kSquare; row += kThreads / 32) {
      const bool inside = k0 + row < k && c0 + lane < c;
      square[row][lane] =
          inside ? rows.from[(static_cast<int64_t>(k0 + row) * taps + tap) * c + c0 + lane] : 0.0f;
    }
    __syncthreads();
    for (int row = warp; row < kSquare; row += kThreads / 32)
      if (c0 + row < c && k0 + lane < padded_k)
        convert(square[lane][row], to[(static_cast<int64_t>(c0 + row) * taps + tap) * padded_k + k0 + lane]);
    __syncthreads();
  }

  /// A chunk: elements [begin, begin + count).
  __device__ void pack_chunk(int64_t begin, int count) const {
    RCNN_SHARED(float, square, [kSquare][kSquare + 1]);
    constexpr int kCount = 16 / sizeof(Stored);
    if (taps == 0)
      for (int i = static_cast<int>(threadIdx.x) * kCount; i < count; i += kThreads * kCount)
        rows.pack(static_cast<unsigned>((begin + i) / kCount));
    else
      for (int i = 0; i < count; i += kSquare * kSquare)
        pack_square(static_cast<int>((begin + i) / (kSquare * kSquare)), square);
  }
};
static_assert(kChunk % (kSquare * kSquare) == 0);

// One block per chunk of the weights. Shared memory: 4 KiB. Bottleneck: memory.
template <class Stored>
__global__ void __launch_bounds__(kThreads) pack_weights_kernel(Weights<Stored> weights) {
  const int64_t begin = blockIdx.x * kChunk, left = weights.size - begin;
  weights.pack_chunk(begin, static_cast<int>(left < kChunk ? left : kChunk));
}

// The same for many weights, in the device's memory, in one launch.
template <class Stored>
__global__ void __launch_bounds__(kThreads)
    pack_many_weights_kernel(const Weights<Stored>* list, int64_t count) {
  const auto chunk = find_chunk(list, count);
  chunk.entry.pack_chunk(chunk.begin, chunk.size);
}

/// The kernels that read packed operands compute offsets in int.
void check_size(int64_t elements, int64_t rows, int64_t columns) {
  check(elements < int64_t{1} << 31,
        "an operand of {} x {} for tensor cores has {} elements with its padding, but must have fewer than "
        "2^31",
        rows, columns, elements);
}

template <class Stored>
int64_t bytes_of_form(int64_t count) {
  return count * static_cast<int64_t>(sizeof(Stored));
}

/// The packed forms of weights, for as many as a large model has.
template <class Stored>
class KeptWeights {
 public:
  struct Key {
    uint64_t id;            // of the storage
    const float* values;    // several matrices can lie in one storage
    int64_t rows, taps, c;  // one storage can be seen as matrices of several shapes
    bool transposed;
    auto operator<=>(const Key&) const = default;
  };
  struct Kept {
    Tensor packed;
    uint64_t version;  // of the weights, plus 1; 0: not packed yet
  };

  Kept& get(Device device, const Key& key, int64_t bytes) {
    return kept_.get(key, [&] { return Kept{Tensor::empty({bytes}, DType::u8, device), 0}; });
  }

  /// Packs again, in one launch, what is kept of these weights and has changed.
  void renew(const Stream& stream, std::span<const WeightsKey> weights) {
    std::map<uint64_t, uint64_t> versions;
    for (const WeightsKey& key : weights) versions[key.id] = key.version + 1;
    std::vector<Weights<Stored>> stale;
    std::vector<std::pair<Kept*, uint64_t>> renewed;
    kept_.for_each([&](const Key& key, Kept& kept) {
      const auto now = versions.find(key.id);
      if (now == versions.end() || now->second == kept.version) return;
      renewed.emplace_back(&kept, now->second);
      stale.emplace_back(key.values, key.rows, key.taps, key.c, key.transposed, kept.packed.mutable_raw());
    });
    // The order of use changes; the same list in the same order need not be copied to the device again.
    std::ranges::sort(stale, {}, [](const auto& w) { return w.rows.to; });
    const int64_t chunks = number_chunks(stale);
    if (chunks == 0) return;
    const Weights<Stored>* table = table_.copy_to(stream.device, stale);
    launch<pack_many_weights_kernel<Stored>>(stream, static_cast<unsigned>(chunks), kThreads, 0, table,
                                             static_cast<int64_t>(stale.size()));
    for (const auto& [kept, version] : renewed) kept->version = version;
  }

 private:
  RecentlyUsed<Key, Kept> kept_{1024};
  DeviceTable<Weights<Stored>> table_;  // of the weights that were renewed last
};

/// The form of weights (k, taps, c), which has `count` elements.
template <class Stored>
const Stored* packed_form(const Stream& stream, Workspace& workspace, const float* values, int64_t k,
                          int64_t taps, int64_t c, int64_t count, bool transposed, const WeightsKey& key) {
  using Kept = typename KeptWeights<Stored>::Kept;
  Kept* kept = nullptr;
  if (key.id != 0) {
    kept = &workspace.cache<KeptWeights<Stored>>().get(
        stream.device, {key.id, values, k, taps, c, transposed}, bytes_of_form<Stored>(count));
    if (kept->version == key.version + 1) return static_cast<const Stored*>(kept->packed.raw());
  }
  Stored* const place =
      kept ? static_cast<Stored*>(kept->packed.mutable_raw()) : workspace.take<Stored>(count);
  const Weights<Stored> weights(values, k, taps, c, transposed, place);
  launch<pack_weights_kernel<Stored>>(stream, blocks_for(weights.size, kChunk), kThreads, 0, weights);
  if (kept) kept->version = key.version + 1;
  return place;
}

template <class Stored>
bool used_in_place(const float* values, int64_t c) {
  return std::is_same_v<Stored, float> && four_at_a_time(c, {values});
}

}  // namespace

template <class Stored>
const Stored* packed_rows(const Stream& stream, Workspace& workspace, const float* values, int64_t rows,
                          int64_t c, PackedOperand* kept) {
  const int64_t count = rows * padded<Stored>(c);
  check_size(count, rows, c);
  if (kept && kept->holds<Stored>(values, rows, c)) return static_cast<const Stored*>(kept->values.raw());
  if (used_in_place<Stored>(values, c)) return reinterpret_cast<const Stored*>(values);
  return pack(stream, values, rows, c,
              kept ? kept->make<Stored>(stream.device, values, rows, c, bytes_of_form<Stored>(count))
                   : workspace.take<Stored>(count));
}

template <class Stored>
const Stored* packed_weights(const Stream& stream, Workspace& workspace, const float* values, int64_t rows,
                             int64_t c, const WeightsKey& weights, bool in_place) {
  const int64_t count = rows * padded<Stored>(c);
  check_size(count, rows, c);
  if (in_place && used_in_place<Stored>(values, c)) return reinterpret_cast<const Stored*>(values);
  return packed_form<Stored>(stream, workspace, values, rows, 1, c, count, false, weights);
}

template <class Stored>
const Stored* packed_transposed(const Stream& stream, Workspace& workspace, const float* filters, int64_t k,
                                int64_t taps, int64_t c, const WeightsKey& weights) {
  const int64_t count = c * taps * padded<Stored>(k);
  check_size(count, c * taps, k);
  return packed_form<Stored>(stream, workspace, filters, k, taps, c, count, true, weights);
}

bf16* packed_result(const Stream& stream, const float* result, int64_t rows, int64_t c, PackedOperand* kept) {
  if (!kept || padded<bf16>(c) != c) return nullptr;
  return kept->make<bf16>(stream.device, result, rows, c, bytes_of_form<bf16>(rows * c));
}

template const float* packed_rows(const Stream&, Workspace&, const float*, int64_t, int64_t, PackedOperand*);
template const bf16* packed_rows(const Stream&, Workspace&, const float*, int64_t, int64_t, PackedOperand*);
template const float* packed_weights(const Stream&, Workspace&, const float*, int64_t, int64_t,
                                     const WeightsKey&, bool);
template const bf16* packed_weights(const Stream&, Workspace&, const float*, int64_t, int64_t,
                                    const WeightsKey&, bool);
template const float* packed_transposed(const Stream&, Workspace&, const float*, int64_t, int64_t, int64_t,
                                        const WeightsKey&);
template const bf16* packed_transposed(const Stream&, Workspace&, const float*, int64_t, int64_t, int64_t,
                                       const WeightsKey&);

}  // namespace mma

void renew_packed_weights(const Stream& stream, Workspace& workspace, std::span<const WeightsKey> weights) {
  workspace.cache<mma::KeptWeights<bf16>>().renew(stream, weights);
  workspace.cache<mma::KeptWeights<float>>().renew(stream, weights);
}

}  // namespace rcnn::kernels
