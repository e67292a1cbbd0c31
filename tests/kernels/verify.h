// Runs every variant of an op on every case of its table and compares with the op's reference in double.
#pragma once

#include <doctest/doctest.h>

#include <cmath>

#include "kernels/cases.h"

namespace rcnn::kernels {

/// "" when `actual` agrees with `expected`, else where and by how much it does not. `bound` holds the
/// absolute error allowed for each element, or is empty for equality. A NaN agrees with a NaN alone.
inline std::string difference(const Tensor& actual, const Tensor& expected,
                              const std::vector<double>& bound) {
  const Tensor a = actual.cast(DType::f64), e = expected.cast(DType::f64);
  const auto found = a.values<double>(), wanted = e.values<double>();
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (std::isnan(wanted[i]) && std::isnan(found[i])) continue;
    if (found[i] == wanted[i]) continue;  // infinities too
    const double allowed = bound.empty() ? 0 : bound[i];
    if (!(std::fabs(found[i] - wanted[i]) <= allowed))
      return fmt::format("element {} of shape {} is {}, expected {} +- {}", i, expected.shape().str(),
                         found[i], wanted[i], allowed);
  }
  return "";
}

/// The error allowed for output `o`, by the case's kind of comparison.
template <class Prepared64>
std::vector<double> error_bound(const Prepared64& expected, const Prepared64& magnitudes, size_t o,
                                Fill fill) {
  constexpr double eps = 0x1p-24;
  const bool exact_sum = expected.match == Match::sum && fill == Fill::small_integers;
  if (expected.match == Match::exact || exact_sum) return {};
  const Tensor& output = expected.outputs[o];
  if (output.dtype() != DType::f64) return {};
  std::vector<double> bound(static_cast<size_t>(output.numel()));
  if (expected.match == Match::sum) {
    const auto sums = magnitudes.outputs[o].template values<double>();
    for (size_t i = 0; i < bound.size(); ++i)
      bound[i] = static_cast<double>(expected.terms + 8) * eps * sums[i];
  } else {
    double largest = 1;
    for (double value : output.template values<double>())
      if (std::isfinite(value)) largest = std::max(largest, std::fabs(value));
    std::fill(bound.begin(), bound.end(), expected.tolerance * largest);
  }
  return bound;
}

/// `prepare(zero, case, filler)` makes the case in the type of `zero`, float or double.
template <class A, class A64, class Case, class Prepare>
void verify(const Op<A, A64>& op, const std::vector<Case>& cases, Prepare prepare) {
  Context ctx;
  CHECK(std::string_view(op.variants.back().name) == "reference");
  for (size_t index = 0; index < cases.size(); ++index)
    for (const Fill fill : {Fill::normal, Fill::small_integers})
      for (const Accumulate accumulate : {Accumulate::no, Accumulate::yes}) {
        const auto make = [&](auto zero, Fill f) {
          return prepare(zero, cases[index], Filler(index + 1, f, accumulate));
        };
        auto expected = make(double{}, fill);
        auto magnitudes = make(double{}, Fill::magnitudes);
        if constexpr (std::is_same_v<A64, NoArgs>) {
          op.variants.back().run(ctx.stream, ctx.workspace, expected.args);
        } else {
          op.variants.back().run64(ctx.stream, ctx.workspace, expected.args);
          if (expected.match == Match::sum)
            op.variants.back().run64(ctx.stream, ctx.workspace, magnitudes.args);
        }
        for (const auto& variant : op.variants) {
          if (variant.run == nullptr || variant.device != DeviceType::cpu) continue;
          auto actual = make(float{}, fill);
          if (variant.supports && !variant.supports(actual.args)) continue;
          {
            const Workspace::Scope scope(ctx.workspace);
            variant.run(ctx.stream, ctx.workspace, actual.args);
          }
          for (size_t o = 0; o < expected.outputs.size(); ++o) {
            const std::string fault = difference(actual.outputs[o], expected.outputs[o],
                                                 error_bound(expected, magnitudes, o, fill));
            if (!fault.empty())
              FAIL_CHECK(fmt::format("{} {}, case {}, fill {}, accumulate {}, output {}: {}", op.name,
                                     variant.name, index, static_cast<int>(fill),
                                     static_cast<int>(accumulate), o, fault));
          }
        }
      }
}

}  // namespace rcnn::kernels
