// An op and its table of variants.
//
// An op is a contract: an argument struct of plain pointers and sizes, and a list of functions that fulfil
// it. The list stands in one place, kernels/<op>.h, one line a variant, fastest first; the last is always
// `reference`, the plain loop that is the op's specification. Layers call `run`; tests and benchmarks walk
// the same table, so a variant that is in the table is checked and timed.
#pragma once

#include <fmt/format.h>

#include <span>
#include <string>
#include <string_view>

#include "core/autograd.h"  // Accumulate
#include "core/context.h"
#include "core/cuda/device.h"
#include "core/host_device.h"

namespace rcnn::kernels {

/// Stands for "this op has no double version": integer-valued ops, whose results never enter a gradient.
struct NoArgs {};

template <class Args, class Args64 = NoArgs>
struct Variant {
  DeviceType device;
  const char* name;
  void (*run)(const Stream&, Workspace&, const Args&);                // null: not in this build, see `needs`
  void (*run64)(const Stream&, Workspace&, const Args64&) = nullptr;  // null: no double version
  bool (*supports)(const Args&) = nullptr;                            // null: everything
  const char* needs = "";                                             // what the build must have: "oneDNN"
  Precision precision = Precision::f32;                               // of the operands of its products
  int capability = 0;  // the least compute capability it runs on, 80 for sm_80; 0 for any
};

/// A row for CUDA: {"direct", conv2d_direct}. In a build without CUDA the row stays, with the reason.
template <class A>
struct OnCuda {
  const char* name;
  void (*run)(const Stream&, Workspace&, const A&);
  bool (*supports)(const A&) = nullptr;
  Precision precision = Precision::f32;
  int capability = 0;
  const char* needs = "CUDA";

  template <class A64>
  constexpr operator Variant<A, A64>() const {
#if defined(RCNN_CUDA)
    return {DeviceType::cuda, name, run, nullptr, supports, needs, precision, capability};
#else
    return {DeviceType::cuda, name, nullptr, nullptr, nullptr, needs, precision, capability};
#endif
  }
};

template <class A, class A64 = NoArgs>
struct Op {
  using Args = A;
  using Args64 = A64;
  const char* name;    // "conv2d_dx"
  const char* family;  // what --kernel names: "conv2d" for forward and both gradients
  std::span<const Variant<A, A64>> variants;
};

/// Whether `variant` can run this case for this context: built, on its device, on its card, in its precision.
template <class A, class A64>
bool fits(const Context& ctx, const Variant<A, A64>& variant, const A& args) {
  return variant.run && variant.device == ctx.device.type && variant.capability <= ctx.capability &&
         (!variant.supports || variant.supports(args));
}

/// The variant that `run` takes: the one the context names for the op's family, else the first of the
/// context's precision that fits, else the first of f32. Throws Error naming the op where there is none,
/// InputError where the named one does not exist, is not built, needs a newer card or does not support the
/// case.
template <class A, class A64>
const Variant<A, A64>& choose(const Context& ctx, const Op<A, A64>& op, const A& args) {
  const auto wanted = ctx.kernels.find(std::string_view(op.family));
  if (wanted == ctx.kernels.end()) {
    for (const Precision precision : {ctx.precision, Precision::f32})
      for (const Variant<A, A64>& variant : op.variants)
        if (variant.precision == precision && fits(ctx, variant, args)) return variant;
    throw Error(fmt::format("the op {} has no implementation on {}", op.name, ctx.device.str()));
  }
  std::string names;
  for (const Variant<A, A64>& variant : op.variants) {
    if (variant.device != ctx.device.type) continue;
    names += (names.empty() ? "" : ", ") + std::string(variant.name);
    if (wanted->second != variant.name) continue;
    check_input(variant.run != nullptr, "--kernel {}={}: this build does not have it; it needs {}", op.family,
                variant.name, variant.needs);
    check_input(variant.capability <= ctx.capability, "--kernel {}={}: it needs sm_{}, this card is sm_{}",
                op.family, variant.name, variant.capability, ctx.capability);
    check_input(fits(ctx, variant, args), "--kernel {}={}: it does not support this case", op.family,
                variant.name);
    return variant;
  }
  throw InputError(fmt::format("--kernel {}={}: {} has no such variant on {}; it has {}", op.family,
                               wanted->second, op.name, ctx.device.str(), names.empty() ? "none" : names));
}

/// Runs the op in single precision through its chosen variant.
template <class A, class A64>
void run(Context& ctx, const Op<A, A64>& op, const A& args) {
  const Variant<A, A64>& variant = choose(ctx, op, args);
  const Workspace::Scope scope(ctx.workspace);
  const cuda::Range range(op.name);
  if (ctx.profiler) ctx.profiler(op.name, variant.name, true);
  try {
    variant.run(ctx.stream, ctx.workspace, args);
  } catch (const Error& error) {
    if (ctx.device.type == DeviceType::cpu) throw;
    throw Error(fmt::format("{} ({}) on {}: {}", op.name, variant.name, ctx.device.str(), error.what()));
  }
  if (ctx.profiler) ctx.profiler(op.name, variant.name, false);
}

/// Runs the op in double precision: the last variant, the reference, whatever the context names.
template <class A, class A64>
requires(!std::is_same_v<A64, NoArgs>) void run(Context& ctx, const Op<A, A64>& op, const A64& args) {
  check(ctx.device.type == DeviceType::cpu, "{} in double runs on the cpu alone, not on {}", op.name,
        ctx.device.str());
  const Workspace::Scope scope(ctx.workspace);
  op.variants.back().run64(ctx.stream, ctx.workspace, args);
}

/// `target = value`, or `target += value` where the gradient has a contribution already.
template <class T>
RCNN_HOST_DEVICE inline void put(T& target, T value, Accumulate accumulate) {
  target = accumulate == Accumulate::yes ? target + value : value;
}

}  // namespace rcnn::kernels
