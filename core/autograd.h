// Reverse-mode automatic differentiation.
//
// A Var is a value and, if one is needed, its gradient. A layer that is called while gradients are enabled
// records a Node: a struct whose members are the tensors it saved and whose `backward` turns the gradient of
// its output into the gradients of its inputs. `backward(loss)` visits the nodes in reverse order of
// creation: every use of a value is visited before the value's producer, and contributions to a shared
// parameter add up in one fixed order.
//
//     Var y = linear(ctx, x, w, b);          // records a LinearNode, which saves x and w
//     backward(ctx, loss);                   // w.gradient() now holds d loss / d w
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "core/accumulate.h"
#include "core/context.h"
#include "core/tensor.h"

namespace rcnn {

struct Node;
class Var;

/// Gets the numbers of those leaves that a backward pass follows whose gradient is complete from here on.
using LeavesComplete = std::function<void(std::span<const size_t> leaves)>;

/// The gradient side of a Var. Nodes hold gradients of their inputs rather than values, so that a node keeps
/// alive only the tensors that are its members.
struct Gradient {
  Shape shape;
  DType dtype;
  Device device;
  Tensor value;                    // allocated by the first contribution
  bool written = false;            // false: no contribution yet, whatever `value` holds
  std::shared_ptr<Node> producer;  // null for a leaf (a parameter, an input)
  int readers = 0;  // nodes of backward's walk that contribute to it; only counted if it has a producer
};

class Var {
 public:
  Var() = default;
  /// A constant, which needs no gradient.
  // NOLINTNEXTLINE(google-explicit-constructor): a Tensor may be passed where a constant Var is expected
  Var(Tensor value) : value_(std::move(value)) {}
  /// A leaf that collects a gradient.
  static Var parameter(Tensor value);

  bool defined() const { return value_.defined(); }
  const Tensor& value() const { return value_; }
  const Shape& shape() const { return value_.shape(); }
  int64_t dim(int i) const { return value_.dim(i); }
  DType dtype() const { return value_.dtype(); }
  bool requires_grad() const { return gradient_ != nullptr; }
  /// The accumulated gradient. Throws Error if none was written.
  const Tensor& gradient() const;
  bool has_gradient() const { return gradient_ && gradient_->written; }
  /// The memory of the gradient, written or not; undefined before the first contribution.
  Tensor gradient_memory() const { return gradient_ ? gradient_->value : Tensor(); }
  /// Forgets the gradient: the next contribution is written, not added. The memory is kept.
  void clear_gradient() const {
    if (gradient_) gradient_->written = false;
  }
  /// The same values as a constant.
  Var detach() const { return Var(value_); }

 private:
  friend Var record(Context&, std::shared_ptr<Node>, const std::vector<Var>&, Tensor);
  friend void backward(Context&, const Var&, double, std::span<const Var>, const LeavesComplete&);
  Tensor value_;
  std::shared_ptr<Gradient> gradient_;
};

/// A tensor kept for backward. Throws Error if it is used after its storage was written to, because the
/// gradient would be wrong.
class Saved {
 public:
  Saved() = default;
  Saved(Tensor tensor)  // NOLINT(google-explicit-constructor): members are set from tensors
      : tensor_(std::move(tensor)), version_(tensor_.defined() ? tensor_.version() : 0) {}
  const Tensor& get() const;
  bool defined() const { return tensor_.defined(); }

 private:
  Tensor tensor_;
  uint64_t version_ = 0;
};

template <class T>
const T* data_or_null(const Saved& saved) {
  return saved.defined() ? saved.get().data<T>() : nullptr;
}

/// Where a node writes the gradient of one input; false if that input needs none.
struct GradientTarget {
  Tensor value;
  Accumulate accumulate = Accumulate::no;
  explicit operator bool() const { return value.defined(); }
  template <class T>
  T* data() const {
    return value.defined() ? value.mutable_data<T>() : nullptr;
  }
  /// Writes or adds a gradient that exists already, for example if the gradient of the input equals that of
  /// the output. Does nothing if the input needs no gradient.
  void put(const Tensor& gradient) const;
};

/// One recorded call of a layer. Derived nodes add the tensors they saved as members.
struct Node {
  virtual ~Node() = default;
  /// Reads `output_gradient()` and writes into `target(ctx, i)` for each input i that needs a gradient.
  virtual void backward(Context& ctx) = 0;
  virtual const char* name() const = 0;

  /// dLoss / d output.
  const Tensor& output_gradient() const { return output_gradient_; }
  /// Where to write dLoss / d input i; inputs are numbered in the order given to `record`. Call it once per
  /// input: from then on the gradient counts as written.
  GradientTarget target(Context& ctx, size_t i);
  bool wants(size_t i) const { return inputs_[i] != nullptr; }
  /// The node that computed input i, if this one alone contributes to its gradient: then the two may agree on
  /// another form of the gradient than a tensor in `target`. Null otherwise.
  Node* producer_for_this_alone(size_t i) const;
  /// Instead of `target`: that node has got its gradient, and its output_gradient() is undefined.
  void hand_over(size_t i);

 private:
  friend Var record(Context&, std::shared_ptr<Node>, const std::vector<Var>&, Tensor);
  friend void backward(Context&, const Var&, double, std::span<const Var>, const LeavesComplete&);
  std::vector<std::shared_ptr<Gradient>> inputs_;
  Tensor output_gradient_;
  uint64_t sequence_ = 0;
  const char* layer_ = "";  // the context's when it was recorded
};

/// Whether a layer with these inputs has to record a node: gradients are enabled and one of the inputs
/// requires one.
bool wants_gradient(const Context& ctx, std::initializer_list<const Var*> inputs);
bool wants_gradient(const Context& ctx, const std::vector<Var>& inputs);

/// Makes `value` the output of `node`, whose inputs are `inputs` in this order. Undefined or constant inputs
/// keep their place and need no gradient.
Var record(Context& ctx, std::shared_ptr<Node> node, std::initializer_list<const Var*> inputs, Tensor value);
Var record(Context& ctx, std::shared_ptr<Node> node, const std::vector<Var>& inputs, Tensor value);

/// If one of the inputs needs a gradient, records a node N, which save(node) fills, and returns `value` as
/// its output; otherwise returns `value` as a constant.
template <class N, class Save>
Var record(Context& ctx, std::initializer_list<const Var*> inputs, Tensor value, Save save) {
  if (!wants_gradient(ctx, inputs)) return Var(std::move(value));
  auto node = std::make_shared<N>();
  save(*node);
  return record(ctx, std::move(node), inputs, std::move(value));
}

/// Adds weight * dloss/dv to the gradient of every leaf v that `loss` depends on. `loss` has one element.
/// Each node is released with what it saved as soon as it has run, so a graph can be walked only once.
void backward(Context& ctx, const Var& loss, double weight = 1);
/// The same, and tells when the gradients of these leaves, each of which may be named once, are complete: no
/// node that has not run adds to them. Calls `proceed` before the first node with those that `loss` does not
/// depend on, which may have no gradient, and after each node with those that this node completes, often
/// none. By then the node is released.
void backward(Context& ctx, const Var& loss, double weight, std::span<const Var> leaves,
              const LeavesComplete& proceed);

/// The same elements under another shape (see Tensor::reshape), differentiable.
Var reshape(Context& ctx, const Var& x, const Shape& shape);

}  // namespace rcnn
