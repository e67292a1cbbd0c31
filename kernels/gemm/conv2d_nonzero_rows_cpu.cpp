// Gradients of a convolution if most rows of g (one per pixel of the output) are 0.
//
// The loss of the RPN reaches 256 anchors per image, out of many thousands, so nearly all of the gradient
// that comes back to its 3x3 convolution is 0. The rows that are not 0 are gathered into a matrix G (P, K).
// With the patches X (P, R S C) of x under those pixels,
//
//     dw = G^T X,    dx = the rows of G w, each (R, S, C), added where their patch lies.
//
// A row of zeros is skipped even where x or w is not finite, although 0 times infinity is NaN: the forward
// pass has already shown such a value.
#include <algorithm>
#include <atomic>

#include "core/parallel.h"
#include "kernels/gemm/conv2d.h"
#include "kernels/gemm/matmul.h"

namespace rcnn::kernels {
namespace {

/// At most one row in this many may be other than 0, or gathering does not pay.
constexpr int64_t kShare = 8;
/// G is filled up with rows of zeros to a multiple of this many, so that products of few different shapes
/// occur: oneDNN prepares each shape once.
constexpr int64_t kRows = 64;

int64_t rows_of(const Conv2dShape& s) { return s.n * s.oh() * s.ow(); }

/// Rows of g that one thread looks at before it takes others.
constexpr int64_t kChunkRows = 512;

/// Whether a row of g is 0. The loop does not end early, so that the compiler vectorises it.
bool is_zero(const float* row, int64_t k) {
  int other = 0;
  for (int64_t i = 0; i < k; ++i) other |= static_cast<int>(row[i] != 0);
  return other == 0;
}

/// The rows of g that are not 0.
struct Rows {
  int64_t* at;        // their indices in g, ascending
  int64_t found = 0;  // their number
  int64_t count;      // with the rows of zeros
  float* g;           // (count, K)

  Rows(const Conv2dShape& s, const float* all, Workspace& workspace)
      : at(workspace.take<int64_t>(rows_of(s))) {
    // Each chunk writes its indices where its rows begin; then they are moved together.
    const int64_t rows = rows_of(s), chunks = (rows + kChunkRows - 1) / kChunkRows;
    int64_t* found_in = workspace.take<int64_t>(chunks);
    parallel_chunks(chunks, [&](int64_t chunk) {
      int64_t* to = at + chunk * kChunkRows;
      for (int64_t row = chunk * kChunkRows; row < std::min(rows, (chunk + 1) * kChunkRows); ++row)
        if (!is_zero(all + row * s.k, s.k)) *to++ = row;
      found_in[chunk] = to - (at + chunk * kChunkRows);
    });
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      std::copy_n(at + chunk * kChunkRows, found_in[chunk], at + found);
      found += found_in[chunk];
    }
    count = (found + kRows - 1) / kRows * kRows;
    g = workspace.take<float>(count * s.k);
    for (int64_t i = 0; i < found; ++i) std::copy_n(all + at[i] * s.k, s.k, g + i * s.k);
    std::fill(g + found * s.k, g + count * s.k, 0.0f);
  }
};

/// Calls `visit(offset in the images (N, H, W, C), offset in the patch)` for every pixel of the patch under
/// row `row` of g. The first offset is -1 for a pixel outside the image.
template <class Visit>
void for_each_pixel(const Conv2dShape& p, int64_t row, Visit visit) {
  const int64_t ow = p.ow(), oh = p.oh(), image = row / (oh * ow);
  const int64_t top = row / ow % oh * p.stride - p.pad, left = row % ow * p.stride - p.pad;
  for (int64_t r = 0; r < p.r; ++r)
    for (int64_t s = 0; s < p.s; ++s) {
      const int64_t i = top + r * p.dilation, j = left + s * p.dilation;
      const bool inside = i >= 0 && i < p.h && j >= 0 && j < p.w;
      visit(inside ? ((image * p.h + i) * p.w + j) * p.c : -1, (r * p.s + s) * p.c);
    }
}

void multiply(const Stream& stream, Workspace& workspace, const MatmulArgs<float>& args) {
#if defined(RCNN_ONEDNN)
  matmul_onednn(stream, workspace, args);
#else
  matmul_reference(stream, workspace, args);
#endif
}

}  // namespace

template <class Args>
bool has_few_rows(const Args& a) {
  const int64_t rows = rows_of(a.shape), k = a.shape.k;
  std::atomic<int64_t> found{0};  // no more chunks are looked at once it is too large
  parallel_for(rows, kChunkRows, [&](int64_t begin, int64_t end) {
    if (found.load(std::memory_order_relaxed) > rows / kShare) return;
    int64_t here = 0;
    for (int64_t row = begin; row < end; ++row) here += is_zero(a.g + row * k, k) ? 0 : 1;
    found += here;
  });
  return found <= rows / kShare;
}
template bool has_few_rows(const Conv2dDxArgs<float>&);
template bool has_few_rows(const Conv2dDwArgs<float>&);

void conv2d_dx_nonzero_rows(const Stream& stream, Workspace& workspace, const Conv2dDxArgs<float>& a) {
  const Conv2dShape& p = a.shape;
  const int64_t patch = p.r * p.s * p.c, image = p.h * p.w * p.c;
  const Rows rows(p, a.g, workspace);
  float* patches = workspace.take<float>(rows.count * patch);
  multiply(stream, workspace,
           {rows.count, patch, p.k, false, false, rows.g, a.w, nullptr, false, patches, Accumulate::no});
  parallel_chunks(p.n, [&](int64_t n) {
    if (a.accumulate == Accumulate::no) std::fill_n(a.dx + n * image, image, 0.0f);
    const int64_t *first = rows.at, *last = first + rows.found, pixels = p.oh() * p.ow();
    const int64_t *begin = std::lower_bound(first, last, n * pixels),
                  *end = std::lower_bound(begin, last, (n + 1) * pixels);
    for (const int64_t* row = begin; row != end; ++row) {
      const float* from = patches + (row - first) * patch;
      for_each_pixel(p, *row, [&](int64_t at, int64_t place) {
        if (at < 0) return;
        for (int64_t c = 0; c < p.c; ++c) a.dx[at + c] += from[place + c];
      });
    }
  });
}

void conv2d_dw_nonzero_rows(const Stream& stream, Workspace& workspace, const Conv2dDwArgs<float>& a) {
  const Conv2dShape& p = a.shape;
  const int64_t patch = p.r * p.s * p.c;
  const Rows rows(p, a.g, workspace);
  float* patches = workspace.take<float>(rows.count * patch);
  parallel_for(rows.count, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float* to = patches + i * patch;
      if (i >= rows.found) {
        std::fill_n(to, patch, 0.0f);
        continue;
      }
      for_each_pixel(p, rows.at[i], [&](int64_t at, int64_t place) {
        if (at < 0) {
          std::fill_n(to + place, p.c, 0.0f);
        } else {
          std::copy_n(a.x + at, p.c, to + place);
        }
      });
    }
  });
  multiply(stream, workspace,
           {p.k, patch, rows.count, true, false, rows.g, patches, nullptr, false, a.dw, a.accumulate});
}

}  // namespace rcnn::kernels
