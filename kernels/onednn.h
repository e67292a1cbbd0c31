// What the oneDNN variants share: the engine, primitives cached by shape, and packed weights cached by
// version.
//
// oneDNN is quick only when it may choose the layout of the weights itself, so each variant keeps a private
// packed copy and remakes it when the weights' storage was written to. Activations stay (N, H, W, C).
// oneDNN 2.6 and 3.x are both served; they differ in how a primitive descriptor is made.
#pragma once

#include <dnnl.hpp>

#include <map>
#include <unordered_map>

#include "core/context.h"
#include "kernels/conv2d.h"  // WeightsKey

namespace rcnn::kernels {

/// Makes `Primitive::primitive_desc` from what both versions of oneDNN take in this order; `hint` is the
/// forward descriptor that backward primitives want, or nothing.
template <class Primitive, class... Args>
typename Primitive::primitive_desc make_descriptor(const dnnl::engine& engine,
                                                   const dnnl::primitive_attr& attributes,
                                                   const Args&... args) {
#if DNNL_VERSION_MAJOR >= 3
  return typename Primitive::primitive_desc(engine, args..., attributes);
#else
  return typename Primitive::primitive_desc(typename Primitive::desc(args...), attributes, engine);
#endif
}
template <class Primitive, class Hint, class... Args>
typename Primitive::primitive_desc make_backward_descriptor(const dnnl::engine& engine,
                                                            const dnnl::primitive_attr& attributes,
                                                            const Hint& hint, const Args&... args) {
#if DNNL_VERSION_MAJOR >= 3
  return typename Primitive::primitive_desc(engine, args..., hint, attributes);
#else
  return typename Primitive::primitive_desc(typename Primitive::desc(args...), attributes, engine, hint);
#endif
}

/// Scratch memory comes from the workspace, so that a primitive owns none.
inline dnnl::primitive_attr workspace_attributes() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

inline bool same(const dnnl::memory::desc& a, const dnnl::memory::desc& b) { return a == b; }

/// The engine and stream of a workspace: one of each, with everything cached beside them.
struct OneDnn {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};

  struct Packed {
    WeightsKey key;
    dnnl::memory memory;
  };
  /// Packed weights by storage and by the primitive that wants them.
  std::map<std::pair<uint64_t, const void*>, Packed> packed;

  dnnl::memory wrap(const dnnl::memory::desc& desc, const void* data) const {
    return dnnl::memory(desc, engine, const_cast<void*>(data));
  }
  dnnl::memory scratch(Workspace& workspace, const dnnl::memory::desc& desc) const {
    return dnnl::memory(desc, engine, workspace.take_bytes(desc.get_size()));
  }
  void reorder(dnnl::memory from, dnnl::memory to) { dnnl::reorder(from, to).execute(stream, from, to); }
};

}  // namespace rcnn::kernels
