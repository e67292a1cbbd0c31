// Runs every variant of an op that this machine can run on every case of its table, and compares the results
// with those of the op's reference in double.
#pragma once

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <set>

#include "core/bf16.h"
#include "core/cuda/device.h"
#include "core/cuda/sim/simulation.h"
#include "core/tf32.h"
#include "kernels/cases_device.h"
#include "kernels/gemm/cuda_library.h"

namespace rcnn::kernels {

/// Empty if `actual` agrees with `expected`, otherwise a sentence on where and by how much they differ.
/// `bound` has the absolute error allowed for each element; if it is empty, elements must be equal. A NaN
/// agrees only with a NaN.
inline std::string difference(const Tensor& actual, const Tensor& expected,
                              const std::vector<double>& bound) {
  const Tensor a = actual.cast(DType::f64), e = expected.cast(DType::f64);
  const auto found = a.values<double>(), wanted = e.values<double>();
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (std::isnan(wanted[i]) && std::isnan(found[i])) continue;
    if (found[i] == wanted[i]) continue;  // includes infinities
    const double allowed = bound.empty() ? 0 : bound[i];
    if (!(std::fabs(found[i] - wanted[i]) <= allowed))
      return fmt::format("element {} of shape {} is {}, expected {} +- {}", i, expected.shape().str(),
                         found[i], wanted[i], allowed);
  }
  return "";
}

/// Whether a variant calls a library of NVIDIA.
inline bool is_library(const Backend& backend) {
  return std::string_view(backend.needs) == on_cudnn.needs ||
         std::string_view(backend.needs) == on_cublas.needs;
}

/// Libraries are tested if RCNN_TEST_LIBRARIES=1: they are compared with, but not what is tested here, and
/// cuDNN's search for its fastest engine takes most of the time on a GPU.
inline bool is_tested(const Backend& backend) {
  const char* libraries = std::getenv("RCNN_TEST_LIBRARIES");
  return backend.device == DeviceType::cpu || !is_library(backend) ||
         (libraries && std::string_view(libraries) == "1");
}

/// A library may round the operands of TF32 products to nearest, by at most 2^-11 of their size, or cut them
/// off, by less than 2^-10. Its products are compared with those of the unrounded operands.
inline bool rounds_as_it_likes(const Backend& backend) {
  return is_library(backend) && backend.precision == Precision::tf32;
}
inline constexpr double kCutOffOperands = 2 * 0x1p-10;  // of |a||b|, for two operands

/// The error allowed for each element of output `o`, according to the case's kind of comparison.
/// `of_operands` is the additional error of a product a b, as a share of |a||b|.
template <class Prepared64>
std::vector<double> error_bound(const Prepared64& expected, const Prepared64& magnitudes, size_t o, Fill fill,
                                double of_operands = 0) {
  constexpr double eps = 0x1p-24;
  const bool exact_sum = expected.match == Match::sum && fill == Fill::small_integers;
  if (expected.match == Match::exact || exact_sum) return {};
  const Tensor& output = expected.outputs[o];
  if (output.dtype() != DType::f64) return {};
  std::vector<double> bound(static_cast<size_t>(output.numel()));
  if (expected.match == Match::sum) {
    const auto sums = magnitudes.outputs[o].template values<double>();
    for (size_t i = 0; i < bound.size(); ++i)
      bound[i] = (static_cast<double>(expected.terms + 8) * eps + of_operands) * sums[i];
  } else {
    double largest = 1;
    for (double value : output.template values<double>())
      if (std::isfinite(value)) largest = std::max(largest, std::fabs(value));
    std::fill(bound.begin(), bound.end(), expected.tolerance * largest);
  }
  return bound;
}

/// Rounds the operands of the products, as a variant of lower precision does. They are the first two inputs
/// of the ops that have such variants.
template <class Prepared64>
void round_operands(const Prepared64& prepared, Precision precision) {
  if (precision == Precision::f32) return;
  for (size_t i = 0; i < 2; ++i)
    for (double& value : prepared.inputs.at(i).template mutable_values<double>()) {
      const float full = static_cast<float>(value);
      value = static_cast<double>(precision == Precision::bf16 ? to_float(to_bf16(full))
                                                               : std::bit_cast<float>(cuda::to_tf32(full)));
    }
}

/// The orders in which a simulated device runs threads; the results must be equal to the last bit. On a GPU
/// there is one. RCNN_TEST_ORDERS=N limits their number to N.
inline std::vector<cuda_sim::Settings> simulated_orders() {
  using cuda_sim::Order;
  if (!cuda::is_simulated()) return {{}};
  std::vector<cuda_sim::Settings> orders = {{Order::descending},
                                            {Order::shuffled, 1},
                                            {Order::ascending},
                                            {Order::shuffled, 2},
                                            {Order::shuffled, 3}};
  if (const char* count = std::getenv("RCNN_TEST_ORDERS"))
    orders.resize(static_cast<size_t>(std::max(1, std::atoi(count))));
  return orders;
}

#if defined(RCNN_CUDA_SIM)
inline void use_order(const cuda_sim::Settings& order) { cuda_sim::settings() = order; }
inline void forget_fault() { cuda_sim::forget_fault(); }
#else
inline void use_order(const cuda_sim::Settings&) {}
inline void forget_fault() {}
#endif

/// True if both tensors have the same bits.
inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.bytes() == b.bytes() && (a.bytes() == 0 || std::memcmp(a.raw(), b.raw(), a.bytes()) == 0);
}

/// Runs a variant on its device and returns the outputs on the host.
template <class A, class A64>
std::vector<Tensor> run_variant(Context& ctx, const Variant<A, A64>& variant, const Prepared<A>& host) {
  const Workspace::Scope scope(ctx.workspace);
  if (ctx.device.type == DeviceType::cpu) {
    variant.run(ctx.stream, ctx.workspace, host.args);
    return host.outputs;
  }
  const Prepared<A> moved = on_device(host, ctx.device);
  variant.run(ctx.stream, ctx.workspace, moved.args);
  std::vector<Tensor> outputs;
  for (const Tensor& output : moved.outputs) outputs.push_back(output.to(Device{}));
  return outputs;
}

/// What inputs are filled with, in turn. RCNN_TEST_FILLS=1 leaves only the first: for compute-sanitizer,
/// which does not look at values.
inline std::vector<Fill> tested_fills() {
  if (const char* count = std::getenv("RCNN_TEST_FILLS"); count && std::atoi(count) == 1)
    return {Fill::normal};
  return {Fill::normal, Fill::small_integers};
}

/// Runs the whole comparison. `prepare(zero, case, filler)` makes a case in the type of `zero`, float or
/// double.
template <class A, class A64, class Case, class Prepare>
void verify(const Op<A, A64>& op, const std::vector<Case>& cases, Prepare prepare) {
  CHECK(std::string_view(op.variants.back().name) == "reference");
#if defined(RCNN_CUDA_SIM)
  REQUIRE(cuda::device_count() > 0);  // otherwise nothing below would run on it
#endif
  max_timed_plans = 3;
  Context cpu;
  std::set<const void*> ran;  // the variants that at least one case ran
  std::vector<std::unique_ptr<Context>> contexts;
  contexts.push_back(std::make_unique<Context>());
  if (cuda::device_count() > 0) contexts.push_back(std::make_unique<Context>(Device{DeviceType::cuda, 0}));
  for (size_t index = 0; index < cases.size(); ++index)
    for (const Fill fill : tested_fills())
      for (const Accumulate accumulate : {Accumulate::no, Accumulate::yes}) {
        const auto make = [&](auto zero, Fill f) {
          return prepare(zero, cases[index], Filler(index + 1, f, accumulate));
        };
        const auto expect = [&](Precision precision, Fill f) {
          auto expected = make(double{}, f);
          if constexpr (std::is_same_v<A64, NoArgs>) {
            op.variants.back().run(cpu.stream, cpu.workspace, expected.args);
          } else {
            round_operands(expected, precision);
            op.variants.back().run64(cpu.stream, cpu.workspace, expected.args);
          }
          return expected;
        };
        const auto expected32 = expect(Precision::f32, fill);
        const auto magnitudes = expect(Precision::f32, Fill::magnitudes);
        for (const auto& ctx : contexts)
          for (const auto& variant : op.variants) {
            const auto host = make(float{}, fill);
            if (!is_tested(variant.backend) || !fits(*ctx, variant, host.args)) continue;
            ran.insert(&variant);
            const bool as_it_likes = rounds_as_it_likes(variant.backend);
            const auto expected = variant.backend.precision == Precision::f32 || as_it_likes
                                      ? expected32
                                      : expect(variant.backend.precision, fill);
            std::vector<Tensor> first;
            for (const cuda_sim::Settings& order : ctx->device.type == DeviceType::cuda
                                                       ? simulated_orders()
                                                       : std::vector<cuda_sim::Settings>{{}}) {
              const auto name = [&] {
                return fmt::format("{} {} on {}, case {}, fill {}, accumulate {}, order {} {}", op.name,
                                   variant.name, ctx->device.str(), index, static_cast<int>(fill),
                                   static_cast<int>(accumulate), static_cast<int>(order.order), order.seed);
              };
              use_order(order);
              std::vector<Tensor> outputs;
              try {
                outputs = run_variant(*ctx, variant, make(float{}, fill));
              } catch (const Error& error) {
                FAIL_CHECK(fmt::format("{}: {}", name(), error.what()));
                forget_fault();
                break;
              }
              for (size_t o = 0; o < expected.outputs.size(); ++o) {
                if (!first.empty()) {
                  if (!same_bits(outputs[o], first[o]))
                    FAIL_CHECK(fmt::format("{}: output {} depends on the order of the threads", name(), o));
                  continue;
                }
                const std::string fault =
                    difference(outputs[o], expected.outputs[o],
                               error_bound(expected, magnitudes, o, fill, as_it_likes ? kCutOffOperands : 0));
                if (!fault.empty()) FAIL_CHECK(fmt::format("{}, output {}: {}", name(), o, fault));
              }
              if (first.empty()) first = outputs;
            }
          }
      }
  for (const auto& ctx : contexts)
    for (const auto& variant : op.variants)
      if (runs_in(*ctx, variant) && is_tested(variant.backend))
        CHECK_MESSAGE(ran.contains(&variant), "no case of ", op.name, " runs the variant ", variant.name);
}

/// The names of the ops that this program verifies.
inline std::set<std::string_view>& verified_ops() {
  static std::set<std::string_view> names;
  return names;
}

/// The test of an op: every variant on every case, against the reference.
#define VERIFY_OP(op)                                                         \
  static const bool op##_is_verified = verified_ops().insert(op.name).second; \
  TEST_CASE(#op ": every variant agrees with the reference") {                \
    CHECK(op##_is_verified);                                                  \
    verify(op, cases_of(op).tested(), cases_of(op).prepare);                  \
  }

}  // namespace rcnn::kernels
