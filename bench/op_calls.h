// Every op of the engine with its cases, reached by name: for code that sees calls of any op.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/context.h"
#include "core/op_observer.h"
#include "kernels/case_fields.h"
#include "kernels/gemm/weights_key.h"
#include "kernels/plans.h"

namespace rcnn {

/// A call as a case of its op's table: {"case": the fields of the case struct, "accumulate": for each
/// gradient, whether it is added to (left out if none is), "in_place": the residual lies in the output,
/// "weights": the weights have a key, so that a packed copy of them can be kept}.
using CallJson = nlohmann::ordered_json;

/// The arithmetic and the traffic of a call, as the op's table states them: inputs read once, outputs written
/// once.
struct CallWork {
  double flop = 0, bytes = 0;
};

/// A case that is ready to run again and again.
class RepeatedCall {
 public:
  virtual ~RepeatedCall() = default;
  /// Queues the op with the variant that the context chooses. With `new_weights` the op has to pack its
  /// weights again.
  virtual void run(Context& ctx, bool new_weights) = 0;
  virtual std::string variant(Context& ctx) const = 0;
  /// Bytes of its tensors.
  virtual int64_t bytes() const = 0;
  /// The calls for which a plan of this one holds. Throws Error if the op takes no plans.
  virtual kernels::PlannedCall planned_call(Context& ctx) const = 0;
  /// The ways to run it that are worth measuring: first what the context chooses without plans; then the
  /// other cuts that this variant's kernel offers, or on the CPU the other variants that fit.
  virtual std::vector<kernels::CallPlan> ways(Context& ctx) = 0;
};

/// What there is to do with the calls of one op.
struct OpCalls {
  size_t argument_bytes = 0;  // of the argument struct
  bool takes_plans = false;   // see kernels/plans.h
  std::function<CallJson(const void* args, kernels::ArgumentReader&)> describe;
  /// The key of the weights that the call reads; id 0: none that are packed.
  std::function<kernels::WeightsKey(const void* args)> weights;
  /// Copies of those inputs that decide how long the call takes, by their number in the prepared case; none
  /// if that depends on shapes alone. Inputs of more than 4 MiB are left out.
  std::function<std::map<int, Tensor>(const void* args, const CallJson&, const kernels::ArgumentReader&)>
      values;
  std::function<CallWork(const CallJson&)> work;
  /// Whether the time of the call depends on values of its inputs, besides its shape.
  std::function<bool(const CallJson&)> depends_on_values;
  /// Throws InputError if the description or the values are not those of a call of this op.
  std::function<std::unique_ptr<RepeatedCall>(const CallJson&, const std::map<int, Tensor>&, Device)> repeat;
};

/// By the op's name.
const std::map<std::string_view, OpCalls>& op_calls();

/// The shapes of a call in a few words: "4x60x80x32 3x3 k 32" for a convolution, otherwise the fields.
std::string short_text(std::string_view op, const CallJson& call);

}  // namespace rcnn
