// Runs every variant of an op that this machine can run on every case of its table, and compares the results
// with those of the op's reference in double (kernels/verify.h).
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <memory>
#include <set>

#include "kernels/gemm/cuda_library.h"
#include "kernels/verify.h"

namespace rcnn::kernels {

/// Libraries are tested if RCNN_TEST_LIBRARIES=1: they are compared with, but not what is tested here, and
/// cuDNN's search for its fastest engine takes most of the time on a GPU.
inline bool is_tested(const Backend& backend) {
  const char* libraries = std::getenv("RCNN_TEST_LIBRARIES");
  return backend.device == DeviceType::cpu || !is_library(backend) ||
         (libraries && std::string_view(libraries) == "1");
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
  std::set<const void*> ran;  // the variants that at least one case ran
  std::vector<std::unique_ptr<Context>> contexts;
  contexts.push_back(std::make_unique<Context>());
  if (cuda::device_count() > 0) contexts.push_back(std::make_unique<Context>(Device{DeviceType::cuda, 0}));
  for (size_t index = 0; index < cases.size(); ++index)
    for (const Fill fill : tested_fills())
      for (const Accumulate accumulate : {Accumulate::no, Accumulate::yes}) {
        Trial trial(op, cases[index], prepare, index + 1, fill, accumulate);
        const auto host = trial.make();
        for (const auto& ctx : contexts)
          for (const auto& variant : op.variants) {
            if (!is_tested(variant.backend) || !fits(*ctx, variant, host.args)) continue;
            ran.insert(&variant);
            check_variant(*ctx, variant, trial, [&](const WrongResult& wrong) {
              FAIL_CHECK(fmt::format("{} {} on {}, case {}, {}", op.name, variant.name, ctx->device.str(),
                                     index, wrong.text()));
            });
          }
      }
  for (const auto& ctx : contexts)
    for (const auto& variant : op.variants)
      if (runs_in(*ctx, variant) && is_tested(variant.backend))
        CHECK_MESSAGE(ran.contains(&variant), "no case of ", op.name, " runs the variant ", variant.name);
}

/// The op without the rows of instruction sets that this machine does not have. A row's name ends with the
/// set's number; the machine has `count` of them.
template <class A, class A64>
Op<A, A64> on_this_machine(Op<A, A64> op, size_t count) {
  Variants<A, A64> rows{};
  for (const auto& variant : op.variants) {
    const std::string_view name = variant.name;
    if (name == "reference" || static_cast<size_t>(name.back() - '0') < count) rows.push_back(variant);
  }
  CHECK(rows.count > 1);
  op.variants = rows;
  return op;
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
