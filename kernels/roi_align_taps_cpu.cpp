// RoIAlign by merged taps. The points of a bin lie close together and share pixels: with 2 x 2 points a bin
// reads 16 corners but, where a bin is one to two pixels wide, only 9 distinct pixels. Because sampling is
// separable, the pixels of a bin are its rows times its columns, and two short lists an axis describe all of
// a RoI.
#include <algorithm>

#include "core/parallel.h"
#include "kernels/roi_align.h"
#include "kernels/roi_align_math.h"

namespace rcnn::kernels {
namespace {

constexpr int kMostTaps = 2 * kMostTapSampling;  // of a bin on one axis

/// A row (or column) that a bin reads, and its weight in the bin's mean.
struct Tap {
  int32_t at;
  float weight;
};

/// What one bin reads along one axis.
struct BinTaps {
  int32_t count;
  Tap taps[kMostTaps];
};

/// All RoIs' taps, in the workspace.
struct TapTable {
  int32_t* level;  // (N R); -1: padding, nothing else is set
  int32_t* first;  // (N R): first and last row that the RoI reads; none where last < first
  int32_t* last;   // (N R)
  BinTaps* y;      // (N R, PH)
  BinTaps* x;      // (N R, PW)
};

void add_tap(BinTaps& bin, int64_t at, float weight) {
  for (int i = 0; i < bin.count; ++i)
    if (bin.taps[i].at == at) {
      bin.taps[i].weight += weight;
      return;
    }
  bin.taps[bin.count++] = {static_cast<int32_t>(at), weight};
}

void fill_axis(const RoiAxis& axis, int64_t bins, int64_t size, BinTaps* taps) {
  const float points = static_cast<float>(axis.points);
  AxisSample sample{};
  for (int64_t bin = 0; bin < bins; ++bin) {
    taps[bin].count = 0;
    for (int i = 0; i < axis.points; ++i) {
      if (!axis_sample(axis, bin, i, size, sample)) continue;
      add_tap(taps[bin], sample.low, sample.low_weight / points);
      add_tap(taps[bin], sample.high, sample.high_weight / points);
    }
  }
}

void fill_roi(const RoiAlignGrid& a, int64_t k, TapTable& table) {
  const float* roi = a.rois + k * 4;
  const int level = roi_level(a, roi);
  const float scale = a.scale[level];
  BinTaps *y = table.y + k * a.ph, *x = table.x + k * a.pw;
  fill_axis(roi_axis(roi[1], roi[3], scale, a.ph, a.h[level], a.sampling, a.aligned), a.ph, a.h[level], y);
  fill_axis(roi_axis(roi[0], roi[2], scale, a.pw, a.w[level], a.sampling, a.aligned), a.pw, a.w[level], x);
  int32_t first = static_cast<int32_t>(a.h[level]), last = -1;
  for (int64_t py = 0; py < a.ph; ++py)
    for (int i = 0; i < y[py].count; ++i) {
      first = std::min(first, y[py].taps[i].at);
      last = std::max(last, y[py].taps[i].at);
    }
  table.level[k] = level;
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

/// y += weight x: everything after the tables is this, and memory.
void add_scaled(float* __restrict y, float weight, const float* __restrict x, int64_t size) {
  for (int64_t c = 0; c < size; ++c) y[c] += weight * x[c];
}

/// One bin: its rows times its columns of `map`.
void pool_bin(const BinTaps& rows, const BinTaps& columns, const float* map, int64_t w, int64_t c, float* y) {
  std::fill(y, y + c, 0.0f);
  for (int i = 0; i < rows.count; ++i)
    for (int j = 0; j < columns.count; ++j) {
      const Tap row = rows.taps[i], column = columns.taps[j];
      add_scaled(y, row.weight * column.weight, map + (row.at * w + column.at) * c, c);
    }
}

/// The part of a RoI's gradient that falls into rows [begin, end) of `map`.
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
