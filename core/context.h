// Context: how work is done (device, stream, precision, seed). It is the first argument of every layer; none
// of it is global.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/device.h"
#include "core/tensor.h"

namespace rcnn {

/// Scratch memory for ops. A kernel takes what it needs from here and never allocates. Everything an op took
/// is returned when the op ends, so that the next op reuses the memory.
class Workspace {
 public:
  explicit Workspace(Device device = {}) : device_(device) {}
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  /// `count` uninitialised elements, aligned to 64 bytes, valid until the op returns.
  template <class T>
  T* take(int64_t count) {
    return static_cast<T*>(take_bytes(static_cast<size_t>(count) * sizeof(T)));
  }
  void* take_bytes(size_t bytes);

  /// Returns everything that was taken during its lifetime when it is destroyed.
  class Scope {
   public:
    explicit Scope(Workspace& workspace)
        : workspace_(workspace), block_(workspace.block_), used_(workspace.used_) {}
    ~Scope() { workspace_.rewind(block_, used_); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Workspace& workspace_;
    size_t block_, used_;
  };

  /// What a variant keeps between calls (packed weights, compiled primitives): one object per type, destroyed
  /// with the workspace.
  template <class T>
  T& cache() {
    static constexpr char key = 0;
    std::shared_ptr<void>& slot = caches_[&key];
    if (!slot) slot = std::make_shared<T>();
    return *static_cast<T*>(slot.get());
  }

 private:
  void rewind(size_t block, size_t used);

  Device device_;
  std::vector<std::unique_ptr<Storage>> blocks_;
  size_t block_ = 0, used_ = 0;  // the block in use and the bytes taken from it
  std::map<const void*, std::shared_ptr<void>> caches_;
};

/// What the operands of convolutions and matrix products are rounded to. Sums, weights, boxes, losses and
/// statistics stay f32.
enum class Precision { f32, tf32, bf16 };

struct Node;
class OpObserver;
class Var;

struct Context {
  explicit Context(Device where = {});

  Device device;
  Stream stream;
  int capability = 0;  // compute capability of a GPU: 90 for sm_90
  Workspace workspace;
  Precision precision = Precision::f32;
  bool grad = false;      // record nodes for backward
  bool training = false;  // batch statistics, dropout
  uint64_t seed = 1;      // key of every random draw
  /// The training step, one i32: part of every random draw's counter. It lives on the device, so that a
  /// recorded step can be replayed with another number.
  Tensor step;
  uint32_t micro_batch = 0;  // the batch's number within its step: keys draws without an image id
  /// What runs instead of a preferred variant: by op family (`--kernel`), or by call (kernels/plans.h).
  std::map<std::string, std::string, std::less<>> kernels;
  /// If set, told of every op: see core/op_observer.h.
  OpObserver* observer = nullptr;
  const char* layer = "";  // the part of the model that works now: see LayerScope
  /// If set, called with every value that a layer records for backward, in the order of the forward pass.
  std::function<void(const Node& layer, const std::vector<Var>& inputs, const Tensor& output)> watch;
  uint64_t next_sequence = 0;  // order of creation of autograd nodes

  Tensor empty(const Shape& shape, DType dtype = DType::f32) const {
    return Tensor::empty(shape, dtype, device);
  }
  Tensor zeros(const Shape& shape, DType dtype = DType::f32) const {
    return Tensor::zeros(shape, dtype, device);
  }
};

/// While it lives, the context records no gradients, and layers behave as in evaluation: torch's
/// inference_mode() and eval() in one. What was set before is restored when it ends, also by an exception.
class InferenceMode {
 public:
  explicit InferenceMode(Context& ctx) : ctx_(ctx), grad_(ctx.grad), training_(ctx.training) {
    ctx.grad = ctx.training = false;
  }
  ~InferenceMode() {
    ctx_.grad = grad_;
    ctx_.training = training_;
  }
  InferenceMode(const InferenceMode&) = delete;
  InferenceMode& operator=(const InferenceMode&) = delete;

 private:
  Context& ctx_;
  bool grad_, training_;
};

}  // namespace rcnn
