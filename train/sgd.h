// The optimiser: stochastic gradient descent with momentum and weight decay for all parameters of a model.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/context.h"
#include "kernels/device_table.h"
#include "kernels/optim/sgd.h"
#include "layers/module.h"

namespace rcnn {

class Sgd {
 public:
  struct Options {
    float momentum = 0.9f, weight_decay = 1e-4f;
    float clip_norm = 0;       // maximum norm of all gradients together; 0: no clipping
    float bias_lr_factor = 1;  // factor of the learning rate of parameters called "bias"
  };

  struct Parameter {
    std::string name;
    Var value;
    Shape pooled;     // see ParamVisitor::parameter
    Tensor momentum;  // of the value's shape
  };

  /// Takes the parameters of the module that require a gradient. Their momentum starts at 0.
  template <class Module>
  Sgd(Context& ctx, Module& module, const Options& options) : Sgd(ctx, collect(module), options) {}

  /// Takes one step with the gradients accumulated since the last step, then clears them. Parameters without
  /// a gradient are skipped. If a gradient is not finite, no parameter changes; see `norm`.
  void step(Context& ctx);
  void step(Context& ctx, float learning_rate) {
    set_learning_rate(learning_rate);
    step(ctx);
  }
  /// Sets the learning rate of the following steps. It is kept on the device, so that a captured step can be
  /// replayed with another one.
  void set_learning_rate(float rate);

  /// The L2 norm of all gradients in the last step, before clipping (one f32 on the device). It is not finite
  /// if that step was skipped.
  const Tensor& norm() const { return norm_; }
  /// Whether the last step was skipped: one i32 on the device, 0 if it was not.
  const Tensor& skipped() const { return skip_; }
  std::vector<Parameter>& parameters() { return parameters_; }

 private:
  Sgd(Context& ctx, std::vector<Parameter> parameters, const Options& options);
  template <class Module>
  static std::vector<Parameter> collect(Module& module) {
    std::vector<Parameter> found;
    visit_module(
        module,
        [&](const std::string& name, Var& value, const Shape& pooled) {
          if (value.requires_grad()) found.push_back({name, value, pooled, {}});
        },
        [](const std::string&, Tensor&) {});
    return found;
  }

  Options options_;
  std::vector<Parameter> parameters_;
  Tensor learning_rate_, norm_, scale_, skip_;
  kernels::DeviceTable<kernels::SgdParameter> table_;  // the parameters with a gradient
};

}  // namespace rcnn
