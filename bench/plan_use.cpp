#include "bench/plan_use.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <vector>

#include "bench/lab_results.h"
#include "core/files/sha256.h"
#include "core/parallel.h"
#include "kernels/gemm/mma_plan.h"
#include "kernels/gemm/plan_names.h"
#include "kernels/ops.h"

namespace rcnn {
namespace {

using kernels::PlannedCall;
using kernels::Variant;

/// The parts of a cut of either kind; 0 for any other text.
int parts_of_cut(const std::string& cut) {
  if (const auto plan = kernels::mma::plan_of_cut(cut)) return plan->parts;
  return kernels::parts_of_cut(cut).value_or(0);
}

/// Whether the variant's kernel can cut its work like this: a tile and parts on tensor cores, parts alone on
/// register tiles.
template <class A, class A64>
bool takes_cut(const Variant<A, A64>& variant, const std::string& cut) {
  if (variant.backend.device != DeviceType::cuda ||
      std::string_view(variant.backend.needs) != kernels::on_cuda.needs)
    return false;
  if (variant.backend.precision != Precision::f32) return kernels::mma::plan_of_cut(cut).has_value();
  const std::string_view name = variant.name;
  return (name == "implicit_gemm" || name == "register_tiles") && kernels::parts_of_cut(cut).has_value();
}

/// Whether the variant supports calls of this shape. The one that looks at values, which a file does not
/// have, runs without a plan wherever it can; so a plan for it changes nothing.
template <class A, class A64>
bool supports_shape(const Variant<A, A64>& variant, const A& args, bool is_preferred) {
  if (std::string_view(variant.name) == "nonzero_rows") return is_preferred;
  return !variant.supports || variant.supports(args);
}

/// Why no call of the op can run as the entry says, after "3 plans are ignored: "; null if calls can.
template <class A, class A64>
const char* why_unusable(const kernels::Op<A, A64>& op, const PlanEntry& entry) {
  if constexpr (requires(A & args) { read_plan_shape(entry.call.shape, args); }) {
    const DeviceType device = entry.place.threads > 0 ? DeviceType::cpu : DeviceType::cuda;
    const auto find = [&](const std::string& name) -> const Variant<A, A64>* {
      for (const auto& variant : op.variants)
        if (name == variant.name && variant.run != nullptr && variant.backend.device == device)
          return &variant;
      return nullptr;
    };
    const auto *first = find(entry.call.preferred), *planned = find(entry.plan.variant);
    if (!first || !planned) return "of variants that this program does not have";
    for (const auto* variant : {first, planned})
      if (entry.precision != name_of(variant->backend.precision))
        return "of another precision than that of their variants";
    if (!entry.plan.cut.empty() && !takes_cut(*planned, entry.plan.cut))
      return "with a cut that their variant does not have";
    A args;
    if (!read_plan_shape(entry.call.shape, args)) return "for a shape that no call has";
    if (!supports_shape(*first, args, true) || !supports_shape(*planned, args, planned == first))
      return "of variants that cannot run their shape";
    return nullptr;
  } else {
    return "for operations that take no plans";
  }
}

const char* why_unusable(const PlanEntry& entry) {
  const char* reason = "for operations that this program does not have";
  kernels::for_each_op([&](const auto& op) {
    if (entry.call.op == op.name) reason = why_unusable(op, entry);
  });
  return reason;
}

/// A reason with how many entries it holds for. Those of other places are what a file is expected to have;
/// others are named by their numbers.
struct LeftOut {
  std::string_view reason;
  bool named = true;
  std::vector<size_t> entries = {};

  std::string text() const {
    constexpr size_t kShown = 3;
    std::string numbers;
    for (size_t i = 0; named && i < std::min(entries.size(), kShown); ++i)
      numbers += fmt::format("{}{}", i == 0 ? "" : ", ", entries[i]);
    if (!numbers.empty())
      numbers = fmt::format(" ({} {}{})", entries.size() == 1 ? "entry" : "entries", numbers,
                            entries.size() > kShown ? ", ..." : "");
    return fmt::format("{} {}{}", entries.size(), reason, numbers);
  }
};

std::string digest_of(const std::map<PlannedCall, const PlanEntry*>& used) {
  std::string of_bits;
  for (const auto& [call, entry] : used)
    if (changes_bits(*entry))
      of_bits += fmt::format("{}\n{}\n{}\n{}\n{}\n", call.op, call.shape, call.preferred, entry->plan.variant,
                             parts_of_cut(entry->plan.cut));
  if (of_bits.empty()) return "";
  Sha256 sha;
  sha.update(of_bits);
  return sha.hex().substr(0, 8);
}

}  // namespace

PlanPlace place_of(Device device, const std::string& version) {
  if (device.type == DeviceType::cuda) return {cuda::device_info(device.index).name, 0, version};
  return {machine_name(), thread_count(), version};
}

bool changes_bits(const PlanEntry& entry) {
  const kernels::CallPlan& without = entry.times.front().plan;
  return entry.plan.variant != without.variant || parts_of_cut(entry.plan.cut) != parts_of_cut(without.cut);
}

std::shared_ptr<const kernels::Plans> load_plans(const std::filesystem::path& path, const PlanPlace& place) {
  const std::vector<PlanEntry> entries = read_plan_file(path);
  std::vector<LeftOut> left_out{{"for another processor or card", false},
                                {"for another number of threads", false},
                                {"of another version of the program", false}};
  const auto leave_out = [&](size_t number, std::string_view reason) {
    auto found = std::ranges::find(left_out, reason, &LeftOut::reason);
    if (found == left_out.end()) found = left_out.insert(found, LeftOut{reason});
    found->entries.push_back(number);
  };
  std::map<PlannedCall, size_t> used_numbers;
  std::vector<ReplacedEntry> replaced;
  for (size_t i = 0; i < entries.size(); ++i) {
    const PlanEntry& entry = entries[i];
    if (entry.place.device != place.device) {
      leave_out(i, left_out[0].reason);
    } else if (entry.place.threads != place.threads) {
      leave_out(i, left_out[1].reason);
    } else if (entry.place.version != place.version) {
      leave_out(i, left_out[2].reason);
    } else if (const char* reason = why_unusable(entry)) {
      leave_out(i, reason);
    } else {
      const auto [found, is_new] = used_numbers.insert({entry.call, i});
      if (!is_new) replaced.push_back({found->second, i});
      found->second = i;
    }
  }
  const auto plans = std::make_shared<kernels::Plans>();
  std::map<PlannedCall, const PlanEntry*> used;
  for (const auto& [call, number] : used_numbers) {
    used[call] = &entries[number];
    plans->calls[call] = entries[number].plan;
  }
  plans->digest = digest_of(used);
  std::string reasons;
  for (const LeftOut& left : left_out)
    if (!left.entries.empty()) reasons += (reasons.empty() ? "" : ", ") + left.text();
  if (!replaced.empty())
    reasons += fmt::format("{}{} for the same calls as a later one ({})", reasons.empty() ? "" : ", ",
                           replaced.size(), replaced_text(replaced));
  plans->note =
      fmt::format("{}: {} of {} plans are used", path.string(), plans->calls.size(), entries.size());
  if (!reasons.empty()) plans->note += "; ignored are " + reasons;
  return plans;
}

}  // namespace rcnn
