// Plans: for calls of an op with certain sizes, what runs instead of the variant that the op's table prefers,
// and how its kernel cuts the work. `rcnn lab tune` measures them (bench/lab_tune.h), and --plans names the
// file that keeps them (bench/plan_file.h). A context has them among its `kernels`, beside the choices of
// --kernel, and `choose` (kernels/op.h) looks there.
//
// An op takes plans if there is a `plan_shape` of its arguments beside them, as in kernels/gemm/conv2d.h: the
// sizes on which its time depends, as a text. A kernel that can cut its work in several ways reads CutOfCall.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/context.h"

namespace rcnn::kernels {

/// The calls that a plan is for.
struct PlannedCall {
  std::string op = {}, shape = {};  // shape: plan_shape of the arguments
  std::string preferred = {};       // the variant that the op's table prefers for them
  auto operator<=>(const PlannedCall&) const = default;
};

/// How a call runs.
struct CallPlan {
  std::string variant = {};
  std::string cut = {};  // one of those that the variant offers; "": its own rule, or it has one way only
  bool operator==(const CallPlan&) const = default;
};

struct Plans {
  std::map<PlannedCall, CallPlan> calls = {};
  /// Names those plans that can change bits of a result: eight hexadecimal digits, or "" if there is none.
  std::string digest = {};
  std::string note = {};  // where they come from, and what was left out: a sentence
};

/// Adds the plan to the context, in place of one for the same calls.
void use_plan(Context& ctx, const PlannedCall& call, const CallPlan& plan);
void use_plans(Context& ctx, const Plans& plans);
/// The context's plan for the call, if it has one.
std::optional<CallPlan> plan_of(const Context& ctx, const PlannedCall& call);

/// In a workspace: how the kernel of the call that runs is to cut its work, and what it says of that.
struct CutOfCall {
  std::string wanted = {};  // "": by the kernel's own rule
  /// If set, a kernel that has a choice writes here the cuts that are worth measuring, that of its rule
  /// first.
  std::vector<std::string>* offered = nullptr;
};

/// While it lives, kernels in the workspace cut their work as a plan says.
class CutScope {
 public:
  CutScope(Workspace& workspace, const std::string& cut) {
    if (cut.empty()) return;
    call_ = &workspace.cache<CutOfCall>();
    call_->wanted = cut;
  }
  ~CutScope() {
    if (call_) call_->wanted.clear();
  }
  CutScope(const CutScope&) = delete;
  CutScope& operator=(const CutScope&) = delete;

 private:
  CutOfCall* call_ = nullptr;
};

}  // namespace rcnn::kernels
