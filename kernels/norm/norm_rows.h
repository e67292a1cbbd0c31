// The passes over memory that make up batch norm and group norm, for CUDA; kernels/norm/folded_rows.h has
// those for the CPU.
//
// Both normalise groups of channels in segments, which are (rows, C) arrays, one after the other. For group
// norm each image is a segment; for batch norm the whole batch is one, with one group per channel.
//
// Technique: sums in two levels. A block sums a chunk of rows for up to 128 channels. Threads side by side
// hold neighbouring channels, so that their loads coalesce; threads one below the other share channels and
// are merged in shared memory. The block writes its results to the workspace, one value per chunk and
// channel; a second kernel, with one block per group or channel, merges the chunks. Every merge has a fixed
// place in a tree, so every run gives the same bits. Statistics are merged in double; double arithmetic is a
// few per cent of the work. Bottleneck: memory.
#pragma once

#include <algorithm>

#include "core/cuda/cuda.h"
#include "kernels/op.h"

namespace rcnn::kernels {

inline constexpr int kNormThreads = 256;

/// How segments are cut into chunks of rows and tiles of channels, with one block for each pair. It depends
/// only on the sizes.
struct RowChunks {
  int segments, rows, c, groups;
  int group_size;  // channels in a group
  int width;       // neighbouring channels per thread: 4 or 1
  int lanes;       // threads side by side in a block
  int row_lanes;   // threads one below the other: each takes every row_lanes-th row
  int tiles;       // tiles of channels
  int chunk_rows;  // rows in a chunk; the last of a segment may have fewer
  int chunks;      // per segment

  /// `four`: whether a thread may take four channels, see four_at_a_time.
  RowChunks(int64_t segments, int64_t rows, int64_t c, int64_t groups, bool four);

  dim3 grid() const { return {static_cast<unsigned>(segments * chunks), static_cast<unsigned>(tiles)}; }
  /// The size of a (segments, chunks, C) array, which holds the results of the chunks.
  int64_t partials() const { return int64_t{segments} * chunks * c; }
  /// The number of threads, in whole warps, of a block that merges the chunks of one group, or those of one
  /// channel in all segments.
  unsigned group_threads() const { return threads_for(int64_t{chunks} * group_size); }
  unsigned channel_threads() const { return threads_for(int64_t{segments} * chunks); }
  static unsigned threads_for(int64_t partials) {
    return static_cast<unsigned>(std::clamp<int64_t>((partials + 31) / 32 * 32, 32, kNormThreads));
  }
  RCNN_HOST_DEVICE int rows_of(int chunk) const {
    const int left = rows - chunk * chunk_rows;
    return left < chunk_rows ? left : chunk_rows;
  }
};

/// Values per chunk and channel: (segments, chunks, C).
struct ChunkMoments {
  double* mean;
  double* squares;  // sum of the squared distances from that mean
};
struct ChunkSums {
  double* gradient;  // sum of g
  double* moment;    // sum of g (x - mean)
};

/// The gradient in front of the ReLU: g = dy where y > 0, else 0; dy itself if y is null.
struct OutputGradient {
  const float* y;
  const float* dy;
};

/// The mean and the squared distances from it of every chunk, in the workspace.
ChunkMoments chunk_moments(const Stream& stream, Workspace& workspace, const RowChunks& chunks,
                           const float* x);

/// y = (x - mean) weight inverse_deviation + bias + residual, then a ReLU if `relu`. mean and
/// inverse_deviation are (segments, groups), weight and bias (C); residual may be null.
struct Normalization {
  const float* mean;
  const float* inverse_deviation;
  const float* weight;
  const float* bias;
};
void normalize_chunks(const Stream& stream, const RowChunks& chunks, const float* x, const Normalization& n,
                      const float* residual, bool relu, float* y);

/// The sums of every chunk, in the workspace. Also writes g to `dresidual`, or adds it, unless that is null.
ChunkSums chunk_sums(const Stream& stream, Workspace& workspace, const RowChunks& chunks, const float* x,
                     const float* mean, OutputGradient gradient, float* dresidual,
                     Accumulate accumulate_residual);

/// dx = weight inverse_deviation g + slope (x - mean) + offset, where weight is (C) and the others are
/// (segments, groups).
struct GroupGradientLine {
  const float* mean;
  const float* inverse_deviation;
  const float* weight;
  const float* slope;
  const float* offset;
};
void gradient_chunks(const Stream& stream, const RowChunks& chunks, const float* x, OutputGradient gradient,
                     const GroupGradientLine& line, float* dx, Accumulate accumulate);

// ---- device code: what the kernels of both levels merge

/// The count, the mean and the sum of squared distances from the mean, for the values of `kWidth` channels.
template <int kWidth>
struct Moments {
  double count;
  double mean[kWidth];
  double squares[kWidth];
};

/// Merges b into a (Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
/// variances"). Only distances between means are squared, so a large mean causes no cancellation.
template <int kWidth>
__device__ inline void merge(Moments<kWidth>& a, const Moments<kWidth>& b) {
  if (b.count == 0) return;
  const double count = a.count + b.count, share = b.count / count;
  RCNN_UNROLL
  for (int k = 0; k < kWidth; ++k) {
    const double distance = b.mean[k] - a.mean[k];
    a.mean[k] += distance * share;
    a.squares[k] += b.squares[k] + distance * distance * a.count * share;
  }
  a.count = count;
}

/// Two sums for each of `kWidth` channels.
template <int kWidth>
struct PairSums {
  double first[kWidth];
  double second[kWidth];
};

template <int kWidth>
__device__ inline void merge(PairSums<kWidth>& a, const PairSums<kWidth>& b) {
  RCNN_UNROLL
  for (int k = 0; k < kWidth; ++k) {
    a.first[k] += b.first[k];
    a.second[k] += b.second[k];
  }
}

/// Merges what the threads of a block hold along the row lanes, that is, threads which are `lanes` apart.
/// `all` is in shared memory and has one element per thread; afterwards row lane 0 of each lane holds the
/// result. All threads of the block must call it.
template <class Sum>
__device__ inline void merge_row_lanes(Sum* all, const Sum& mine, int lanes, int row_lanes) {
  const int thread = static_cast<int>(threadIdx.x), row_lane = thread / lanes;
  all[thread] = mine;
  __syncthreads();
  for (int step = 1; step < row_lanes; step *= 2) {
    if (row_lane % (2 * step) == 0 && row_lane + step < row_lanes)
      merge(all[thread], all[thread + step * lanes]);
    __syncthreads();
  }
}

/// The moments of group `index` of (segments, groups), merged from its chunks. `all` is as for
/// merge_row_lanes. All threads of the block must call it, and all get the result.
__device__ inline Moments<1> group_moments(const RowChunks& r, const ChunkMoments& partial, int index,
                                           Moments<1>* all) {
  const int segment = index / r.groups, first = index % r.groups * r.group_size;
  const int threads = static_cast<int>(blockDim.x);
  Moments<1> mine{};
  for (int i = static_cast<int>(threadIdx.x); i < r.chunks * r.group_size; i += threads) {
    const int chunk = i / r.group_size, channel = first + i % r.group_size;
    const int64_t at = (int64_t{segment} * r.chunks + chunk) * r.c + channel;
    merge(mine, {static_cast<double>(r.rows_of(chunk)), {partial.mean[at]}, {partial.squares[at]}});
  }
  merge_row_lanes(all, mine, 1, threads);
  return all[0];
}

/// 1 / sqrt(variance + eps) of a group's values; if there are none, the variance is 0.
__device__ inline float inverse_deviation(const Moments<1>& m, float eps) {
  const double variance = m.count == 0 ? 0 : m.squares[0] / m.count;
  return static_cast<float>(1 / sqrt(variance + static_cast<double>(eps)));
}

}  // namespace rcnn::kernels
