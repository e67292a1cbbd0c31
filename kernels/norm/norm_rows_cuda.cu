#include "kernels/norm/norm_rows.h"

#include "kernels/lanes.h"
#include "kernels/norm/norm_math.h"

namespace rcnn::kernels {
namespace {

constexpr int kBatch = 4;           // rows that a thread loads at once
constexpr int kWantedBlocks = 512;  // about four per multiprocessor of a large GPU

// All kernels here: one block per chunk of rows (blockIdx.x) and tile of channels (blockIdx.y). Thread t
// works on the channels of lane t % lanes and on every row_lanes-th row, starting at row t / lanes. Loads
// have 4 * kWidth bytes and are aligned to that. Bottleneck: memory.

/// Where the running thread works: rows first, first + row_lanes, ... below `end`, and kWidth channels. A
/// thread that has no place (the lanes need not fill a block, nor the tiles match C) has no rows.
struct Place {
  int first, end;
  int channel;  // the first of kWidth
  int segment;
  int64_t start;  // offset of the segment's first row, at `channel`
  bool active;

  __device__ explicit Place(const RowChunks& r) {
    const int lane = static_cast<int>(threadIdx.x) % r.lanes,
              row_lane = static_cast<int>(threadIdx.x) / r.lanes;
    const int chunk = static_cast<int>(blockIdx.x) % r.chunks;
    segment = static_cast<int>(blockIdx.x) / r.chunks;
    channel = (static_cast<int>(blockIdx.y) * r.lanes + lane) * r.width;
    active = row_lane < r.row_lanes && channel < r.c;
    end = active ? chunk * r.chunk_rows + r.rows_of(chunk) : 0;
    first = chunk * r.chunk_rows + row_lane;
    start = int64_t{segment} * r.rows * r.c + channel;
  }
  /// Whether this thread writes the result of its row lanes.
  __device__ bool leads(const RowChunks& r) const {
    return active && static_cast<int>(threadIdx.x) < r.lanes;
  }
  /// Where it writes that, in a (segments, chunks, C) array.
  __device__ int64_t partial(const RowChunks& r) const { return int64_t{blockIdx.x} * r.c + channel; }
  /// The group of channel `channel + k`, in a (segments, groups) array.
  __device__ int group(const RowChunks& r, int k) const {
    return segment * r.groups + (channel + k) / r.group_size;
  }
};

/// Loads the kBatch rows of this thread that start at `row`. Rows from `end` on are not read and stay 0.
/// Returns how many were read.
template <int kWidth>
__device__ int load_batch(const RowChunks& r, const Place& at, int row, const float* x,
                          Lanes<kWidth> (&values)[kBatch]) {
  int count = 0;
  RCNN_UNROLL
  for (int i = 0; i < kBatch; ++i) {
    const int taken = row + i * r.row_lanes;
    values[i] = {};
    if (taken < at.end) {
      values[i] = load_lanes<kWidth>(x + at.start + int64_t{taken} * r.c);
      ++count;
    }
  }
  return count;
}

/// g of the kBatch rows of this thread that start at `row`; 0 from `end` on.
template <int kWidth>
__device__ void load_gradient(const RowChunks& r, const Place& at, int row, const OutputGradient& gradient,
                              Lanes<kWidth> (&g)[kBatch]) {
  load_batch(r, at, row, gradient.dy, g);
  if (!gradient.y) return;
  Lanes<kWidth> y[kBatch];
  load_batch(r, at, row, gradient.y, y);
  RCNN_UNROLL
  for (int i = 0; i < kBatch; ++i) {
    RCNN_UNROLL
    for (int k = 0; k < kWidth; ++k) g[i].v[k] = relu_gradient(y[i].v[k], g[i].v[k]);
  }
}

/// The moments of the first `count` >= 1 rows of a batch. Squares are taken about a pivot, a float near the
/// mean; the sum of the distances from the pivot corrects them for its distance from the mean.
template <int kWidth>
__device__ Moments<kWidth> batch_moments(const Lanes<kWidth> (&x)[kBatch], int count) {
  Moments<kWidth> m;
  m.count = count;
  const double share = 1.0 / count;
  RCNN_UNROLL
  for (int k = 0; k < kWidth; ++k) {
    float pivot = 0, distances = 0, squares = 0;
    RCNN_UNROLL
    for (int i = 0; i < kBatch; ++i) pivot += x[i].v[k];  // 0 beyond count
    pivot *= static_cast<float>(share);
    RCNN_UNROLL
    for (int i = 0; i < kBatch; ++i) {
      const float distance = i < count ? x[i].v[k] - pivot : 0;
      distances += distance;
      squares = fmaf(distance, distance, squares);
    }
    const double shift = static_cast<double>(distances) * share;
    const double about_mean = static_cast<double>(squares) - static_cast<double>(distances) * shift;
    m.mean[k] = static_cast<double>(pivot) + shift;
    m.squares[k] = about_mean < 0 ? 0 : about_mean;
  }
  return m;
}

/// The first level of the moments. Shared memory: the moments of every thread, 18 KiB for kWidth = 4.
template <int kWidth>
__global__ void __launch_bounds__(kNormThreads)
    chunk_moments_kernel(RowChunks r, const float* x, ChunkMoments to) {
  RCNN_SHARED(Moments<kWidth>, all, [kNormThreads]);
  const Place at(r);
  Moments<kWidth> mine{};
  for (int row = at.first; row < at.end; row += kBatch * r.row_lanes) {
    Lanes<kWidth> values[kBatch];
    const int count = load_batch(r, at, row, x, values);
    merge(mine, batch_moments(values, count));
  }
  merge_row_lanes(all, mine, r.lanes, r.row_lanes);
  if (!at.leads(r)) return;
  for (int k = 0; k < kWidth; ++k) {
    to.mean[at.partial(r) + k] = all[threadIdx.x].mean[k];
    to.squares[at.partial(r) + k] = all[threadIdx.x].squares[k];
  }
}

template <int kWidth>
__global__ void __launch_bounds__(kNormThreads) normalize_kernel(RowChunks r, const float* x, Normalization n,
                                                                 const float* residual, bool relu, float* y) {
  const Place at(r);
  if (!at.active) return;
  Lanes<kWidth> mean, scale, bias;
  RCNN_UNROLL
  for (int k = 0; k < kWidth; ++k) {
    mean.v[k] = n.mean[at.group(r, k)];
    scale.v[k] = n.weight[at.channel + k] * n.inverse_deviation[at.group(r, k)];
    bias.v[k] = n.bias[at.channel + k];
  }
  for (int row = at.first; row < at.end; row += kBatch * r.row_lanes) {
    Lanes<kWidth> values[kBatch], added[kBatch] = {};
    const int count = load_batch(r, at, row, x, values);
    if (residual) load_batch(r, at, row, residual, added);
    RCNN_UNROLL
    for (int i = 0; i < kBatch; ++i) {
      if (i >= count) break;
      RCNN_UNROLL
      for (int k = 0; k < kWidth; ++k) {
        const float value = normalized(values[i].v[k], mean.v[k], scale.v[k], bias.v[k]) + added[i].v[k];
        values[i].v[k] = relu ? rectified(value) : value;
      }
      store_lanes(y + at.start + int64_t{row + i * r.row_lanes} * r.c, values[i]);
    }
  }
}

/// The first level of the sums; also writes dresidual. Shared memory: the sums of every thread, 16 KiB
/// for kWidth = 4.
template <int kWidth>
__global__ void __launch_bounds__(kNormThreads)
    chunk_sums_kernel(RowChunks r, const float* x, const float* means, OutputGradient gradient,
                      float* dresidual, Accumulate accumulate_residual, ChunkSums to) {
  RCNN_SHARED(PairSums<kWidth>, all, [kNormThreads]);
  const Place at(r);
  Lanes<kWidth> mean{};
  if (at.active)
    for (int k = 0; k < kWidth; ++k) mean.v[k] = means[at.group(r, k)];
  PairSums<kWidth> mine{};
  for (int row = at.first; row < at.end; row += kBatch * r.row_lanes) {
    Lanes<kWidth> values[kBatch], g[kBatch];
    const int count = load_batch(r, at, row, x, values);
    load_gradient(r, at, row, gradient, g);
    RCNN_UNROLL
    for (int k = 0; k < kWidth; ++k) {
      float sum = 0, moment = 0;
      RCNN_UNROLL
      for (int i = 0; i < kBatch; ++i) {
        if (i >= count) break;
        sum += g[i].v[k];
        moment = fmaf(g[i].v[k], values[i].v[k] - mean.v[k], moment);
      }
      mine.first[k] += static_cast<double>(sum);
      mine.second[k] += static_cast<double>(moment);
    }
    if (!dresidual) continue;
    RCNN_UNROLL
    for (int i = 0; i < kBatch; ++i)
      if (i < count)
        put_lanes(dresidual + at.start + int64_t{row + i * r.row_lanes} * r.c, g[i], accumulate_residual);
  }
  merge_row_lanes(all, mine, r.lanes, r.row_lanes);
  if (!at.leads(r)) return;
  for (int k = 0; k < kWidth; ++k) {
    to.gradient[at.partial(r) + k] = all[threadIdx.x].first[k];
    to.moment[at.partial(r) + k] = all[threadIdx.x].second[k];
  }
}

template <int kWidth>
__global__ void __launch_bounds__(kNormThreads)
    gradient_kernel(RowChunks r, const float* x, OutputGradient gradient, GroupGradientLine line, float* dx,
                    Accumulate accumulate) {
  const Place at(r);
  if (!at.active) return;
  Lanes<kWidth> mean, scale, slope, offset;
  RCNN_UNROLL
  for (int k = 0; k < kWidth; ++k) {
    const int group = at.group(r, k);
    mean.v[k] = line.mean[group];
    scale.v[k] = line.weight[at.channel + k] * line.inverse_deviation[group];
    slope.v[k] = line.slope[group];
    offset.v[k] = line.offset[group];
  }
  for (int row = at.first; row < at.end; row += kBatch * r.row_lanes) {
    Lanes<kWidth> values[kBatch], g[kBatch];
    const int count = load_batch(r, at, row, x, values);
    load_gradient(r, at, row, gradient, g);
    RCNN_UNROLL
    for (int i = 0; i < kBatch; ++i) {
      if (i >= count) break;
      RCNN_UNROLL
      for (int k = 0; k < kWidth; ++k)
        g[i].v[k] = scale.v[k] * g[i].v[k] + (slope.v[k] * (values[i].v[k] - mean.v[k]) + offset.v[k]);
      put_lanes(dx + at.start + int64_t{row + i * r.row_lanes} * r.c, g[i], accumulate);
    }
  }
}

int ceil_div(int a, int b) { return (a + b - 1) / b; }

}  // namespace

RowChunks::RowChunks(int64_t segments_, int64_t rows_, int64_t c_, int64_t groups_, bool four)
    : segments(static_cast<int>(segments_)),
      rows(static_cast<int>(rows_)),
      c(static_cast<int>(c_)),
      groups(static_cast<int>(groups_)),
      group_size(c / groups),
      width(four ? 4 : 1) {
  lanes = std::min(32, c / width);
  row_lanes = kNormThreads / lanes;
  tiles = ceil_div(c / width, lanes);
  // At least two batches per thread, so that merging the row lanes costs little in comparison.
  const int batch_rows = kBatch * row_lanes;
  const int wanted = std::max(1, kWantedBlocks / std::max(1, segments * tiles));
  chunk_rows = batch_rows * std::max(2, ceil_div(ceil_div(rows, wanted), batch_rows));
  chunks = ceil_div(rows, chunk_rows);
}

ChunkMoments chunk_moments(const Stream& stream, Workspace& workspace, const RowChunks& r, const float* x) {
  const ChunkMoments to{workspace.take<double>(r.partials()), workspace.take<double>(r.partials())};
  if (r.width == 4)
    launch<chunk_moments_kernel<4>>(stream, r.grid(), kNormThreads, 0, r, x, to);
  else
    launch<chunk_moments_kernel<1>>(stream, r.grid(), kNormThreads, 0, r, x, to);
  return to;
}

void normalize_chunks(const Stream& stream, const RowChunks& r, const float* x, const Normalization& n,
                      const float* residual, bool relu, float* y) {
  if (r.width == 4)
    launch<normalize_kernel<4>>(stream, r.grid(), kNormThreads, 0, r, x, n, residual, relu, y);
  else
    launch<normalize_kernel<1>>(stream, r.grid(), kNormThreads, 0, r, x, n, residual, relu, y);
}

ChunkSums chunk_sums(const Stream& stream, Workspace& workspace, const RowChunks& r, const float* x,
                     const float* mean, OutputGradient gradient, float* dresidual,
                     Accumulate accumulate_residual) {
  const ChunkSums to{workspace.take<double>(r.partials()), workspace.take<double>(r.partials())};
  if (r.width == 4)
    launch<chunk_sums_kernel<4>>(stream, r.grid(), kNormThreads, 0, r, x, mean, gradient, dresidual,
                                 accumulate_residual, to);
  else
    launch<chunk_sums_kernel<1>>(stream, r.grid(), kNormThreads, 0, r, x, mean, gradient, dresidual,
                                 accumulate_residual, to);
  return to;
}

void gradient_chunks(const Stream& stream, const RowChunks& r, const float* x, OutputGradient gradient,
                     const GroupGradientLine& line, float* dx, Accumulate accumulate) {
  if (r.width == 4)
    launch<gradient_kernel<4>>(stream, r.grid(), kNormThreads, 0, r, x, gradient, line, dx, accumulate);
  else
    launch<gradient_kernel<1>>(stream, r.grid(), kNormThreads, 0, r, x, gradient, line, dx, accumulate);
}

}  // namespace rcnn::kernels
