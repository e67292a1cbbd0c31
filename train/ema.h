// A moving average of a model's weights, which is evaluated and kept in their place: steadier than where the
// last step left them.
#pragma once

#include <string>
#include <vector>

#include "layers/module.h"
#include "train/sgd.h"

namespace rcnn {

class Ema {
 public:
  struct Entry {
    std::string name;
    Shape pooled;           // see ParamVisitor::parameter
    Tensor value, average;  // the model's own tensor, and its average, which begins as a copy
  };

  /// Averages every trained parameter and every buffer (running statistics) of the module, whose tensors must
  /// stay where they are.
  template <class Module>
  Ema(Context& ctx, Module& module, float decay) : Ema(ctx, collect(module), decay) {}

  /// After step number `step`, counted from 1; nothing where `sgd` skipped it. The decay rises to its value
  /// as (1 + step) / (10 + step), so that the first steps are soon forgotten.
  void update(Context& ctx, const Sgd& sgd, int64_t step);
  /// Exchanges the model's values and their averages, bit for bit: done twice, all is as before.
  void swap();

  std::vector<Entry>& entries() { return entries_; }

 private:
  Ema(Context& ctx, std::vector<Entry> entries, float decay);
  template <class Module>
  static std::vector<Entry> collect(Module& module) {
    std::vector<Entry> found;
    visit_module(
        module,
        [&](const std::string& name, Var& value, const Shape& pooled) {
          if (value.requires_grad()) found.push_back({name, pooled, value.value(), {}});
        },
        [&](const std::string& name, Tensor& value) {
          found.push_back({name, {}, value, {}});
        });
    return found;
  }

  float decay_;
  std::vector<Entry> entries_;
  Tensor table_, device_decay_;  // on the device
  int64_t chunks_ = 0;
};

}  // namespace rcnn
