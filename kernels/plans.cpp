#include "kernels/plans.h"

#include <fmt/format.h>

namespace rcnn::kernels {
namespace {

/// Under which Context::kernels has a plan. A family of ops, which --kernel names, is one word.
std::string key_of(const PlannedCall& call) {
  return fmt::format("{} {} {}", call.op, call.preferred, call.shape);
}

}  // namespace

void use_plan(Context& ctx, const PlannedCall& call, const CallPlan& plan) {
  ctx.kernels[key_of(call)] = plan.cut.empty() ? plan.variant : plan.variant + " " + plan.cut;
}

void use_plans(Context& ctx, const Plans& plans) {
  for (const auto& [call, plan] : plans.calls) use_plan(ctx, call, plan);
}

std::optional<CallPlan> plan_of(const Context& ctx, const PlannedCall& call) {
  const auto found = ctx.kernels.find(key_of(call));
  if (found == ctx.kernels.end()) return {};
  const std::string& text = found->second;
  const size_t space = text.find(' ');
  return CallPlan{text.substr(0, space), space == std::string::npos ? "" : text.substr(space + 1)};
}

}  // namespace rcnn::kernels
