// Convolution by products with packed panels: which rows of the matrix of patches make a block, how they are
// gathered, and which thread takes which. See kernels/gemm/panel_conv.h.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <string_view>
#include <vector>

#include "core/parallel.h"
#include "kernels/gemm/instruction_sets.h"
#include "kernels/gemm/packed_filters.h"
#include "kernels/gemm/panel_conv.h"

namespace rcnn::kernels {
namespace {

/// Gathered rows lie so many floats farther apart than they are long: rows whose distance is a power of two
/// would compete for one set of the cache.
constexpr int64_t kGap = 16;
/// Bytes of the rows of a block. They stay in the L2 cache of their thread while panel after panel passes.
constexpr int64_t kBlockBytes = int64_t{256} << 10;

/// Rows of the matrix of patches are rows of x as it is.
bool is_pointwise(const Conv2dShape& s) { return s.r == 1 && s.s == 1 && s.stride == 1 && s.pad == 0; }

/// Row `row` of the matrix of patches: element (r, s, c) is the pixel under tap (r, s), or 0 outside x.
void gather(const PanelConv& conv, int64_t row, float* to) {
  const Conv2dShape& s = conv.shape;
  const int64_t oh = s.oh(), ow = s.ow(), image = row / (oh * ow);
  const int64_t top = row / ow % oh * s.stride - s.pad, left = row % ow * s.stride - s.pad;
  for (int64_t r = 0; r < s.r; ++r) {
    const int64_t line = top + r * s.dilation;
    const float* from = conv.x + (image * s.h + line) * s.w * s.c;
    for (int64_t tap = 0; tap < s.s; ++tap, to += s.c) {
      const int64_t column = left + tap * s.dilation;
      if (line >= 0 && line < s.h && column >= 0 && column < s.w)
        std::memcpy(to, from + column * s.c, static_cast<size_t>(s.c) * sizeof(float));
      else
        std::fill(to, to + s.c, 0.0F);
    }
  }
}

/// Rows per block: as many as stay in the cache, in equal shares for the threads.
int64_t block_rows(const PanelKernels& kernels, const PanelConv& conv, int64_t rows) {
  const int64_t multiple = kernels.tile_rows, threads = threads_at_work();
  const int64_t fit = kBlockBytes / (conv.depth() * static_cast<int64_t>(sizeof(float)));
  const int64_t most = std::clamp(fit / multiple * multiple, multiple, kMaxPatchRows / multiple * multiple);
  const int64_t blocks = (rows + most * threads - 1) / (most * threads) * threads;
  const int64_t share = (rows + blocks - 1) / blocks;
  return std::min(most, (share + multiple - 1) / multiple * multiple);
}

/// Runs `conv`, whose filters are packed.
void convolve(const PanelKernels& kernels, Workspace& workspace, const PanelConv& conv) {
  const Conv2dShape& s = conv.shape;
  const int64_t rows = s.n * s.oh() * s.ow();
  if (rows == 0) return;
  const int64_t size = block_rows(kernels, conv, rows);
  const int64_t workers = std::min<int64_t>(threads_at_work(), (rows + size - 1) / size);
  const bool gathers = !is_pointwise(s);
  const int64_t stride = gathers ? conv.depth() + kGap : s.c;
  std::vector<float*> memory(static_cast<size_t>(workers));
  if (gathers)
    for (float*& block : memory) block = workspace.take<float>(size * stride);
  std::atomic<int64_t> next{0};
  parallel_chunks(workers, [&](int64_t worker) {
    float* block = memory[static_cast<size_t>(worker)];
    for (int64_t first = next.fetch_add(size); first < rows; first = next.fetch_add(size)) {
      PatchRows patches{.first = first, .rows = std::min(size, rows - first), .stride = stride};
      patches.data = gathers ? block : conv.x + first * s.c;
      if (gathers)
        for (int64_t i = 0; i < patches.rows; ++i) gather(conv, first + i, block + i * stride);
      for (int64_t k = 0; k < s.k; k += kernels.panel) kernels.multiply(conv, patches, k);
    }
  });
}

const float* packed_filters(const PanelKernels& kernels, Workspace& workspace, PanelFilters f,
                            const WeightsKey& weights, bool turned) {
  return packed_filters(workspace, weights, {f.w, &kernels, turned}, f.packed_size(), [&](float* packed) {
    f.packed = packed;
    parallel_chunks((f.k + kernels.panel - 1) / kernels.panel,
                    [&](int64_t panel) { kernels.pack(f, panel * kernels.panel); });
  });
}

}  // namespace

std::span<const PanelKernels* const> panel_kernels() {
  static const auto all = for_instruction_sets<&panels_avx512, &panels_avx2, &panels_baseline>();
  return all;
}

void conv2d_panels(const PanelKernels& kernels, Workspace& workspace, const Conv2dArgs<float>& a) {
  const Conv2dShape& s = a.shape;
  const int64_t depth = s.r * s.s * s.c;
  const PanelFilters filters{.k = s.k, .depth = depth, .w = a.w, .k_stride = depth, .depth_stride = 1};
  convolve(kernels, workspace,
           {.shape = s,
            .filters = packed_filters(kernels, workspace, filters, a.weights, false),
            .x = a.x,
            .scale = a.scale,
            .bias = a.bias,
            .residual = a.residual,
            .relu = a.relu,
            .y = a.y});
}

// For a filter of one pixel, dx is the convolution of g with the filters in which C and K have changed
// places.
void conv2d_dx_panels(const PanelKernels& kernels, Workspace& workspace, const Conv2dDxArgs<float>& a) {
  const Conv2dShape& s = a.shape;
  const PanelFilters filters{.k = s.c, .depth = s.k, .w = a.w, .k_stride = 1, .depth_stride = s.c};
  convolve(kernels, workspace,
           {.shape = {.n = s.n, .h = s.h, .w = s.w, .c = s.k, .k = s.c},
            .filters = packed_filters(kernels, workspace, filters, a.weights, true),
            .x = a.g,
            .residual = a.accumulate == Accumulate::yes ? a.dx : nullptr,
            .y = a.dx});
}

bool panels_can_dx(const Conv2dDxArgs<float>& a) { return is_pointwise(a.shape); }

bool panels_faster(const Conv2dArgs<float>& a) {
  if (!on_onednn.built) return true;
  // oneDNN's kernels for AVX2 reach 50 to 110 of 190 GFLOP/s on these, and 160 on filters of one pixel; its
  // kernels for AVX-512 were not measured.
  static const bool avx2 = std::string_view(panel_kernels()[0]->instruction_set) == "AVX2";
  constexpr int64_t kMinChannels = 64;
  return avx2 && a.shape.stride > 1 && a.shape.r * a.shape.s > 1 && a.shape.c >= kMinChannels;
}
bool panels_faster_dx(const Conv2dDxArgs<float>&) { return !on_onednn.built; }

void conv2d_panels(const Stream&, Workspace& workspace, const Conv2dArgs<float>& a) {
  conv2d_panels(*panel_kernels()[0], workspace, a);
}
void conv2d_dx_panels(const Stream&, Workspace& workspace, const Conv2dDxArgs<float>& a) {
  conv2d_dx_panels(*panel_kernels()[0], workspace, a);
}

}  // namespace rcnn::kernels
