// Convolution by Winograd's method: which tiles go through the three stages together, on how many threads,
// and the packed filters that are kept. See kernels/gemm/winograd.h for the stages.
#include <algorithm>
#include <atomic>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/parallel.h"
#include "kernels/gemm/instruction_sets.h"
#include "kernels/gemm/packed_filters.h"
#include "kernels/gemm/winograd.h"
#include "kernels/gemm/winograd_math.h"

namespace rcnn::kernels {
namespace {

constexpr int64_t kFloat = sizeof(float);

int64_t positions(const WinogradKernels& kernels) { return int64_t{kernels.patch} * kernels.patch; }
int64_t packed_size(const WinogradKernels& kernels, const WinogradFilters& f) {
  return positions(kernels) * winograd_slice(f.k * f.c);
}

void pack(const WinogradKernels& kernels, WinogradFilters f, float* packed) {
  f.packed = packed;
  parallel_chunks(f.k / kWinogradChannels,
                  [&](int64_t group) { kernels.pack(f, group * kWinogradChannels); });
}

const float* packed_filters(const WinogradKernels& kernels, Workspace& workspace, const WinogradFilters& f,
                            const WeightsKey& weights) {
  return packed_filters(workspace, weights, {f.w, &kernels, f.turned}, packed_size(kernels, f),
                        [&](float* packed) { pack(kernels, f, packed); });
}

/// Bytes of V and M. Alone, a thread works on a block of about this size, which mostly stays in its L2 cache.
/// Together, threads work on a block that stays in the L3 cache.
constexpr int64_t kAlone = int64_t{1} << 20, kTogether = int64_t{16} << 20;
/// Every block reads all filters. If these do not stay in the cache either, blocks must be large.
constexpr int64_t kLargeFilters = int64_t{16} << 20;
/// Such filters stay in the L2 cache of each thread beside its block.
constexpr int64_t kSmallFilters = int64_t{1} << 20;
/// The tiles of a block over which dw is summed: at least so many, because each block reads and writes the
/// sums.
constexpr int64_t kMinSummed = 128;

/// How the tiles are cut into blocks. None of it changes the bits of a result: a stage computes each of its
/// outputs in one order.
struct Plan {
  int64_t tiles;
  int64_t block;    // tiles per block
  int64_t workers;  // that carry a block through all stages each; 0: all threads work on one block together
};

Plan make_plan(const WinogradKernels& kernels, const WinogradConv& conv) {
  const Conv2dShape& s = conv.shape;
  const int64_t tiles = s.n * conv.tile_rows * conv.tile_columns;
  const int64_t tile_bytes = positions(kernels) * (s.c + s.k) * kFloat;
  const auto block_of = [&](int64_t bytes, int64_t min_multiples) {
    const int64_t multiples = std::max(min_multiples, bytes / (tile_bytes * kernels.block_multiple));
    return std::min(tiles, multiples * kernels.block_multiple);
  };
  const int64_t threads = threads_at_work(), filter_bytes = positions(kernels) * s.c * s.k * kFloat;
  int64_t alone = block_of(kAlone, 24 / kernels.block_multiple);
  if (filter_bytes <= kSmallFilters) {  // equal shares for a small image
    const int64_t share = (tiles + threads - 1) / threads, multiple = kernels.block_multiple;
    alone = std::min(alone, (share + multiple - 1) / multiple * multiple);
  }
  const int64_t blocks = (tiles + alone - 1) / alone;
  const bool together =
      filter_bytes > kLargeFilters || (filter_bytes > kSmallFilters && blocks < 2 * threads);
  if (together && threads > 1) return {tiles, block_of(kTogether, 1), 0};
  return {tiles, together ? block_of(kTogether, 1) : alone, std::min(threads, blocks)};
}

/// Memory for the transforms of a block.
WinogradBlock take_block(const WinogradKernels& kernels, Workspace& workspace, const Conv2dShape& s,
                         int64_t tiles) {
  const int64_t v = positions(kernels) * winograd_slice(tiles * s.c);
  const int64_t m = positions(kernels) * winograd_slice(tiles * s.k);
  return {0, 0, workspace.take<float>(v), workspace.take<float>(m)};
}

/// Sets the tiles of `conv`.
void cut_in_tiles(const WinogradKernels& kernels, Workspace& workspace, WinogradConv& conv) {
  const Conv2dShape& s = conv.shape;
  conv.tile_rows = (s.oh() + kernels.tile - 1) / kernels.tile;
  conv.tile_columns = (s.ow() + kernels.tile - 1) / kernels.tile;
  const int64_t channels = std::max(s.c, s.k);
  float* zeros = workspace.take<float>(channels);
  std::fill(zeros, zeros + channels, 0.0F);
  conv.zeros = zeros;
}

constexpr int64_t kTiles = 4;  // per piece of work that transforms tiles

/// One thread carries a block through all stages.
void run_alone(const WinogradKernels& kernels, const WinogradConv& conv, const WinogradBlock& block) {
  kernels.input(conv, block, 0, block.count);
  for (int64_t p = 0; p < positions(kernels); ++p)
    for (int64_t k = 0; k < conv.shape.k; k += kernels.panel) kernels.multiply(conv, block, p, k);
  kernels.output(conv, block, 0, block.count);
}

/// All threads share each stage of a block.
void run_together(const WinogradKernels& kernels, const WinogradConv& conv, const WinogradBlock& block) {
  const int64_t panels = (conv.shape.k + kernels.panel - 1) / kernels.panel;
  parallel_for(block.count, kTiles,
               [&](int64_t begin, int64_t end) { kernels.input(conv, block, begin, end); });
  parallel_chunks(positions(kernels) * panels, [&](int64_t part) {
    kernels.multiply(conv, block, part / panels, part % panels * kernels.panel);
  });
  parallel_for(block.count, kTiles,
               [&](int64_t begin, int64_t end) { kernels.output(conv, block, begin, end); });
}

/// Runs `conv`, whose filters are packed.
void convolve(const WinogradKernels& kernels, Workspace& workspace, WinogradConv conv) {
  const Conv2dShape& s = conv.shape;
  cut_in_tiles(kernels, workspace, conv);
  const Plan plan = make_plan(kernels, conv);
  const auto use = [&](WinogradBlock& block, int64_t first) {
    block.first = first;
    block.count = std::min(plan.block, plan.tiles - first);
  };
  if (plan.workers == 0) {
    WinogradBlock block = take_block(kernels, workspace, s, plan.block);
    for (int64_t first = 0; first < plan.tiles; first += plan.block) {
      use(block, first);
      run_together(kernels, conv, block);
    }
    return;
  }
  // As many workers as threads, because each needs memory. They take the blocks in turn.
  std::vector<WinogradBlock> memory;
  for (int64_t i = 0; i < plan.workers; ++i) memory.push_back(take_block(kernels, workspace, s, plan.block));
  std::atomic<int64_t> next{0};
  parallel_chunks(plan.workers, [&](int64_t worker) {
    WinogradBlock block = memory[static_cast<size_t>(worker)];
    for (int64_t first = next.fetch_add(plan.block); first < plan.tiles; first = next.fetch_add(plan.block)) {
      use(block, first);
      run_alone(kernels, conv, block);
    }
  });
}

}  // namespace

std::span<const WinogradKernels* const> winograd_kernels(int tile) {
  static const auto f2 =
      for_instruction_sets<&winograd_f2_avx512, &winograd_f2_avx2, &winograd_f2_baseline>();
  static const auto f4 =
      for_instruction_sets<&winograd_f4_avx512, &winograd_f4_avx2, &winograd_f4_baseline>();
  return tile == 2 ? f2 : f4;
}

template <class Args>
bool winograd_can(const Args& a) {
  const Conv2dShape& s = a.shape;
  // An element of dw is made of sums over whole patches, in which more is added, and cancels again, than the
  // element's own products. With few of them, the error would not be in proportion to these.
  constexpr int64_t kMinProducts = 128;
  if constexpr (std::is_same_v<Args, Conv2dDwArgs<float>>)
    if (s.n * s.oh() * s.ow() < kMinProducts) return false;
  return s.r == 3 && s.s == 3 && s.stride == 1 && s.dilation == 1 && s.pad >= 0 && s.pad <= 2 &&
         s.c % kWinogradChannels == 0 && s.k % kWinogradChannels == 0;
}
template bool winograd_can(const Conv2dArgs<float>&);
template bool winograd_can(const Conv2dDxArgs<float>&);
template bool winograd_can(const Conv2dDwArgs<float>&);

template <class Args>
bool winograd_f4_faster(const Args& a) {
  if (!on_onednn.built) return true;
  const Conv2dShape& s = a.shape;
  constexpr bool kGradient = std::is_same_v<Args, Conv2dDwArgs<float>>;
  constexpr int64_t kMinChannels = 32, kMinProducts = kGradient ? 80'000 : 20'000;  // at each position
  constexpr int64_t kTile = WinogradF4::kTile;
  // Of one image: the number of images must not change the choice, and with it the bits.
  const int64_t tiles = ((s.oh() + kTile - 1) / kTile) * ((s.ow() + kTile - 1) / kTile);
  const int64_t products = tiles * s.c * s.k;
  // With AVX-512, the library's sums for dw are hard to beat in a small image.
  static const bool avx512 = std::string_view(winograd_kernels(4)[0]->instruction_set) == "AVX-512";
  const int64_t min_tiles = !kGradient || !avx512 ? 20 : products < 1'000'000 ? 64 : 25;
  return std::min(s.c, s.k) >= kMinChannels && tiles >= min_tiles && products >= kMinProducts;
}
template bool winograd_f4_faster(const Conv2dArgs<float>&);
template bool winograd_f4_faster(const Conv2dDxArgs<float>&);
template bool winograd_f4_faster(const Conv2dDwArgs<float>&);

void conv2d_winograd(const WinogradKernels& kernels, Workspace& workspace, const Conv2dArgs<float>& a) {
  const Conv2dShape& s = a.shape;
  if (s.n == 0) return;
  const WinogradFilters filters{
      .k = s.k, .c = s.c, .w = a.w, .k_stride = 9 * s.c, .c_stride = 1, .tap_stride = s.c};
  convolve(kernels, workspace,
           {.shape = s,
            .filters = packed_filters(kernels, workspace, filters, a.weights),
            .x = a.x,
            .scale = a.scale,
            .bias = a.bias,
            .residual = a.residual,
            .relu = a.relu,
            .y = a.y});
}

// dx[i, j, c] = sum over r, s, k of g[i + pad - r, j + pad - s, k] w[k, r, s, c]: with r' = 2 - r the
// convolution of g, padded by 2 - pad, with the turned filters, in which C and K have changed places.
void conv2d_dx_winograd(const WinogradKernels& kernels, Workspace& workspace, const Conv2dDxArgs<float>& a) {
  const Conv2dShape& s = a.shape;
  if (s.n == 0) return;
  const WinogradFilters filters{
      .k = s.c, .c = s.k, .w = a.w, .k_stride = 1, .c_stride = 9 * s.c, .tap_stride = s.c, .turned = true};
  convolve(
      kernels, workspace,
      {.shape = {.n = s.n, .h = s.oh(), .w = s.ow(), .c = s.k, .k = s.c, .r = 3, .s = 3, .pad = 2 - s.pad},
       .filters = packed_filters(kernels, workspace, filters, a.weights),
       .x = a.g,
       .residual = a.accumulate == Accumulate::yes ? a.dx : nullptr,
       .y = a.dx});
}

namespace {

/// Sums dU of this size mostly stay in the L2 cache of a thread, and those of all lanes in the L3 cache.
constexpr int64_t kSmallSums = int64_t{5} << 19, kAllSums = int64_t{20} << 20;
/// A lane is long enough that its share of adding up the sums is small; two are better than one even if they
/// are shorter.
constexpr int64_t kMaxLanes = 16, kMinLane = 64, kMinLaneOfTwo = 32;

/// The number of lanes in which dU is summed. The bits of the sums depend on it, so it depends only on the
/// sizes. 1: threads share all stages instead.
int64_t sum_lanes(int64_t tiles, int64_t sum_bytes) {
  if (sum_bytes > kSmallSums || tiles < 2 * kMinLaneOfTwo) return 1;
  int64_t lanes = 2;
  while (lanes < kMaxLanes && 2 * lanes * kMinLane <= tiles && 2 * lanes * sum_bytes <= kAllSums) lanes *= 2;
  return lanes;
}

/// Each lane sums dU over its own range of tiles, and one thread carries it through all stages: the sums stay
/// in its cache beside a block of V and dM. Then the sums are added in the order of the lanes.
void sum_alone(const WinogradKernels& kernels, Workspace& workspace, const WinogradConv& conv, const float* g,
               int64_t tiles, int64_t lanes, float* du) {
  const Conv2dShape& s = conv.shape;
  const int64_t size = positions(kernels) * winograd_slice(s.k * s.c);
  const int64_t tile_bytes = positions(kernels) * (s.c + s.k) * kFloat;
  const int64_t share = (tiles + lanes - 1) / lanes, blocks = (share * tile_bytes + kAlone - 1) / kAlone;
  const int64_t length = (share + blocks - 1) / blocks;
  float* others = workspace.take<float>((lanes - 1) * size);
  const auto sums = [&](int64_t lane) { return lane == 0 ? du : others + (lane - 1) * size; };

  const int64_t workers = std::min<int64_t>(threads_at_work(), lanes);
  std::vector<WinogradBlock> memory;
  for (int64_t i = 0; i < workers; ++i) memory.push_back(take_block(kernels, workspace, s, length));
  std::atomic<int64_t> next{0};
  parallel_chunks(workers, [&](int64_t worker) {
    WinogradBlock block = memory[static_cast<size_t>(worker)];
    block.grouped = true;
    for (int64_t lane = next++; lane < lanes; lane = next++) {
      const int64_t begin = lane * tiles / lanes, end = (lane + 1) * tiles / lanes;
      for (block.first = begin; block.first < end; block.first += length) {
        block.count = std::min(length, end - block.first);
        block.starts = block.first == begin;
        kernels.input(conv, block, 0, block.count);
        kernels.gradient(conv, g, block, 0, block.count);
        for (int64_t p = 0; p < positions(kernels); ++p)
          for (int64_t k = 0; k < s.k; k += kernels.panel) kernels.sum_gradient(s, block, p, k, sums(lane));
      }
    }
  });
  parallel_for(size, 1 << 12, [&](int64_t begin, int64_t end) {
    for (int64_t lane = 1; lane < lanes; ++lane)
      for (int64_t i = begin; i < end; ++i) du[i] += sums(lane)[i];
  });
}

/// All threads share each stage of a block. The sums dU are read and written once for each block, and V and
/// dM of a block stay in the L3 cache.
void sum_together(const WinogradKernels& kernels, Workspace& workspace, const WinogradConv& conv,
                  const float* g, int64_t tiles, float* du) {
  const Conv2dShape& s = conv.shape;
  const int64_t tile_bytes = positions(kernels) * (s.c + s.k) * kFloat;
  const int64_t size = std::min(tiles, std::max(kMinSummed, kTogether / tile_bytes));
  WinogradBlock block = take_block(kernels, workspace, s, size);
  block.grouped = true;
  const int64_t panels = (s.k + kernels.panel - 1) / kernels.panel;
  for (block.first = 0; block.first < tiles; block.first += size) {
    block.count = std::min(size, tiles - block.first);
    block.starts = block.first == 0;
    parallel_for(block.count, kTiles, [&](int64_t begin, int64_t end) {
      kernels.input(conv, block, begin, end);
      kernels.gradient(conv, g, block, begin, end);
    });
    parallel_chunks(positions(kernels) * panels, [&](int64_t part) {
      kernels.sum_gradient(s, block, part / panels, part % panels * kernels.panel, du);
    });
  }
}

}  // namespace

void conv2d_dw_winograd(const WinogradKernels& kernels, Workspace& workspace, const Conv2dDwArgs<float>& a) {
  const Conv2dShape& s = a.shape;
  WinogradConv conv{.shape = s, .x = a.x};
  cut_in_tiles(kernels, workspace, conv);
  const int64_t tiles = s.n * conv.tile_rows * conv.tile_columns;
  float* du = workspace.take<float>(positions(kernels) * winograd_slice(s.k * s.c));
  const int64_t lanes = sum_lanes(tiles, positions(kernels) * s.c * s.k * kFloat);
  if (lanes > 1)
    sum_alone(kernels, workspace, conv, a.g, tiles, lanes, du);
  else
    sum_together(kernels, workspace, conv, a.g, tiles, du);
  parallel_chunks(s.k / kWinogradChannels, [&](int64_t group) {
    kernels.unpack(s, du, group * kWinogradChannels, a.dw, a.accumulate);
  });
}

void conv2d_winograd_f4(const Stream&, Workspace& workspace, const Conv2dArgs<float>& a) {
  conv2d_winograd(*winograd_kernels(4)[0], workspace, a);
}
void conv2d_winograd_f2(const Stream&, Workspace& workspace, const Conv2dArgs<float>& a) {
  conv2d_winograd(*winograd_kernels(2)[0], workspace, a);
}
void conv2d_dx_winograd_f4(const Stream&, Workspace& workspace, const Conv2dDxArgs<float>& a) {
  conv2d_dx_winograd(*winograd_kernels(4)[0], workspace, a);
}
void conv2d_dx_winograd_f2(const Stream&, Workspace& workspace, const Conv2dDxArgs<float>& a) {
  conv2d_dx_winograd(*winograd_kernels(2)[0], workspace, a);
}

void conv2d_dw_winograd_f4(const Stream&, Workspace& workspace, const Conv2dDwArgs<float>& a) {
  conv2d_dw_winograd(*winograd_kernels(4)[0], workspace, a);
}
void conv2d_dw_winograd_f2(const Stream&, Workspace& workspace, const Conv2dDwArgs<float>& a) {
  conv2d_dw_winograd(*winograd_kernels(2)[0], workspace, a);
}

}  // namespace rcnn::kernels
