#include "bench/roofs.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "bench/kept_forms.h"
#include "bench/lab_names.h"
#include "bench/peaks.h"
#include "bench/timing.h"
#include "core/counted.h"
#include "core/cuda/device.h"
#include "core/parallel.h"
#include "core/tensor.h"
#include "kernels/gemm/matmul.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace rcnn {
namespace {

// Twelve independent sums hide the latency of a multiply-add on every processor with two units of it. The
// results are returned, so that the compiler cannot leave the work out.
constexpr int kSums = 12;

/// 12 multiply-adds by `step`, each of which reads and writes one of the sums a to l.
#define RCNN_TWELVE(step) \
  step(a) step(b) step(c) step(d) step(e) step(f) step(g) step(h) step(i) step(j) step(k) step(l)

#if defined(__x86_64__)
#define RCNN_STEP(v) v = _mm256_fmadd_ps(v, x, y);
__attribute__((target("avx2,fma"))) float multiply_add_avx2(int64_t rounds) {
  const __m256 x = _mm256_set1_ps(0.999999F), y = _mm256_set1_ps(1e-7F);
  __m256 a = x, b = x, c = x, d = x, e = x, f = x, g = x, h = x, i = x, j = x, k = x, l = x;
  for (int64_t round = 0; round < rounds; ++round) {
    RCNN_TWELVE(RCNN_STEP)
  }
  const __m256 sum = a + b + c + d + e + f + g + h + i + j + k + l;
  return sum[0];
}
#undef RCNN_STEP
#define RCNN_STEP(v) v = _mm512_fmadd_ps(v, x, y);
__attribute__((target("avx512f"))) float multiply_add_avx512(int64_t rounds) {
  const __m512 x = _mm512_set1_ps(0.999999F), y = _mm512_set1_ps(1e-7F);
  __m512 a = x, b = x, c = x, d = x, e = x, f = x, g = x, h = x, i = x, j = x, k = x, l = x;
  for (int64_t round = 0; round < rounds; ++round) {
    RCNN_TWELVE(RCNN_STEP)
  }
  const __m512 sum = a + b + c + d + e + f + g + h + i + j + k + l;
  return sum[0];
}
#undef RCNN_STEP
#endif

using Quad = float __attribute__((vector_size(16)));
#define RCNN_STEP(v) v = v * x + y;
/// For other processors: four lanes, which NEON has and every compiler knows. Without contraction this is a
/// product and a sum.
float multiply_add_plain(int64_t rounds) {
  const Quad x = {0.999999F, 0.999999F, 0.999999F, 0.999999F}, y = {1e-7F, 1e-7F, 1e-7F, 1e-7F};
  Quad a = x, b = x, c = x, d = x, e = x, f = x, g = x, h = x, i = x, j = x, k = x, l = x;
  for (int64_t round = 0; round < rounds; ++round) {
    RCNN_TWELVE(RCNN_STEP)
  }
  const Quad sum = a + b + c + d + e + f + g + h + i + j + k + l;
  return sum[0];
}
#undef RCNN_STEP
#undef RCNN_TWELVE

struct MultiplyAdd {
  float (*run)(int64_t rounds);
  int lanes;
};

MultiplyAdd widest_multiply_add() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return {multiply_add_avx512, 16};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return {multiply_add_avx2, 8};
#endif
  return {multiply_add_plain, 4};
}

/// The fewest seconds of several runs.
template <class Work>
double fastest(int runs, const Work& work) {
  using Clock = std::chrono::steady_clock;
  double best = 1e30;
  for (int run = 0; run < runs; ++run) {
    const auto start = Clock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return best;
}

double measure_multiply_adds() {
  const MultiplyAdd kernel = widest_multiply_add();
  constexpr int64_t kRounds = 1 << 20;  // about 4 ms
  const int64_t threads = thread_count();
  std::vector<float> results(static_cast<size_t>(threads));
  const double seconds = fastest(20, [&] {
    parallel_chunks(threads, [&](int64_t i) { results[static_cast<size_t>(i)] += kernel.run(kRounds); });
  });
  return 2.0 * kSums * kernel.lanes * static_cast<double>(kRounds * threads) / seconds;
}

double measure_copy() {
  constexpr int64_t kBytes = int64_t{128} << 20, kGrain = int64_t{1} << 20;
  const Tensor from = Tensor::empty({kBytes}, DType::u8), to = Tensor::empty({kBytes}, DType::u8);
  auto* source = static_cast<unsigned char*>(from.mutable_raw());
  auto* target = static_cast<unsigned char*>(to.mutable_raw());
  parallel_for(kBytes, kGrain, [&](int64_t begin, int64_t end) {
    std::memset(source + begin, 1, static_cast<size_t>(end - begin));
    std::memset(target + begin, 2, static_cast<size_t>(end - begin));
  });
  const double seconds = fastest(6, [&] {
    parallel_for(kBytes, kGrain, [&](int64_t begin, int64_t end) {
      std::memcpy(target + begin, source + begin, static_cast<size_t>(end - begin));
    });
  });
  return 2.0 * static_cast<double>(kBytes) / seconds;
}

}  // namespace

double Roofs::floor(double flop, double bytes, Precision precision, bool& by_memory) const {
  const auto found = products.find(precision);
  const double arithmetic = flop > 0 && found != products.end() ? flop / found->second : 0;
  const double memory = copy > 0 ? bytes / copy : 0;
  by_memory = memory >= arithmetic;
  return std::max(memory, arithmetic);
}

Roofs measure_cpu_roofs() {
  Roofs roofs;
  roofs.copy = measure_copy();
  roofs.products[Precision::f32] = measure_multiply_adds();
  roofs.text = fmt::format("copy {:.1f} GB/s, f32 multiply-add {:.0f} GFLOP/s ({})", roofs.copy * 1e-9,
                           roofs.products[Precision::f32] * 1e-9, counted(thread_count(), "thread"));
  return roofs;
}

#if defined(RCNN_CUDA)
namespace {

/// FLOP per second, and what reached them.
struct Rate {
  double flops = 0;
  std::string by = {};

  void take(double found, const char* name) {
    if (found > flops) *this = {found, name};
  }
};

/// The least seconds of one run.
double seconds_on_gpu(const Context& ctx, const std::function<void()>& work) {
  constexpr double kSeconds = 0.02;
  std::vector<double> seconds;
  collect(gpu_sampler(ctx, work), {kSeconds, 0}, seconds);
  return *std::min_element(seconds.begin(), seconds.end());
}

void measure_peaks(const Context& ctx, std::map<Precision, Rate>& rates) {
  constexpr int64_t kBlocksEach = 4, kRounds = 4096;  // about 2 ms on an H100, by its published peaks
  const cuda::DeviceInfo& card = cuda::device_info(ctx.device.index);
  const int64_t blocks = card.multiprocessors * kBlocksEach;
  const Tensor sums = Tensor::empty({blocks, kPeakThreads}, DType::f32, ctx.device);
  for (const Precision precision : {Precision::f32, Precision::tf32, Precision::bf16}) {
    if (precision != Precision::f32 && card.capability < 80) continue;
    double flop = 0;
    const double seconds = seconds_on_gpu(
        ctx, [&] { flop = launch_peak(ctx.stream, precision, blocks, kRounds, sums.mutable_data<float>()); });
    rates[precision].take(flop / seconds, precision == Precision::f32 ? "multiply-adds" : "mma.sync");
  }
}

void measure_products(Context& ctx, const float* two_matrices, float* product, int64_t size,
                      std::map<Precision, Rate>& rates) {
  kernels::MatmulArgs<float> args{
      .m = size, .n = size, .k = size, .a = two_matrices, .b = two_matrices + size * size, .c = product};
  KeptForms forms;
  forms.belong_to(args);
  for (const auto& variant : kernels::matmul.variants) {
    if (!kernels::fits(ctx, variant, args)) continue;
    const double seconds = seconds_on_gpu(ctx, [&] {
      const Workspace::Scope scope(ctx.workspace);
      variant.run(ctx.stream, ctx.workspace, args);
    });
    rates[variant.backend.precision].take(2.0 * std::pow(static_cast<double>(size), 3) / seconds,
                                          variant.name);
  }
}

}  // namespace

Roofs measure_gpu_roofs(Context& ctx) {
  if (cuda::is_simulated()) return {};
  Roofs roofs;
  constexpr int64_t kBytes = int64_t{256} << 20, kSize = 4096;
  const Tensor from = Tensor::empty({kBytes}, DType::u8, ctx.device),
               to = Tensor::empty({kBytes}, DType::u8, ctx.device);
  cuda::fill_bytes(ctx.device, from.mutable_raw(), 0, from.bytes());
  roofs.copy = 2.0 * static_cast<double>(kBytes) / seconds_on_gpu(ctx, [&] {
                 cuda::copy(ctx.device, to.mutable_raw(), from.raw(), from.bytes());
               });
  std::map<Precision, Rate> rates;
  measure_peaks(ctx, rates);
  // The buffers hold zeros, which keep the clock high; two thirds of one are enough for three matrices.
  measure_products(ctx, static_cast<const float*>(from.raw()), static_cast<float*>(to.mutable_raw()), kSize,
                   rates);
  roofs.text = fmt::format("copy {:.0f} GB/s", roofs.copy * 1e-9);
  for (const auto& [precision, rate] : rates) {
    roofs.products[precision] = rate.flops;
    roofs.text += fmt::format(", {} {:.1f} TFLOP/s ({})", name_of(precision), rate.flops * 1e-12, rate.by);
  }
  return roofs;
}

#else
Roofs measure_gpu_roofs(Context&) { return {}; }
#endif

Roofs measure_roofs(Context& ctx) {
  return ctx.device.type == DeviceType::cuda ? measure_gpu_roofs(ctx) : measure_cpu_roofs();
}

}  // namespace rcnn
