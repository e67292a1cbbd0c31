// An op and its table of techniques.
//
// An op is a contract: an argument struct of plain pointers and sizes, and a list of functions that fulfil
// it, its variants. An op and its gradients are a family with one table in the header of the op: one row per
// technique, the preferred one first, with the functions of the technique side by side. The last row is
// always `reference`, the plain loops that are the specification. Each op takes its column of the table:
//
//     inline constexpr RealTechnique<AveragePoolArgs, AveragePoolBackwardArgs> average_pool_techniques[] = {
//         {"thread_per_four_channels", on_cuda, average_pool_thread_per_four_channels,
//          average_pool_backward_thread_per_four_channels},
//         {"reference", on_cpu, {average_pool_reference<float>, average_pool_reference<double>},
//          {average_pool_backward_reference<float>, average_pool_backward_reference<double>}},
//     };
//     inline constexpr Op average_pool{"average_pool", "average_pool", column<0>(average_pool_techniques)};
//     inline constexpr Op average_pool_backward{"average_pool_backward", "average_pool",
//                                               column<1>(average_pool_techniques)};
//
// Layers call `run`; tests and benchmarks walk the variants, so every row of the table is checked and timed.
#pragma once

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <tuple>

#include "core/accumulate.h"
#include "core/context.h"
#include "core/cuda/device.h"
#include "core/host_device.h"
#include "core/op_observer.h"
#include "kernels/backend.h"
#include "kernels/plans.h"

namespace rcnn::kernels {

/// The type of every function that carries out an op: `Run<NmsArgs> nms_reference;` declares one.
template <class Args>
using Run = void(const Stream&, Workspace&, const Args&);

/// Stands for "this op has no double version": integer-valued ops, whose results never enter a gradient.
struct NoArgs {};

/// One way to carry out an op.
template <class Args, class Args64 = NoArgs>
struct Variant {
  const char* name = "";
  Backend backend = on_cpu;
  Run<Args>* run = nullptr;                 // null: not in this build, see Backend::needs
  Run<Args64>* run64 = nullptr;             // null: no double version
  bool (*supports)(const Args&) = nullptr;  // null: everything
  bool (*faster)(const Args&) = nullptr;    // than the variants after it; null: always
};

/// The variants of an op, in the order of its table.
template <class A, class A64>
struct Variants {
  std::array<Variant<A, A64>, 14> rows;  // the first `count` are used
  size_t count = 0;

  constexpr void push_back(const Variant<A, A64>& variant) { rows.at(count++) = variant; }
  constexpr const Variant<A, A64>* begin() const { return rows.data(); }
  constexpr const Variant<A, A64>* end() const { return rows.data() + count; }
  constexpr const Variant<A, A64>& back() const { return rows[count - 1]; }
};

template <class A, class A64 = NoArgs>
struct Op {
  using Args = A;
  using Args64 = A64;
  const char* name;    // "conv2d_dx"
  const char* family;  // what --kernel names: "conv2d" for forward and both gradients
  Variants<A, A64> variants;
};
template <class A, class A64>
Op(const char*, const char*, Variants<A, A64>) -> Op<A, A64>;

/// An entry of a table: what a technique has for one op. `nullptr` means that the op does not have this
/// variant. Otherwise a function, or in braces a function and its double version, or a function and a
/// predicate that tells which arguments it supports, and perhaps a second one that tells for which of these
/// it is faster than the variants after it. `run` prefers it for these only.
template <class A, class A64>
struct Entry {
  using Args = A;
  using Args64 = A64;
  // Told apart from a null `run`, because with -fsanitize=undefined GCC does not compare the address of a
  // function in a constant expression.
  bool exists = true;
  Run<A>* run = nullptr;
  Run<A64>* run64 = nullptr;
  bool (*supports)(const A&) = nullptr;
  bool (*faster)(const A&) = nullptr;

  // NOLINTBEGIN(google-explicit-constructor): a table names the function alone
  constexpr Entry(std::nullptr_t) : exists(false) {}
  constexpr Entry(Run<A>* function) : run(function) {}
  // NOLINTEND(google-explicit-constructor)
  constexpr Entry(Run<A>* function, Run<A64>* in_double) : run(function), run64(in_double) {}
  constexpr Entry(Run<A>* function, bool (*supports_it)(const A&), bool (*is_faster)(const A&) = nullptr)
      : run(function), supports(supports_it), faster(is_faster) {}
};

/// A row of a table: name, backend, and an entry for each op of the family.
template <class... Entries>
struct TechniqueOf {
  const char* name;
  Backend backend;
  std::tuple<Entries...> entries;

  constexpr TechniqueOf(const char* technique, const Backend& on, Entries... functions)
      : name(technique), backend(on), entries(functions...) {}
};

/// A row for ops with these argument structs.
template <class... Args>
using Technique = TechniqueOf<Entry<Args, NoArgs>...>;
/// A row for ops of real numbers, which exist in float and in double: the argument structs are templates.
template <template <class> class... Args>
using RealTechnique = TechniqueOf<Entry<Args<float>, Args<double>>...>;

/// The variants of the family's op number `index`: the rows that have an entry for it. A row whose backend is
/// not built stays, without functions.
template <size_t index, class... Entries, size_t rows>
constexpr auto column(const TechniqueOf<Entries...> (&table)[rows]) {
  using EntryType = std::tuple_element_t<index, std::tuple<Entries...>>;
  Variants<typename EntryType::Args, typename EntryType::Args64> variants{};
  for (const auto& technique : table) {
    const EntryType& entry = std::get<index>(technique.entries);
    if (!entry.exists) continue;
    if (technique.backend.built)
      variants.push_back(
          {technique.name, technique.backend, entry.run, entry.run64, entry.supports, entry.faster});
    else
      variants.push_back({technique.name, technique.backend});
  }
  return variants;
}

/// Whether `variant` can run in this context: it is built, runs on the context's device and card, and its
/// library is on this machine. The precision is not considered.
template <class A, class A64>
bool runs_in(const Context& ctx, const Variant<A, A64>& variant) {
  const Backend& backend = variant.backend;
  return variant.run && backend.device == ctx.device.type && backend.capability <= ctx.capability &&
         (!backend.missing || backend.missing().empty());
}

/// Whether `variant` can run this case in this context: it also supports the arguments.
template <class A, class A64>
bool fits(const Context& ctx, const Variant<A, A64>& variant, const A& args) {
  return runs_in(ctx, variant) && (!variant.supports || variant.supports(args));
}

/// The variant that the op's table prefers: the first of the context's precision that fits and is faster than
/// those after it; otherwise the first such of f32. Throws Error naming the op if there is none.
template <class A, class A64>
const Variant<A, A64>& preferred(const Context& ctx, const Op<A, A64>& op, const A& args) {
  for (const Precision precision : {ctx.precision, Precision::f32})
    for (const Variant<A, A64>& variant : op.variants)
      if (variant.backend.precision == precision && fits(ctx, variant, args) &&
          (!variant.faster || variant.faster(args)))
        return variant;
  throw Error(fmt::format("the op {} has no implementation on {}", op.name, ctx.device.str()));
}

/// The variant that --kernel has named for the op's family, whatever its precision. Throws InputError if it
/// does not exist, is not built, needs a newer card or does not support the case.
template <class A, class A64>
const Variant<A, A64>& named(const Context& ctx, const Op<A, A64>& op, const A& args,
                             const std::string& name) {
  std::string names;
  for (const Variant<A, A64>& variant : op.variants) {
    if (variant.backend.device != ctx.device.type) continue;
    names += (names.empty() ? "" : ", ") + std::string(variant.name);
    if (name != variant.name) continue;
    check_input(variant.run != nullptr, "--kernel {}={}: this build does not have it; it needs {}", op.family,
                variant.name, variant.backend.needs);
    check_input(variant.backend.capability <= ctx.capability,
                "--kernel {}={}: it needs sm_{}, this card is sm_{}", op.family, variant.name,
                variant.backend.capability, ctx.capability);
    check_input(runs_in(ctx, variant), "--kernel {}={}: {}", op.family, variant.name,
                variant.backend.missing ? variant.backend.missing() : "");
    check_input(fits(ctx, variant, args), "--kernel {}={}: it does not support this case", op.family,
                variant.name);
    return variant;
  }
  throw InputError(fmt::format("--kernel {}={}: {} has no such variant on {}; it has {}", op.family, name,
                               op.name, ctx.device.str(), names.empty() ? "none" : names));
}

/// A variant, and how its kernel is to cut the work (CallPlan::cut).
template <class A, class A64>
struct Chosen {
  const Variant<A, A64>& variant;
  std::string cut = {};
};

/// What `run` uses: the variant that the context names for the op's family; otherwise the one that a plan of
/// the context has for calls of this shape, if that fits and has the precision of the preferred one;
/// otherwise the preferred one.
template <class A, class A64>
Chosen<A, A64> choose_planned(const Context& ctx, const Op<A, A64>& op, const A& args) {
  if (const auto wanted = ctx.kernels.find(std::string_view(op.family)); wanted != ctx.kernels.end())
    return {named(ctx, op, args, wanted->second)};
  const Variant<A, A64>& first = preferred(ctx, op, args);
  if constexpr (requires { plan_shape(args); }) {
    if (ctx.kernels.empty()) return {first};
    const auto plan = plan_of(ctx, {op.name, plan_shape(args), first.name});
    for (const Variant<A, A64>& variant : op.variants)
      if (plan && plan->variant == variant.name && variant.backend.precision == first.backend.precision &&
          fits(ctx, variant, args))
        return {variant, plan->cut};
  }
  return {first};
}

/// The variant of it.
template <class A, class A64>
const Variant<A, A64>& choose(const Context& ctx, const Op<A, A64>& op, const A& args) {
  return choose_planned(ctx, op, args).variant;
}

/// Runs the op in single precision through its chosen variant.
template <class A, class A64>
void run(Context& ctx, const Op<A, A64>& op, const A& args) {
  OpCall call{.op = op.name, .args = &args, .layer = ctx.layer};
  if (ctx.observer) ctx.observer->op_begins(call);
  const auto [variant, cut] = choose_planned(ctx, op, args);
  const CutScope cut_scope(ctx.workspace, cut);
  const Workspace::Scope scope(ctx.workspace);
  const cuda::Range range(op.name);
  try {
    variant.run(ctx.stream, ctx.workspace, args);
  } catch (const Error& error) {
    if (ctx.device.type == DeviceType::cpu) throw;
    throw Error(fmt::format("{} ({}) on {}: {}", op.name, variant.name, ctx.device.str(), error.what()));
  }
  if (!ctx.observer) return;
  call.variant = variant.name;
  ctx.observer->op_ends(call);
}

/// Runs the op in double precision: the last variant, the reference, whatever the context names.
template <class A, class A64>
requires(!std::is_same_v<A64, NoArgs>) void run(Context& ctx, const Op<A, A64>& op, const A64& args) {
  check(ctx.device.type == DeviceType::cpu, "{} in double runs on the cpu alone, not on {}", op.name,
        ctx.device.str());
  const Workspace::Scope scope(ctx.workspace);
  op.variants.back().run64(ctx.stream, ctx.workspace, args);
}

/// An op of real numbers, which exists in float and in double.
template <template <class> class Args>
using RealOp = Op<Args<float>, Args<double>>;

/// Runs an op of real numbers in the precision of `dtype`, with the arguments that `fill` sets:
///
///     run_in(ctx, x.dtype(), softmax, [&]<class T>(SoftmaxArgs<T>& args) { args = {...}; });
template <template <class> class Args, class Fill>
void run_in(Context& ctx, DType dtype, const RealOp<Args>& op, Fill fill) {
  visit_float(dtype, op.name, [&](auto zero) {
    Args<decltype(zero)> args;
    fill(args);
    run(ctx, op, args);
  });
}

/// `target = value`, or `target += value` if the gradient already has a contribution.
template <class T>
RCNN_HOST_DEVICE inline void put(T& target, T value, Accumulate accumulate) {
  target = accumulate == Accumulate::yes ? target + value : value;
}

}  // namespace rcnn::kernels
