#include <algorithm>

#include "core/parallel.h"
#include "kernels/norm/folded_rows.h"
#include "kernels/norm/norm_math.h"

namespace rcnn::kernels {
namespace {

/// How the rows of a segment are folded into wide rows and cut into chunks. It depends only on the sizes.
struct Folding {
  int64_t segments, rows, c;
  int64_t fold;    // rows in a wide row
  int64_t lanes;   // fold * c
  int64_t grain;   // maximum number of rows in a chunk
  int64_t chunks;  // per segment

  explicit Folding(const Segments& s) : segments(s.count), rows(s.rows), c(s.c) {
    fold = (127 + c) / c;
    lanes = fold * c;
    grain = std::max<int64_t>(64, (1 << 15) / c);
    chunks = (rows + grain - 1) / grain;
  }
  int64_t all_chunks() const { return segments * chunks; }
  int64_t rows_of(int64_t chunk) const { return std::min(grain, rows - chunk * grain); }
};

/// Calls body(index, segment, first element, rows) for every chunk of every segment, in parallel; `index`
/// counts the chunks of all segments.
template <class F>
void for_chunks(const Folding& f, F body) {
  parallel_chunks(f.all_chunks(), [&](int64_t index) {
    const int64_t segment = index / f.chunks, chunk = index % f.chunks;
    body(index, segment, (segment * f.rows + chunk * f.grain) * f.c, f.rows_of(chunk));
  });
}

/// Calls body(offset, lanes) for every wide row of a chunk; the last one may be shorter.
template <class F>
void for_wide_rows(const Folding& f, int64_t rows, F body) {
  for (int64_t row = 0; row < rows; row += f.fold) body(row * f.c, std::min(f.fold, rows - row) * f.c);
}

/// A (segments, C) array with each channel's value repeated in all its lanes: (segments, lanes).
const float* spread(Workspace& workspace, const Folding& f, const float* values) {
  float* wide = workspace.take<float>(f.segments * f.lanes);
  for (int64_t segment = 0; segment < f.segments; ++segment)
    for (int64_t i = 0; i < f.fold; ++i)
      std::copy_n(values + segment * f.c, f.c, wide + segment * f.lanes + i * f.c);
  return wide;
}

/// The sum of a channel's lanes.
double fold_lanes(const Folding& f, const float* lanes, int64_t c) {
  double sum = 0;
  for (int64_t i = 0; i < f.fold; ++i) sum += static_cast<double>(lanes[i * f.c + c]);
  return sum;
}

// The inner loops, over the lanes of a wide row.

void add_row(int64_t n, const float* __restrict x, float* __restrict sum) {
  for (int64_t i = 0; i < n; ++i) sum[i] += x[i];
}

void add_deviations(int64_t n, const float* __restrict x, const float* __restrict pivot,
                    float* __restrict sum, float* __restrict squares) {
  for (int64_t i = 0; i < n; ++i) {
    const float d = x[i] - pivot[i];
    sum[i] += d;
    squares[i] += d * d;
  }
}

void normalize_row(int64_t n, const float* __restrict x, const float* __restrict mean,
                   const float* __restrict scale, const float* __restrict bias, float* __restrict y) {
  for (int64_t i = 0; i < n; ++i) y[i] = normalized(x[i], mean[i], scale[i], bias[i]);
}

void rectify_row(int64_t n, float* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = rectified(y[i]);
}

void gate_row(int64_t n, const float* __restrict y, const float* __restrict dy, float* __restrict g) {
  for (int64_t i = 0; i < n; ++i) {
    const float d = dy[i];
    g[i] = relu_gradient(y[i], d);
  }
}

void add_products(int64_t n, const float* __restrict g, const float* __restrict x,
                  const float* __restrict mean, float* __restrict sum, float* __restrict moment) {
  for (int64_t i = 0; i < n; ++i) {
    sum[i] += g[i];
    moment[i] += g[i] * (x[i] - mean[i]);
  }
}

template <bool kAdd>
void line_row(int64_t n, const float* __restrict g, const float* __restrict x, const float* __restrict mean,
              const float* __restrict scale, const float* __restrict slope, const float* __restrict offset,
              float* __restrict dx) {
  for (int64_t i = 0; i < n; ++i) {
    const float d = scale[i] * g[i] + (slope[i] * (x[i] - mean[i]) + offset[i]);
    dx[i] = kAdd ? dx[i] + d : d;
  }
}

/// g of one wide row: dy itself, or computed into `scratch`.
const float* gated_row(GatedGradient gradient, int64_t at, int64_t n, float* scratch) {
  if (!gradient.y) return gradient.dy + at;
  gate_row(n, gradient.y + at, gradient.dy + at, scratch);
  return scratch;
}

}  // namespace

void channel_moments(Workspace& workspace, const Segments& s, const float* x, double* mean, double* squares) {
  const Folding f(s);
  float* scratch = workspace.take<float>(f.all_chunks() * 3 * f.lanes);
  double* chunk_mean = workspace.take<double>(f.all_chunks() * f.c);
  double* chunk_squares = workspace.take<double>(f.all_chunks() * f.c);
  for_chunks(f, [&](int64_t index, int64_t, int64_t first, int64_t rows) {
    float* pivot = scratch + index * 3 * f.lanes;
    float* sum = pivot + f.lanes;
    float* square = sum + f.lanes;
    std::fill(pivot, pivot + 3 * f.lanes, 0.0f);
    for_wide_rows(f, rows, [&](int64_t at, int64_t n) { add_row(n, x + first + at, pivot); });
    for (int64_t c = 0; c < f.c; ++c) {
      const double about = fold_lanes(f, pivot, c) / static_cast<double>(rows);
      for (int64_t i = 0; i < f.fold; ++i) pivot[i * f.c + c] = static_cast<float>(about);
    }
    for_wide_rows(f, rows,
                  [&](int64_t at, int64_t n) { add_deviations(n, x + first + at, pivot, sum, square); });
    for (int64_t c = 0; c < f.c; ++c) {
      // The pivot is rounded, so the mean of the deviations from it is small but not 0.
      const double deviation = fold_lanes(f, sum, c), shift = deviation / static_cast<double>(rows);
      const double about_mean = fold_lanes(f, square, c) - deviation * shift;
      chunk_mean[index * f.c + c] = static_cast<double>(pivot[c]) + shift;
      chunk_squares[index * f.c + c] = about_mean < 0 ? 0 : about_mean;
    }
  });

  std::fill(mean, mean + s.count * s.c, 0.0);
  std::fill(squares, squares + s.count * s.c, 0.0);
  for (int64_t index = 0; index < f.all_chunks(); ++index) {
    double* m = mean + index / f.chunks * f.c;
    const double share = static_cast<double>(f.rows_of(index % f.chunks)) / static_cast<double>(f.rows);
    for (int64_t c = 0; c < f.c; ++c) m[c] += share * chunk_mean[index * f.c + c];
  }
  for (int64_t index = 0; index < f.all_chunks(); ++index) {
    const int64_t at = index / f.chunks * f.c;
    const double rows = static_cast<double>(f.rows_of(index % f.chunks));
    for (int64_t c = 0; c < f.c; ++c) {
      const double d = chunk_mean[index * f.c + c] - mean[at + c];
      squares[at + c] += chunk_squares[index * f.c + c] + rows * d * d;
    }
  }
}

void normalize_rows(Workspace& workspace, const Segments& s, const float* x, const float* mean,
                    const float* scale, const float* bias, const float* residual, bool relu, float* y) {
  const Folding f(s);
  const float* wide_mean = spread(workspace, f, mean);
  const float* wide_scale = spread(workspace, f, scale);
  const float* wide_bias = spread(workspace, f, bias);
  for_chunks(f, [&](int64_t, int64_t segment, int64_t first, int64_t rows) {
    const int64_t lane = segment * f.lanes;
    for_wide_rows(f, rows, [&](int64_t offset, int64_t n) {
      const int64_t at = first + offset;
      normalize_row(n, x + at, wide_mean + lane, wide_scale + lane, wide_bias + lane, y + at);
      if (residual) add_row(n, residual + at, y + at);
      if (relu) rectify_row(n, y + at);
    });
  });
}

void gradient_sums(Workspace& workspace, const Segments& s, const float* x, const float* mean,
                   GatedGradient gradient, float* dresidual, Accumulate accumulate_residual, double* sum,
                   double* moment) {
  const Folding f(s);
  const float* wide_mean = spread(workspace, f, mean);
  float* scratch = workspace.take<float>(f.all_chunks() * 3 * f.lanes);
  for_chunks(f, [&](int64_t index, int64_t segment, int64_t first, int64_t rows) {
    float* chunk_sum = scratch + index * 3 * f.lanes;
    float* chunk_moment = chunk_sum + f.lanes;
    std::fill(chunk_sum, chunk_sum + 2 * f.lanes, 0.0f);
    for_wide_rows(f, rows, [&](int64_t offset, int64_t n) {
      const int64_t at = first + offset;
      const float* g = gated_row(gradient, at, n, chunk_moment + f.lanes);
      if (dresidual && accumulate_residual == Accumulate::yes)
        add_row(n, g, dresidual + at);
      else if (dresidual)
        std::copy_n(g, n, dresidual + at);
      add_products(n, g, x + at, wide_mean + segment * f.lanes, chunk_sum, chunk_moment);
    });
  });

  std::fill(sum, sum + s.count * s.c, 0.0);
  std::fill(moment, moment + s.count * s.c, 0.0);
  for (int64_t index = 0; index < f.all_chunks(); ++index) {
    const float* chunk_sum = scratch + index * 3 * f.lanes;
    const int64_t at = index / f.chunks * f.c;
    for (int64_t c = 0; c < f.c; ++c) {
      sum[at + c] += fold_lanes(f, chunk_sum, c);
      moment[at + c] += fold_lanes(f, chunk_sum + f.lanes, c);
    }
  }
}

void gradient_rows(Workspace& workspace, const Segments& s, const float* x, const float* mean,
                   GatedGradient gradient, const GradientLine& line, float* dx, Accumulate accumulate) {
  const Folding f(s);
  const float* wide_mean = spread(workspace, f, mean);
  const float* wide_scale = spread(workspace, f, line.scale);
  const float* wide_slope = spread(workspace, f, line.slope);
  const float* wide_offset = spread(workspace, f, line.offset);
  float* scratch = workspace.take<float>(f.all_chunks() * f.lanes);
  const auto row = accumulate == Accumulate::yes ? line_row<true> : line_row<false>;
  for_chunks(f, [&](int64_t index, int64_t segment, int64_t first, int64_t rows) {
    const int64_t lane = segment * f.lanes;
    for_wide_rows(f, rows, [&](int64_t offset, int64_t n) {
      const int64_t at = first + offset;
      const float* g = gated_row(gradient, at, n, scratch + index * f.lanes);
      row(n, g, x + at, wide_mean + lane, wide_scale + lane, wide_slope + lane, wide_offset + lane, dx + at);
    });
  });
}

}  // namespace rcnn::kernels
