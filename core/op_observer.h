// What a model tells about its work while it runs: each op and, for those that ask, each step.
//
// Profiles (core/op_profile.h) and captures of shapes (bench/capture.h) listen. Nothing is observed unless a
// context has an observer, and then work is not replayed as a CUDA graph, which would hide the ops.
#pragma once

#include "core/context.h"
#include "core/cuda/device.h"

namespace rcnn {

/// A call of an op in single precision.
struct OpCall {
  const char* op = "";         // its name, "conv2d_dx"
  const char* variant = "";    // "" at the beginning, when it has not been chosen yet
  const void* args = nullptr;  // the op's argument struct
  const char* layer = "";      // the part of the model (see LayerScope); "" outside of any
};

class OpObserver {
 public:
  virtual ~OpObserver() = default;
  /// Called before the variant is chosen, and when the work is done (on a GPU: queued). An op that throws
  /// has no end.
  virtual void op_begins(const OpCall& call) = 0;
  virtual void op_ends(const OpCall& call) = 0;
};

/// Is told when a step of a training or a detection begins and ends.
class StepWatcher {
 public:
  virtual ~StepWatcher() = default;
  virtual void step_begins(Context& ctx) = 0;
  virtual void step_ends(Context& ctx) = 0;
};

/// Names the part of the model that works during its lifetime, for profiles of this program and of NVIDIA's.
/// Autograd gives the gradients' work the name under which the layer was recorded. `name` is a literal.
class LayerScope {
 public:
  LayerScope(Context& ctx, const char* name) : layer_(ctx.layer), before_(ctx.layer), range_(name) {
    ctx.layer = name;
  }
  ~LayerScope() { layer_ = before_; }
  LayerScope(const LayerScope&) = delete;
  LayerScope& operator=(const LayerScope&) = delete;

 private:
  const char*& layer_;
  const char* before_;
  cuda::Range range_;
};

}  // namespace rcnn
