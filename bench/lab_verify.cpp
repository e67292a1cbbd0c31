#include "bench/lab_verify.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <memory>

#include "bench/error_map.h"
#include "bench/lab_names.h"
#include "bench/lab_timer.h"
#include "core/cuda/device.h"
#include "core/files/output.h"
#include "kernels/gemm/cuda_library.h"
#include "kernels/ops.h"
#include "kernels/smaller_cases.h"
#include "kernels/verify.h"

namespace rcnn {
namespace {

constexpr double kSearchSeconds = 10;

/// "(0, 3, 1)", the place of element `at` of a tensor of this shape.
std::string place_of(const Shape& shape, size_t at) {
  std::vector<int64_t> index(static_cast<size_t>(shape.rank()));
  auto rest = static_cast<int64_t>(at);
  for (size_t d = index.size(); d-- > 0;) {
    index[d] = rest % shape[static_cast<int>(d)];
    rest /= shape[static_cast<int>(d)];
  }
  return fmt::format("({})", fmt::join(index, ", "));
}

std::string describe(const kernels::WrongResult& wrong) {
  if (!wrong.found.defined()) return wrong.fault;
  const kernels::Mismatch found = kernels::mismatch(wrong.found, wrong.expected, wrong.bound);
  const Tensor values = wrong.found.cast(DType::f64), wanted = wrong.expected.cast(DType::f64);
  return fmt::format(
      "{} of {} elements of output {} are wrong; the worst is {} of {}: found {:.9g}, "
      "expected {:.9g} +- {:.3g}",
      found.wrong, wrong.expected.numel(), wrong.output, place_of(wrong.expected.shape(), found.worst),
      wrong.expected.shape().str(), values.values<double>()[found.worst],
      wanted.values<double>()[found.worst], wrong.bound.empty() ? 0 : wrong.bound[found.worst]);
}

const char* name_of_fill(kernels::Fill fill) {
  return fill == kernels::Fill::small_integers ? "small integers" : "ordinary numbers";
}

const char* name_of_mode(Accumulate accumulate) {
  return accumulate == Accumulate::no ? "outputs written" : "outputs added to";
}

class Verifier {
 public:
  explicit Verifier(const LabVerifyOptions& options)
      : options_(options), names_(parse_lab_names(options.ops)) {
    if (options.device != "cuda") contexts_.push_back(std::make_unique<Context>());
    if (options.device != "cpu" && cuda::device_count() > 0)
      contexts_.push_back(std::make_unique<Context>(Device{DeviceType::cuda, 0}));
    check_input(!contexts_.empty(), "--device cuda: {}",
                cuda::is_built() ? cuda::why_no_device() : "this build has no CUDA");
    kernels::max_timed_plans = 3;
  }

  template <class A, class A64>
  void verify_op(const kernels::Op<A, A64>& op) {
    if (!names_op(names_, op.name)) return;
    for (const auto& variant : op.variants) {
      if (!names_variant(names_, op.name, variant.name)) continue;
      const Context* here = nullptr;
      std::string reason = "there is no GPU";
      for (const auto& ctx : contexts_)
        if (ctx->device.type == variant.backend.device) here = ctx.get();
      if (here || !variant.backend.built)
        reason = why_not(here ? *here : *contexts_.front(), variant.backend);
      if (!here && options_.device == name_of(DeviceType::cpu)) reason = "--device cpu leaves it out";
      if (!here && options_.device == name_of(DeviceType::cuda)) reason = "--device cuda leaves it out";
      const bool named = std::ranges::any_of(
          names_, [&](const LabName& name) { return name.op == op.name && name.variant == variant.name; });
      if (reason.empty() && kernels::is_library(variant.backend) && !named)
        reason = "a vendor's library; name it to have it verified";
      if (!reason.empty()) {
        print_line(op.name, variant, "not run: " + reason);
        continue;
      }
      for (const auto& ctx : contexts_)
        if (ctx->device.type == variant.backend.device) verify_variant(*ctx, op, variant);
    }
  }

  int right = 0, wrong = 0;

 private:
  template <class Variant>
  static void print_line(const char* op, const Variant& variant, const std::string& text) {
    fmt::print("{:<32} {:<26} {:<4} {}\n", op, variant.name, name_of(variant.backend.device), text);
  }

  template <class A, class A64>
  void verify_variant(Context& ctx, const kernels::Op<A, A64>& op, const kernels::Variant<A, A64>& variant) {
    const auto op_cases = cases_of(op);
    const auto cases = op_cases.tested();
    int runs = 0, failed = 0;
    size_t reached = 0;
    for (size_t index = 0; index < cases.size(); ++index) {
      bool ran = false;
      for (const kernels::Fill fill : kernels::tested_fills())
        for (const Accumulate accumulate : {Accumulate::no, Accumulate::yes}) {
          kernels::Trial trial(op, cases[index], op_cases.prepare, index + 1, fill, accumulate);
          if (!kernels::fits(ctx, variant, trial.make().args)) continue;
          ran = true;
          ++runs;
          std::vector<kernels::WrongResult> found;
          kernels::check_variant(ctx, variant, trial,
                                 [&](const kernels::WrongResult& result) { found.push_back(result); });
          if (found.empty()) continue;
          if (failed++ > 0) continue;
          print_line(op.name, variant, "WRONG");
          explain(ctx, op, variant, cases[index], index, fill, accumulate, found.front());
        }
      reached += ran;
    }
    if (runs == 0) {
      print_line(op.name, variant, "WRONG: no case of the op runs it");
    } else if (failed > 0) {
      fmt::print("  wrong in {} of {} runs on {} cases\n", failed, runs, reached);
    } else {
      const size_t orders = ctx.device.type == DeviceType::cuda ? kernels::simulated_orders().size() : 1;
      print_line(op.name, variant,
                 fmt::format("right: {} cases, {} runs{}", reached, runs,
                             orders > 1 ? fmt::format(" in {} orders of the threads", orders) : ""));
    }
    ++(failed > 0 || runs == 0 ? wrong : right);
  }

  template <class A, class A64, class Case>
  void explain(Context& ctx, const kernels::Op<A, A64>& op, const kernels::Variant<A, A64>& variant,
               const Case& c, size_t index, kernels::Fill fill, Accumulate accumulate,
               const kernels::WrongResult& first) {
    const auto prepare = cases_of(op).prepare;
    const auto shapes = [&](const Case& of) {
      const auto p = prepare(float{}, of, kernels::Filler(index + 1, fill, accumulate));
      return fmt::format("inputs {}; outputs {}", shapes_text(shapes_of(p.inputs)),
                         shapes_text(shapes_of(p.outputs)));
    };
    fmt::print("  case {}, {}, {}: {}\n    {}\n", index, name_of_fill(fill), name_of_mode(accumulate),
               shapes(c), describe(first));
    if (!options_.out.empty() && first.found.defined()) {
      const std::filesystem::path file =
          options_.out / fmt::format("{}-{}-{}.png", op.name, variant.name, name_of(ctx.device.type));
      OutputCheck(options_.force).writes("--out", file);
      write_png(file, error_map(first.found, first.expected, first.bound));
      fmt::print("    where: {}\n", file.string());
    }
    // One smaller case after another, as long as the variant is wrong on it.
    const auto fault_of = [&](const Case& of) {
      kernels::Trial trial(op, of, prepare, index + 1, fill, accumulate);
      std::optional<kernels::WrongResult> found;
      if (kernels::fits(ctx, variant, trial.make().args))
        kernels::check_variant(ctx, variant, trial, [&](const kernels::WrongResult& result) {
          if (!found) found = result;
        });
      return found;
    };
    const auto start = std::chrono::steady_clock::now();
    const auto in_time = [&] {
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < kSearchSeconds;
    };
    std::optional<kernels::WrongResult> fault;
    const Case smallest = kernels::smallest_failing(
        c,
        [&](const Case& candidate) {
          auto result = fault_of(candidate);
          if (!result) return false;
          fault = std::move(result);
          return true;
        },
        in_time);
    if (fault)
      fmt::print("  the smallest case found on which it is wrong: {}\n    {}\n", shapes(smallest),
                 describe(*fault));
  }

  const LabVerifyOptions& options_;
  std::vector<LabName> names_;
  std::vector<std::unique_ptr<Context>> contexts_;
};

}  // namespace

void lab_verify(const LabVerifyOptions& options) {
  if (!options.out.empty()) std::filesystem::create_directories(options.out);
  Verifier verifier(options);
  kernels::for_each_op([&](const auto& op) { verifier.verify_op(op); });
  check_input(verifier.right + verifier.wrong > 0,
              "nothing was verified: no variant that was named can run here");
  check(verifier.wrong == 0, "{} of {} variants are wrong, see above", verifier.wrong,
        verifier.right + verifier.wrong);
}

}  // namespace rcnn
