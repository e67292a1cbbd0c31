// The passes over memory that batch norm and group norm are made of, for CUDA; kernels/norm/folded_rows.h
// holds those for the CPU.
//
// Both normalise groups of channels in segments, (rows, C) arrays that lie one behind the other. Group norm
// takes every image as a segment; batch norm the whole batch as one, with a group for each channel.
//
// Technique: sums in two levels. A block sums a chunk of rows for up to 128 channels: threads side by side
// hold neighbouring channels, so that their loads coalesce, threads one below the other share channels and
// are merged in shared memory. What a block found goes to the workspace, one value a chunk and channel; a
// second kernel, one block a group, merges the chunks. Every merge has its fixed place in a tree, so a run
// gives the same bits as the one before it. Statistics are merged in double; double arithmetic is a few per
// cent of the work. Bottleneck: memory.
#pragma once

#include <algorithm>

#include "core/cuda/cuda.h"
#include "kernels/op.h"

namespace rcnn::kernels {

inline constexpr int kNormThreads = 256;

/// How segments are cut into chunks of rows and tiles of channels, a block for each pair; it depends on the
/// sizes alone.
struct RowChunks {
  int segments, rows, c, groups;
  int group_size;  // channels in a group
  int width;       // neighbouring channels of a thread: 4 or 1
  int lanes;       // threads side by side in a block
  int row_lanes;   // threads one below the other: each takes every row_lanes-th row
  int tiles;       // that cover the channels
  int chunk_rows;  // rows in a chunk; the last of a segment may have fewer
  int chunks;      // of a segment

  /// `four`: whether a thread may take four channels, see four_at_a_time.
  RowChunks(int64_t segments, int64_t rows, int64_t c, int64_t groups, bool four);

  dim3 grid() const { return {static_cast<unsigned>(segments * chunks), static_cast<unsigned>(tiles)}; }
  /// Of a (segments, chunks, C) array, in which chunks leave what they found.
  int64_t partials() const { return int64_t{segments} * chunks * c; }
  /// Threads of a block that merges the chunks of a group, or those of a channel in all segments: whole
  /// warps.
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

/// Values per chunk and channel, (segments, chunks, C).
struct ChunkMoments {
  double* mean;
  double* squares;  // sum of the squared distances from that mean
};
struct ChunkSums {
  double* gradient;  // sum of g
  double* moment;    // sum of g (x - mean)
};

/// Where the gradient comes from: g = dy where y > 0, else 0; dy itself where y is null.
struct OutputGradient {
  const float* y;
  const float* dy;
};

/// The mean and the squared distances of every chunk, in the workspace.
ChunkMoments chunk_moments(const Stream& stream, Workspace& workspace, const RowChunks& chunks,
                           const float* x);

/// y = relu?((x - mean) weight inverse_deviation + bias + residual). mean and inverse_deviation are
/// (segments, groups), weight and bias (C); residual may be null.
struct Normalization {
  const float* mean;
  const float* inverse_deviation;
  const float* weight;
  const float* bias;
};
void normalize_chunks(const Stream& stream, const RowChunks& chunks, const float* x, const Normalization& n,
                      const float* residual, bool relu, float* y);

/// The sums of every chunk, in the workspace; also writes g to `dresidual` unless that is null.
ChunkSums chunk_sums(const Stream& stream, Workspace& workspace, const RowChunks& chunks, const float* x,
                     const float* mean, OutputGradient gradient, float* dresidual,
                     Accumulate accumulate_residual);

/// dx = weight inverse_deviation g + slope (x - mean) + offset, where weight is (C), the rest (segments,
/// groups).
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
// ----------------------------------------------------

/// The count, mean and sum of squared distances of the values of `kWidth` channels.
template <int kWidth>
struct Moments {
  double count;
  double mean[kWidth];
  double squares[kWidth];
};

/// Takes b's values into a (Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for
/// computing sample variances"). Only distances between means are squared, so a large mean cancels nothing.
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

/// Two sums of `kWidth` channels.
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

/// Merges what the threads of a block hold along its row lanes: those `lanes` threads apart. `all` is in
/// shared memory, one a thread; afterwards row lane 0 of each lane holds the whole. All threads of the block
/// call it.
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

/// The moments of group `index` of (segments, groups), merged from its chunks; in thread 0 alone. `all` as
/// for merge_row_lanes; all threads of the block call it.
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

/// 1 / sqrt(variance + eps) of a group's values; eps alone counts where there are none.
__device__ inline float inverse_deviation(const Moments<1>& m, float eps) {
  const double variance = m.count == 0 ? 0 : m.squares[0] / m.count;
  return static_cast<float>(1 / sqrt(variance + static_cast<double>(eps)));
}

}  // namespace rcnn::kernels
