#include "bench/roofs.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "bench/timing.h"
#include "core/cuda/device.h"
#include "core/parallel.h"
#include "kernels/cases_device.h"
#include "kernels/gemm/matmul_cases.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace rcnn {
namespace {

constexpr double kSeconds = 0.2;  // for each roof

constexpr int64_t kSteps = 100000;
/// Independent sums: at least the latency of a multiply-add (4 or 5 cycles) times the two that begin per
/// cycle, and with two operands no more than AVX2 has registers.
constexpr int kChains = 12;

// kSteps times sum = sum * factor + 1 in every chain. The chains are named by constant indices, so that they
// are kept in registers whatever the compiler's effort.
using Chains = std::make_index_sequence<kChains>;

/// With plain floats.
template <size_t... i>
float chains_of_floats(float factor, std::index_sequence<i...>) {
  float sums[kChains] = {};
  for (int64_t step = 0; step < kSteps; ++step) ((sums[i] = std::fma(sums[i], factor, 1.0f)), ...);
  return (sums[i] + ...);
}
float chains_of_floats(float factor) { return chains_of_floats(factor, Chains{}); }

#if defined(__x86_64__)
template <size_t... i>
__attribute__((target("avx2,fma"))) float chains_of_avx2(float factor, std::index_sequence<i...>) {
  __m256 sums[kChains] = {};
  const __m256 f = _mm256_set1_ps(factor), one = _mm256_set1_ps(1);
  for (int64_t step = 0; step < kSteps; ++step) ((sums[i] = _mm256_fmadd_ps(sums[i], f, one)), ...);
  return (_mm256_cvtss_f32(sums[i]) + ...);
}
float chains_of_avx2(float factor) { return chains_of_avx2(factor, Chains{}); }

template <size_t... i>
__attribute__((target("avx512f"))) float chains_of_avx512(float factor, std::index_sequence<i...>) {
  __m512 sums[kChains] = {};
  const __m512 f = _mm512_set1_ps(factor), one = _mm512_set1_ps(1);
  for (int64_t step = 0; step < kSteps; ++step) ((sums[i] = _mm512_fmadd_ps(sums[i], f, one)), ...);
  return (_mm512_cvtss_f32(sums[i]) + ...);
}
float chains_of_avx512(float factor) { return chains_of_avx512(factor, Chains{}); }
#endif

struct Registers {
  float (*chains)(float);
  int lanes;
  const char* name;
};

Registers widest_registers() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return {chains_of_avx512, 16, "AVX-512"};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return {chains_of_avx2, 8, "AVX2"};
#endif
  return {chains_of_floats, 1, "plain"};
}

/// The shortest time of a run, because whatever disturbs a run makes it longer.
template <class Work>
double shortest(const Work& work) {
  using Clock = std::chrono::steady_clock;
  double best = std::numeric_limits<double>::infinity(), spent = 0;
  for (int runs = 0; runs < 3 || spent < kSeconds; ++runs) {
    const auto start = Clock::now();
    work();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::min(best, seconds);
    spent += seconds;
  }
  return best;
}

Roofs roofs_of_cpu() {
  const Registers registers = widest_registers();
  const int threads = thread_count();
  std::atomic<float> sink{0};  // so that nothing is optimised away
  const double compute = shortest(
      [&] { parallel_chunks(threads, [&](int64_t) { sink = registers.chains(0.5f + 1e-9f * sink); }); });
  constexpr int64_t kBytes = int64_t{64} << 20, kPiece = int64_t{1} << 20;
  const Tensor from = Tensor::zeros({kBytes}, DType::u8), to = Tensor::zeros({kBytes}, DType::u8);
  const auto* source = static_cast<const std::byte*>(from.raw());
  auto* target = static_cast<std::byte*>(to.mutable_raw());
  const double copy = shortest([&] {
    parallel_chunks(kBytes / kPiece,
                    [&](int64_t i) { std::memcpy(target + i * kPiece, source + i * kPiece, kPiece); });
  });
  return {2.0 * kChains * kSteps * registers.lanes * threads / compute * 1e-9,
          2.0 * static_cast<double>(kBytes) / copy * 1e-9,
          fmt::format("{} multiply-adds on {} thread{}; a copy of {} MiB", registers.name, threads,
                      threads == 1 ? "" : "s", kBytes >> 20)};
}

Roofs roofs_of_gpu(Context& ctx) {
  const int64_t side = cuda::is_simulated() ? 64 : 4096;
  kernels::UniformTensors noted;
  const auto host = kernels::prepare_matmul<float>(
      {side, side, side}, kernels::Filler(1, kernels::Fill::uniform, Accumulate::no, &noted));
  const auto p = kernels::on_device(host, ctx.device, noted);
  const auto seconds_of = [&](const auto& work) {
    return cuda::is_simulated() ? shortest([&] { work(), cuda::synchronize(ctx.device); })
                                : time_on_gpu(ctx, work, kSeconds).seconds;
  };
  double best = std::numeric_limits<double>::infinity();
  std::string name;
  for (const auto& variant : kernels::matmul.variants) {
    if (!kernels::fits(ctx, variant, p.args) || variant.backend.precision != ctx.precision) continue;
    const double seconds = seconds_of([&] {
      const Workspace::Scope scope(ctx.workspace);
      variant.run(ctx.stream, ctx.workspace, p.args);
    });
    if (seconds < best) best = seconds, name = variant.name;
  }
  const int64_t bytes = int64_t{cuda::is_simulated() ? 1 : 256} << 20;
  const Tensor from = ctx.zeros({bytes}, DType::u8), to = ctx.zeros({bytes}, DType::u8);
  const double copy = seconds_of([&] { to.copy_from(from); });
  return {p.flop / best * 1e-9, 2.0 * static_cast<double>(bytes) / copy * 1e-9,
          fmt::format("matmul ({}) of {} x {}; a copy of {} MiB", name, side, side, bytes >> 20)};
}

}  // namespace

Roofs measure_roofs(Context& ctx) {
  return ctx.device.type == DeviceType::cuda ? roofs_of_gpu(ctx) : roofs_of_cpu();
}

double share_of_roof(const Roofs& roofs, double flop, double bytes, double seconds) {
  if (seconds <= 0) return 0;
  return std::max(flop / (roofs.gflops * 1e9), bytes / (roofs.gbs * 1e9)) / seconds;
}

}  // namespace rcnn
