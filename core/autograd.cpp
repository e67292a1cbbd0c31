#include "core/autograd.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "core/cuda/device.h"
#include "core/cuda/tensor.h"
#include "core/op_observer.h"
#include "core/parallel.h"

namespace rcnn {

Var Var::parameter(Tensor value) {
  Var leaf(value);
  leaf.gradient_ =
      std::make_shared<Gradient>(Gradient{value.shape(), value.dtype(), value.device(), {}, false, {}, 0});
  return leaf;
}

const Tensor& Var::gradient() const {
  check(has_gradient(), "no gradient was written for a value of shape {}", shape().str());
  return gradient_->value;
}

const Tensor& Saved::get() const {
  check(tensor_.defined(), "backward asked for a tensor that was not saved");
  check(tensor_.version() == version_,
        "a tensor of shape {} that backward needs was changed after the forward pass (version {}, now {})",
        tensor_.shape().str(), version_, tensor_.version());
  return tensor_;
}

void GradientTarget::put(const Tensor& gradient) const {
  if (!value.defined()) return;
  if (accumulate == Accumulate::no) return value.copy_from(gradient);
  check(gradient.numel() == value.numel() && gradient.dtype() == value.dtype() &&
            gradient.device() == value.device(),
        "a gradient of {} {} on {} is to be added to one of {} {} on {}", name_of(gradient.dtype()),
        gradient.shape().str(), gradient.device().str(), name_of(value.dtype()), value.shape().str(),
        value.device().str());
  if (value.device().type == DeviceType::cuda) return cuda::add_to(value, gradient);
  visit_float(value.dtype(), "the sum of two gradients", [&](auto zero) {
    using T = decltype(zero);
    const T* term = gradient.data<T>();
    T* sum = value.mutable_data<T>();
    parallel_for(value.numel(), 1 << 15, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) sum[i] += term[i];
    });
  });
}

GradientTarget Node::target(Context&, size_t i) {
  Gradient* gradient = inputs_[i].get();
  if (gradient == nullptr) return {};
  const Accumulate accumulate = gradient->written ? Accumulate::yes : Accumulate::no;
  if (!gradient->value.defined())
    gradient->value = Tensor::empty(gradient->shape, gradient->dtype, gradient->device);
  gradient->written = true;
  return {gradient->value, accumulate};
}

Node* Node::producer_for_this_alone(size_t i) const {
  const Gradient* gradient = inputs_[i].get();
  return gradient != nullptr && gradient->readers == 1 && !gradient->written ? gradient->producer.get()
                                                                             : nullptr;
}

void Node::hand_over(size_t i) { inputs_[i]->written = true; }

bool wants_gradient(const Context& ctx, std::initializer_list<const Var*> inputs) {
  return ctx.grad &&
         std::any_of(inputs.begin(), inputs.end(), [](const Var* v) { return v->requires_grad(); });
}

bool wants_gradient(const Context& ctx, const std::vector<Var>& inputs) {
  return ctx.grad &&
         std::any_of(inputs.begin(), inputs.end(), [](const Var& v) { return v.requires_grad(); });
}

Var record(Context& ctx, std::shared_ptr<Node> node, std::initializer_list<const Var*> inputs, Tensor value) {
  std::vector<Var> copies;
  for (const Var* input : inputs) copies.push_back(*input);
  return record(ctx, std::move(node), copies, std::move(value));
}

Var record(Context& ctx, std::shared_ptr<Node> node, const std::vector<Var>& inputs, Tensor value) {
  for (const Var& input : inputs) node->inputs_.push_back(input.gradient_);
  node->sequence_ = ctx.next_sequence++;
  node->layer_ = ctx.layer;
  Var output(std::move(value));
  const Tensor& v = output.value_;
  if (ctx.watch) ctx.watch(*node, inputs, v);
  output.gradient_ =
      std::make_shared<Gradient>(Gradient{v.shape(), v.dtype(), v.device(), {}, false, node, 0});
  return output;
}

void backward(Context& ctx, const Var& loss, double weight) {
  backward(ctx, loss, weight, {}, [](std::span<const size_t>) {});
}

void backward(Context& ctx, const Var& loss, double weight, std::span<const Var> leaves,
              const LeavesComplete& proceed) {
  check(loss.value_.numel() == 1, "backward needs a loss with one element, not a tensor of shape {}",
        loss.shape().str());
  check(loss.gradient_ != nullptr, "backward was called on a value that depends on no parameter");
  struct Followed {
    size_t number;     // of the leaf
    int64_t uses = 0;  // by nodes that have not run
  };
  std::unordered_map<const Gradient*, Followed> followed;
  for (size_t i = 0; i < leaves.size(); ++i) {
    const Gradient* leaf = leaves[i].gradient_.get();
    check(leaf != nullptr && !leaf->producer, "backward was to follow a value that is not a parameter");
    check(followed.emplace(leaf, Followed{i}).second, "backward was to follow one parameter twice");
  }
  // This list keeps the gradients of the outputs alive: once the consumers of an output have been released,
  // nothing else may refer to its gradient.
  std::vector<std::shared_ptr<Gradient>> outputs;
  std::unordered_set<const Node*> seen;
  const auto visit = [&](const std::shared_ptr<Gradient>& gradient) {
    if (gradient && gradient->producer && seen.insert(gradient->producer.get()).second)
      outputs.push_back(gradient);
  };
  visit(loss.gradient_);
  for (size_t i = 0; i < outputs.size(); ++i)
    for (const auto& input : outputs[i]->producer->inputs_) {
      visit(input);
      if (input && input->producer) ++input->readers;
      if (const auto leaf = followed.find(input.get()); leaf != followed.end()) ++leaf->second.uses;
    }
  std::sort(outputs.begin(), outputs.end(),
            [](const auto& a, const auto& b) { return a->producer->sequence_ > b->producer->sequence_; });

  loss.gradient_->value = Tensor::empty(loss.shape(), loss.dtype(), loss.value_.device());
  loss.gradient_->value.fill(weight);
  loss.gradient_->written = true;
  std::vector<size_t> complete;
  for (const auto& [gradient, leaf] : followed)
    if (leaf.uses == 0) complete.push_back(leaf.number);
  std::sort(complete.begin(), complete.end());
  proceed(complete);
  for (std::shared_ptr<Gradient>& output : outputs) {
    std::shared_ptr<Node> node = std::move(output->producer);
    if (output->written) {
      node->output_gradient_ = std::move(output->value);
      output->value = Tensor();
      output->written = false;
      const LayerScope layer(ctx, node->layer_);
      const cuda::Range range(node->name());
      node->backward(ctx);
    }
    complete.clear();
    for (const auto& input : node->inputs_)
      if (const auto leaf = followed.find(input.get()); leaf != followed.end() && --leaf->second.uses == 0)
        complete.push_back(leaf->second.number);
    // Releases the node, and with it what it saved, before anything else allocates.
    output = nullptr;
    node = nullptr;
    proceed(complete);
  }
}

namespace {

struct ReshapeNode : Node {
  const char* name() const override { return "reshape"; }
  void backward(Context& ctx) override { target(ctx, 0).put(output_gradient()); }
};

}  // namespace

Var reshape(Context& ctx, const Var& x, const Shape& shape) {
  Tensor view = x.value().reshape(shape);
  if (!wants_gradient(ctx, {&x})) return Var(view);
  return record(ctx, std::make_shared<ReshapeNode>(), {&x}, view);
}

}  // namespace rcnn
