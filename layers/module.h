// Modules: plain structs that own parameters and name them.
//
// A module has a member `void visit(ParamVisitor&)` that passes every parameter and buffer to the visitor
// once, in a fixed order, under torchvision's names. Checkpoints, the optimiser and the summary all use it;
// nothing else lists parameters.
#pragma once

#include <string>
#include <string_view>

#include "core/autograd.h"

namespace rcnn {

class ParamVisitor {
 public:
  virtual ~ParamVisitor() = default;

  /// A learned tensor: trained if it requires a gradient, otherwise frozen. `pooled` is given for the
  /// weight (N, K) of the first fully connected layer after RoI pooling, whose K inputs are a flattened map
  /// (PH, PW, C): other programs flatten it as (C, PH, PW).
  void parameter(std::string_view name, Var& value, const Shape& pooled = {}) {
    on_parameter(prefix_ + std::string(name), value, pooled);
  }
  /// A tensor that is part of the state but never gets a gradient (running statistics).
  void buffer(std::string_view name, Tensor& value) { on_buffer(prefix_ + std::string(name), value); }
  /// A module inside this one: `name` and a dot are put in front of its names.
  template <class Module>
  void child(std::string_view name, Module& module) {
    const size_t length = prefix_.size();
    prefix_ += std::string(name) + ".";
    module.visit(*this);
    prefix_.resize(length);
  }

 protected:
  virtual void on_parameter(const std::string& name, Var& value, const Shape& pooled) = 0;
  virtual void on_buffer(const std::string& name, Tensor& value) = 0;

 private:
  std::string prefix_;
};

/// Calls `parameter(name, Var&, pooled)` for every parameter of a module, and `buffer(name, Tensor&)` for
/// every one of its buffers.
template <class Module, class Parameter, class Buffer>
void visit_module(Module& module, Parameter parameter, Buffer buffer) {
  struct Visitor : ParamVisitor {
    Visitor(Parameter& p, Buffer& b) : on_p(p), on_b(b) {}
    void on_parameter(const std::string& name, Var& value, const Shape& pooled) override {
      on_p(name, value, pooled);
    }
    void on_buffer(const std::string& name, Tensor& value) override { on_b(name, value); }
    Parameter& on_p;
    Buffer& on_b;
  } visitor(parameter, buffer);
  module.visit(visitor);
}

/// Calls `f(name, Var&)` for every parameter of a module.
template <class Module, class F>
void for_each_parameter(Module& module, F f) {
  visit_module(
      module, [&](const std::string& name, Var& value, const Shape&) { f(name, value); },
      [](const std::string&, Tensor&) {});
}

/// Moves every parameter and buffer to `device`. Gradients, and anything recorded with the old values, do
/// not move: call it before the module is used.
template <class Module>
void move_to(Module& module, Device device) {
  visit_module(
      module,
      [&](const std::string&, Var& value, const Shape&) {
        Tensor moved = value.value().to(device);
        value = value.requires_grad() ? Var::parameter(std::move(moved)) : Var(std::move(moved));
      },
      [&](const std::string&, Tensor& value) { value = value.to(device); });
}

}  // namespace rcnn
