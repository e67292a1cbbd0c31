// RoIAlign with merged taps: see kernels/roi/roi_align_taps.h.
#include <algorithm>

#include "core/parallel.h"
#include "kernels/roi/roi_align_taps.h"

namespace rcnn::kernels {
namespace {

/// The taps of all RoIs, in the workspace.
struct TapTable {
  int32_t* level;  // (N R); -1: padding, for which nothing else is set
  int32_t* first;  // (N R): first row that the RoI reads
  int32_t* last;   // (N R): last row that the RoI reads; none if last < first
  BinTaps* y;      // (N R, PH)
  BinTaps* x;      // (N R, PW)
};

void fill_roi(const RoiAlignGrid& a, int64_t k, TapTable& table) {
  const RoiAxes roi = axes_of(a, a.rois + k * 4);
  const int64_t h = a.h[roi.level], w = a.w[roi.level];
  BinTaps *y = table.y + k * a.ph, *x = table.x + k * a.pw;
  for (int64_t py = 0; py < a.ph; ++py) fill_taps(roi.y, py, h, y[py]);
  for (int64_t px = 0; px < a.pw; ++px) fill_taps(roi.x, px, w, x[px]);
  int32_t first = static_cast<int32_t>(h), last = -1;
  for (int64_t py = 0; py < a.ph; ++py)
    for (int i = 0; i < y[py].count; ++i) {
      first = std::min(first, y[py].taps[i].at);
      last = std::max(last, y[py].taps[i].at);
    }
  table.level[k] = roi.level;
  table.first[k] = first;
  table.last[k] = last;
}

TapTable make_table(const RoiAlignGrid& a, Workspace& workspace) {
  const int64_t rows = a.n * a.r;
  TapTable table{workspace.take<int32_t>(rows), workspace.take<int32_t>(rows), workspace.take<int32_t>(rows),
                 workspace.take<BinTaps>(rows * a.ph), workspace.take<BinTaps>(rows * a.pw)};
  parallel_for(rows, 64, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      table.level[k] = -1;
      if (!is_padding(a, k / a.r, k % a.r)) fill_roi(a, k, table);
    }
  });
  return table;
}

/// y += weight x. Once the tables are made, all the time goes into this loop and its memory accesses.
void add_scaled(float* __restrict y, float weight, const float* __restrict x, int64_t size) {
  for (int64_t c = 0; c < size; ++c) y[c] += weight * x[c];
}

/// Pools one bin from `map`: its rows times its columns.
void pool_bin(const BinTaps& rows, const BinTaps& columns, const float* map, int64_t w, int64_t c, float* y) {
  std::fill(y, y + c, 0.0f);
  for (int i = 0; i < rows.count; ++i)
    for (int j = 0; j < columns.count; ++j) {
      const Tap row = rows.taps[i], column = columns.taps[j];
      add_scaled(y, row.weight * column.weight, map + (row.at * w + column.at) * c, c);
    }
}

/// Adds to `map` the part of a RoI's gradient that falls into the rows [begin, end).
void spread_roi(const RoiAlignGrid& a, const BinTaps* y, const BinTaps* x, const float* dy, int64_t begin,
                int64_t end, float* map, int64_t w) {
  for (int64_t py = 0; py < a.ph; ++py)
    for (int i = 0; i < y[py].count; ++i) {
      const Tap row = y[py].taps[i];
      if (row.at < begin || row.at >= end) continue;
      for (int64_t px = 0; px < a.pw; ++px)
        for (int j = 0; j < x[px].count; ++j) {
          const Tap column = x[px].taps[j];
          add_scaled(map + (row.at * w + column.at) * a.c, row.weight * column.weight,
                     dy + (py * a.pw + px) * a.c, a.c);
        }
    }
}

}  // namespace

void roi_align_merged_taps(const Stream&, Workspace& workspace, const RoiAlignArgs<float>& a) {
  const TapTable table = make_table(a, workspace);
  const int64_t size = a.ph * a.pw * a.c;
  parallel_for(a.n * a.r, 4, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      float* y = a.y + k * size;
      const int level = table.level[k];
      if (level < 0) {
        std::fill_n(y, size, 0.0f);
        continue;
      }
      const float* map = a.x[level] + k / a.r * a.h[level] * a.w[level] * a.c;
      for (int64_t py = 0; py < a.ph; ++py)
        for (int64_t px = 0; px < a.pw; ++px, y += a.c)
          pool_bin(table.y[k * a.ph + py], table.x[k * a.pw + px], map, a.w[level], a.c, y);
    }
  });
}

void roi_align_backward_merged_taps(const Stream&, Workspace& workspace,
                                    const RoiAlignBackwardArgs<float>& a) {
  constexpr int64_t kBand = 8;  // rows
  const TapTable table = make_table(a, workspace);
  for (int level = 0; level < a.levels; ++level) {
    if (a.dx[level] == nullptr) continue;
    const int64_t h = a.h[level], w = a.w[level], bands = (h + kBand - 1) / kBand;
    parallel_chunks(a.n * bands, [&](int64_t chunk) {
      const int64_t image = chunk / bands, begin = chunk % bands * kBand, end = std::min(h, begin + kBand);
      float* map = a.dx[level] + image * h * w * a.c;
      if (a.accumulate[level] == Accumulate::no) std::fill(map + begin * w * a.c, map + end * w * a.c, 0.0f);
      for (int64_t k = image * a.r; k < (image + 1) * a.r; ++k)
        if (table.level[k] == level && table.first[k] < end && table.last[k] >= begin)
          spread_roi(a, table.y + k * a.ph, table.x + k * a.pw, a.dy + k * a.ph * a.pw * a.c, begin, end, map,
                     w);
    });
  }
}

}  // namespace rcnn::kernels
