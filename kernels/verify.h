// When a variant of an op is right: its results are those of the op's reference in double, on every case of
// the op's table, for ordinary numbers and small integers, written and added, and on a simulated device in
// every order of the threads. Tests (tests/kernels/verify.h) and `rcnn lab verify` report what these
// functions find.
#pragma once

#include <bit>
#include <cmath>
#include <cstdlib>
#include <map>
#include <optional>
#include <utility>

#include "core/bf16.h"
#include "core/cuda/device.h"
#include "core/cuda/sim/simulation.h"
#include "core/tf32.h"
#include "kernels/cases_device.h"

namespace rcnn::kernels {

/// The elements of a result that are not as expected.
struct Mismatch {
  int64_t wrong = 0;            // how many; 0: the result agrees
  size_t first = 0, worst = 0;  // the first of them, and the one furthest from what is allowed
};

/// The error of an element as a multiple of the error that is allowed: 0 if it is equal, infinite if no error
/// is allowed and there is one, or if one of the two is NaN. A NaN agrees only with a NaN.
inline double share_of_allowed(double found, double wanted, double allowed) {
  if ((std::isnan(wanted) && std::isnan(found)) || found == wanted) return 0;  // includes infinities
  const double error = std::fabs(found - wanted);
  return std::isnan(error) || !(allowed > 0) ? std::numeric_limits<double>::infinity() : error / allowed;
}

/// `bound` has the absolute error allowed for each element; if it is empty, elements must be equal.
inline Mismatch mismatch(const Tensor& actual, const Tensor& expected, const std::vector<double>& bound) {
  const Tensor a = actual.cast(DType::f64), e = expected.cast(DType::f64);
  const auto found = a.values<double>(), wanted = e.values<double>();
  Mismatch result;
  double furthest = -1, largest = -1;  // as a multiple of what is allowed, and absolute
  for (size_t i = 0; i < wanted.size(); ++i) {
    const double allowed = bound.empty() ? 0 : bound[i], error = std::fabs(found[i] - wanted[i]);
    const double share = share_of_allowed(found[i], wanted[i], allowed);
    if (share == 0 || error <= allowed) continue;
    if (result.wrong++ == 0) result.first = i;
    const double size = std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
    if (share > furthest || (share == furthest && size > largest))
      result.worst = i, furthest = share, largest = size;
  }
  return result;
}

/// "element 7 of shape (3, 4) is 2.5, expected 2 +- 0.001".
inline std::string describe_element(const Tensor& actual, const Tensor& expected,
                                    const std::vector<double>& bound, size_t at) {
  const Tensor a = actual.cast(DType::f64), e = expected.cast(DType::f64);
  return fmt::format("element {} of shape {} is {}, expected {} +- {}", at, expected.shape().str(),
                     a.values<double>()[at], e.values<double>()[at], bound.empty() ? 0 : bound[at]);
}

/// Empty if `actual` agrees with `expected`, otherwise a sentence on where they differ first, and by how
/// much.
inline std::string difference(const Tensor& actual, const Tensor& expected,
                              const std::vector<double>& bound) {
  const Mismatch found = mismatch(actual, expected, bound);
  return found.wrong == 0 ? "" : describe_element(actual, expected, bound, found.first);
}

/// Whether a variant calls a library of NVIDIA.
inline bool is_library(const Backend& backend) {
  return std::string_view(backend.needs) == on_cudnn.needs ||
         std::string_view(backend.needs) == on_cublas.needs;
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

/// One case, with one fill and one way to write the outputs, and what the reference makes of it.
template <class A, class A64, class Case, class Prepare>
class Trial {
 public:
  Trial(const Op<A, A64>& op, const Case& c, Prepare prepare, uint64_t seed, Fill fill, Accumulate accumulate)
      : op_(op), case_(c), prepare_(prepare), seed_(seed), fill_(fill), accumulate_(accumulate) {}

  Fill fill() const { return fill_; }
  Accumulate accumulate() const { return accumulate_; }
  Prepared<A> make() const { return make_as(float{}, fill_); }

  /// The results of the reference in double, for operands of this precision.
  const auto& expected(Precision precision) {
    auto& slot = expected_[precision];
    if (!slot) slot = reference(precision, fill_);
    return *slot;
  }
  /// The sums of the absolute values of the products.
  const auto& magnitudes() {
    if (!magnitudes_) magnitudes_ = reference(Precision::f32, Fill::magnitudes);
    return *magnitudes_;
  }

 private:
  auto make_as(auto zero, Fill fill) const { return prepare_(zero, case_, Filler(seed_, fill, accumulate_)); }
  auto reference(Precision precision, Fill fill) {
    auto expected = make_as(double{}, fill);
    if constexpr (std::is_same_v<A64, NoArgs>) {
      op_.variants.back().run(cpu_.stream, cpu_.workspace, expected.args);
    } else {
      round_operands(expected, precision);
      op_.variants.back().run64(cpu_.stream, cpu_.workspace, expected.args);
    }
    return expected;
  }
  using Reference =
      decltype(std::declval<Prepare>()(double{}, std::declval<Case>(), std::declval<const Filler&>()));

  const Op<A, A64>& op_;
  const Case& case_;
  Prepare prepare_;
  uint64_t seed_;
  Fill fill_;
  Accumulate accumulate_;
  Context cpu_;
  std::map<Precision, std::optional<Reference>> expected_;
  std::optional<Reference> magnitudes_;
};

/// A wrong result of a variant on a trial.
struct WrongResult {
  std::string run;    // "fill 0, accumulate 0, order 2 1"
  std::string fault;  // a sentence
  int output = -1;    // the number of the output that differs; -1: the run itself failed
  // Of an output that differs from the reference; otherwise empty.
  Tensor found = {}, expected = {};
  std::vector<double> bound = {};

  std::string text() const {
    return run + (output < 0 || !found.defined() ? ": " : fmt::format(", output {}: ", output)) + fault;
  }
};

/// Runs a variant that fits in every order of the threads, and calls report(WrongResult) for each wrong
/// result. A failed run is the last one.
template <class A, class A64, class Case, class Prepare, class Report>
void check_variant(Context& ctx, const Variant<A, A64>& variant, Trial<A, A64, Case, Prepare>& trial,
                   Report report) {
  const bool as_it_likes = rounds_as_it_likes(variant.backend);
  const auto& expected = trial.expected(as_it_likes ? Precision::f32 : variant.backend.precision);
  std::vector<Tensor> first;
  for (const cuda_sim::Settings& order :
       ctx.device.type == DeviceType::cuda ? simulated_orders() : std::vector<cuda_sim::Settings>{{}}) {
    const std::string run =
        fmt::format("fill {}, accumulate {}, order {} {}", static_cast<int>(trial.fill()),
                    static_cast<int>(trial.accumulate()), static_cast<int>(order.order), order.seed);
    use_order(order);
    std::vector<Tensor> outputs;
    try {
      outputs = run_variant(ctx, variant, trial.make());
    } catch (const Error& error) {
      report(WrongResult{run, error.what()});
      forget_fault();
      return;
    }
    for (size_t o = 0; o < expected.outputs.size(); ++o) {
      const int number = static_cast<int>(o);
      if (!first.empty()) {
        if (!same_bits(outputs[o], first[o]))
          report(WrongResult{run, fmt::format("output {} depends on the order of the threads", o), number});
        continue;
      }
      // Only the errors of sums that are not exact need the reference once more.
      const bool rounded_sum = expected.match == Match::sum && trial.fill() != Fill::small_integers;
      const auto bound = error_bound(expected, rounded_sum ? trial.magnitudes() : expected, o, trial.fill(),
                                     as_it_likes ? kCutOffOperands : 0);
      const std::string fault = difference(outputs[o], expected.outputs[o], bound);
      if (!fault.empty()) report(WrongResult{run, fault, number, outputs[o], expected.outputs[o], bound});
    }
    if (first.empty()) first = outputs;
  }
}

}  // namespace rcnn::kernels
