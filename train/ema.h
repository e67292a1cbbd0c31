// An exponential moving average of a model's weights, which often detects better than the weights of a single
// step.
//
//     average = d average + (1 - d) weight,  d = min(decay, (1 + step) / (10 + step))
//
// The ramp at the start makes the average forget the random values it began with. Running statistics are
// averaged like weights, so that they match the averaged weights.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/context.h"
#include "layers/module.h"

namespace rcnn {

class Ema {
 public:
  struct Average {
    std::string name;
    Tensor value;    // the model's own: a trained parameter or a buffer
    Shape pooled;    // see ParamVisitor::parameter
    Tensor average;  // of the value's shape
  };

  /// Averages the parameters that require a gradient and every buffer, starting from copies. The module must
  /// keep its tensors while this object lives (see move_to).
  template <class Module>
  Ema(Context& ctx, Module& module, float decay) : Ema(ctx, collect(module), decay) {}

  /// Updates the averages after step number `step` of the run, counted from 0. Does nothing if `skipped` (one
  /// i32 on the device; see Sgd::skipped) is not 0. Does not wait for the device.
  void update(Context& ctx, int64_t step, const Tensor& skipped);

  /// Exchanges the model's values with their averages, in place and bit for bit. Call it once before
  /// evaluating or saving the averaged model and once after, without an update in between.
  void swap();

  /// For checkpoints, which also restore the averages through it.
  const std::vector<Average>& averages() const { return averages_; }

  /// d of the formula above.
  static float decay_at(float decay, int64_t step);

 private:
  Ema(Context& ctx, std::vector<Average> averages, float decay);
  template <class Module>
  static std::vector<Average> collect(Module& module) {
    std::vector<Average> found;
    visit_module(
        module,
        [&](const std::string& name, Var& value, const Shape& pooled) {
          if (value.requires_grad()) found.push_back({name, value.value(), pooled, {}});
        },
        [&](const std::string& name, Tensor& value) {
          found.push_back({name, value, {}, {}});
        });
    return found;
  }

  std::vector<Average> averages_;
  float decay_;
  bool swapped_ = false;
  int64_t chunks_ = 0;
  Tensor table_, share_;  // on the device: kernels::Averaged of every tensor, and 1 - d
};

}  // namespace rcnn
