#include "bench/lab_explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "bench/checkout.h"
#include "bench/lab_names.h"
#include "bench/lab_results.h"
#include "bench/machine_code.h"
#include "core/files/atomic_file.h"
#include "core/files/output.h"
#include "kernels/op_cases.h"
#include "kernels/verify.h"

namespace rcnn {
namespace {

constexpr const char* kNoCounts =
    "this build does not see the accesses of kernels: `make CONFIG=races build/races-sim/rcnn` makes one "
    "that "
    "does";

std::string percent(double part, double all) {
  return all > 0 ? fmt::format("{:.0f} %", part / all * 100) : "-";
}
std::string ratio(double a, double b) { return b > 0 ? fmt::format("{:.2f}", a / b) : "-"; }

#if defined(RCNN_CUDA_SIM)

constexpr double kMaxWhole = 3e8;  // FLOP or bytes of a case all of whose blocks run

/// Ops whose launches only compute with what earlier launches of the same call wrote: the values may be
/// wrong. In others they are places in memory, so all blocks have to run if there is more than one launch.
bool values_do_not_matter(std::string_view op) {
  return op.starts_with("conv2d") || op.starts_with("matmul") || op.ends_with("_norm") ||
         op.ends_with("_norm_backward") || op.starts_with("epilogue");
}

template <class A, class A64>
void run_once(Context& ctx, const kernels::Variant<A, A64>& variant, const A& args) {
  const Workspace::Scope scope(ctx.workspace);
  variant.run(ctx.stream, ctx.workspace, args);
  cuda::synchronize(ctx.device);
}

/// How many kernels a call launches: they are listed instead of run.
template <class A, class A64>
uint64_t launches_of(Context& ctx, const kernels::Variant<A, A64>& variant, const A& args) {
  cuda::synchronize(ctx.device);
  const uint64_t before = cuda_sim::launches();
  const bool list = std::exchange(cuda_sim::settings().list, true);
  run_once(ctx, variant, args);
  cuda_sim::settings().list = list;
  return cuda_sim::launches() - before;
}

class Explainer {
 public:
  explicit Explainer(const LabExplainOptions& options)
      : options_(options), card_(card_of(options.card)), names_(parse_lab_names(options.names)) {
    if (!options.root.empty()) sources_.emplace(options.root);
    cuda_sim::settings().order = cuda_sim::Order::ascending;
  }

  template <class A, class A64>
  void explain_op(const kernels::Op<A, A64>& op) {
    if (!names_op(names_, op.name)) return;
    const auto op_cases = cases_of(op);
    const auto cases = options_.tested ? op_cases.tested() : op_cases.timed();
    for (const int64_t number : options_.cases) {
      const auto index = static_cast<size_t>(number);
      check_case(op.name, number, cases.size());
      const auto host = op_cases.prepare(float{}, cases[index], kernels::Filler(1, kernels::Fill::uniform));
      for (const auto& variant : op.variants) {
        if (!names_variant(names_, op.name, variant.name) || variant.backend.device != DeviceType::cuda ||
            !kernels::fits(ctx_, variant, host.args))
          continue;
        ExplainedVariant explained{.op = op.name,
                                   .variant = variant.name,
                                   .case_index = index,
                                   .precision = variant.backend.precision,
                                   .inputs = shapes_of(host.inputs),
                                   .outputs = shapes_of(host.outputs),
                                   .flop = host.flop,
                                   .bytes = bytes_of(host)};
        fmt::print("{}={}, case {}: {} -> {}; {:.5g} MFLOP, {:.5g} MB\n", op.name, variant.name, index,
                   shapes_text(explained.inputs), shapes_text(explained.outputs), explained.flop * 1e-6,
                   explained.bytes * 1e-6);
        try {
          count(variant, host, explained);
          fmt::print("{}", explained_text(explained, card_, options_.root));
          std::vector<LaunchedKernel> kernels;
          const auto file =
              sources_ ? sources_->find(op.name, variant.name, true).file : std::filesystem::path();
          for (const auto& launch : explained.launches)
            kernels.push_back(
                {launch.kernel, launch.block[0] * launch.block[1] * launch.block[2], launch.shared, file});
          fmt::print("{}\n", machine_code_text(kernels, options_.root));
        } catch (const Error& error) {
          kernels::forget_fault();
          explained.error = error.what();
          fmt::print("  failed: {}\n", explained.error);
        }
        all.push_back(std::move(explained));
      }
    }
  }

  std::vector<ExplainedVariant> all;

 private:
  template <class A, class A64>
  void count(const kernels::Variant<A, A64>& variant, const kernels::Prepared<A>& host,
             ExplainedVariant& explained) {
    const auto p = kernels::on_device(host, ctx_.device);
    uint64_t blocks = options_.blocks;
    if (blocks > 0 && !values_do_not_matter(explained.op) && launches_of(ctx_, variant, p.args) > 1)
      blocks = 0;
    check(blocks > 0 || std::max(explained.flop, explained.bytes) <= kMaxWhole,
          "case {} is too large to run all its blocks, which depend on each other: name a smaller one with "
          "--case, or with --tested",
          explained.case_index);
    cuda::synchronize(ctx_.device);
    const cuda_sim::AccessCounter counter(blocks);
    run_once(ctx_, variant, p.args);
    explained.launches = counter.launches();
  }

  const LabExplainOptions& options_;
  const Card& card_;
  std::vector<LabName> names_;
  std::optional<VariantSources> sources_ = {};  // of the checkout, if there is one
  Context ctx_{Device{DeviceType::cuda, 0}};
};

#endif

}  // namespace

std::string explained_table(const std::vector<ExplainedVariant>& all, const Card& card) {
  std::string text = fmt::format(
      "| op | case | variant | requests | sectors, of the minimum | bank turns, of the minimum | lanes | "
      "read "
      "again by the block | at most on {} | limit |\n| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | "
      "---: | --- |\n",
      card.name);
  for (const ExplainedVariant& one : all) {
    if (!one.error.empty()) {
      text += fmt::format("| {} | {} | {} | failed | | | | | | |\n", one.op, one.case_index, one.variant);
      continue;
    }
    const LaunchWork work = work_of(one);
    const Bound bound = bound_on(card, one);
    const std::string speed = one.flop > 0 ? fmt::format("{:.4g} GFLOP/s", one.flop / bound.seconds * 1e-9)
                                           : fmt::format("not below {:.4g} ms", bound.seconds * 1e3);
    text += fmt::format("| {} | {} | {} | {:.4g} | {} | {} | {} | {} | {} | {} |\n", one.op, one.case_index,
                        one.variant, work.requests, ratio(work.sectors, work.min_sectors),
                        ratio(work.turns, work.min_turns), percent(work.lanes, work.places),
                        ratio(work.read, work.read_block), speed, bound.limit);
  }
  return text;
}

std::string explained_json(const std::vector<ExplainedVariant>& all, const Card& card,
                           const std::string& version) {
  using Json = nlohmann::ordered_json;
  Json rows = Json::array();
  for (const ExplainedVariant& one : all) {
    Json row{{"op", one.op}, {"case", one.case_index}, {"variant", one.variant}};
    row["precision"] = name_of(one.precision);
    row["inputs"] = one.inputs;
    row["outputs"] = one.outputs;
    if (one.error.empty()) {
      const LaunchWork work = work_of(one);
      const Bound bound = bound_on(card, one);
      uint64_t counted = 0, blocks = 0;
      for (const auto& launch : one.launches) counted += launch.counted, blocks += launch.blocks();
      row.update({{"flop", one.flop},
                  {"bytes", one.bytes},
                  {"launches", one.launches.size()},
                  {"blocks", blocks},
                  {"counted_blocks", counted},
                  {"requests", work.requests},
                  {"sectors", work.sectors},
                  {"min_sectors", work.min_sectors},
                  {"turns", work.turns},
                  {"min_turns", work.min_turns},
                  {"lanes", work.places > 0 ? work.lanes / work.places : 1},
                  {"read_bytes", work.read},
                  {"read_by_blocks", work.read_block},
                  {"bound_ms", bound.seconds * 1e3},
                  {"limit", bound.limit}});
    } else {
      row["error"] = one.error;
    }
    rows.push_back(std::move(row));
  }
  std::string text = fmt::format("{{\"info\": {},\n \"version\": {},\n \"card\": {},\n \"variants\": [",
                                 Json(kWrittenHere).dump(), Json(version).dump(), Json(card.name).dump());
  for (size_t i = 0; i < rows.size(); ++i) text += (i == 0 ? "\n  " : ",\n  ") + rows[i].dump();
  return text + "]}\n";
}

void lab_explain(const LabExplainOptions& options) {
  const Card& card = card_of(options.card);
  parse_lab_names(options.names);  // whether they exist
  OutputCheck outputs(options.force);
  if (!options.json.empty()) {
    check_extension("--json", options.json, ".json");
    outputs.writes("--json", options.json);
    check_same_kind("--json", options.json, "card", "figures of `lab explain`");
  }
#if defined(RCNN_CUDA_SIM)
  check_input(cuda_sim::can_count_accesses(), "{}", kNoCounts);
  Explainer explainer(options);
  kernels::for_each_op([&](const auto& op) { explainer.explain_op(op); });
  check_input(!explainer.all.empty(), "nothing to explain: no CUDA variant that was named takes these cases");
  fmt::print("{}", explained_table(explainer.all, card));
  if (!options.json.empty())
    write_atomically(options.json, explained_json(explainer.all, card, options.version));
  const auto failed =
      std::ranges::count_if(explainer.all, [](const auto& one) { return !one.error.empty(); });
  check(failed == 0, "{} variants failed, see above", failed);
#else
  static_cast<void>(card);
  throw InputError(kNoCounts);
#endif
}

}  // namespace rcnn
