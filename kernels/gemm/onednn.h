// What the oneDNN variants share: the engine, primitives that are cached by shape, and packed weights that
// are cached by version.
//
// oneDNN is fast only if it may choose the layout of the weights itself, so the convolutions keep a private
// packed copy and renew it when the storage of the weights was written to. Activations stay (N, H, W, C).
// oneDNN 2.6 and 3.x are both supported; they differ in how a primitive descriptor is made.
#pragma once

#include <dnnl.hpp>

#include <unordered_map>
#include <utility>
#include <vector>

#include "core/context.h"
#include "core/memory_limit.h"
#include "core/recently_used.h"
#include "kernels/gemm/weights_key.h"

namespace rcnn::kernels {

/// oneDNN generates the code of a primitive when that is made, and crashes if it gets no memory for it. Under
/// a limit of addresses, this throws Error while there is still some left.
inline void require_room_for_code() {
  // Measured with oneDNN 2.6.3 on AVX2: forward and backward primitives of thirteen convolutions of these
  // models crash with 640 KiB and work with 768 KiB (limits in steps of 128 KiB in a process that makes one
  // of them). The rest is for code of other processors, and for what other threads map meanwhile.
  constexpr size_t kRoom = size_t{16} << 20;
  require_addresses(kRoom, "oneDNN's code generator");
}

/// Makes a `Primitive::primitive_desc` from the arguments that both versions of oneDNN take in this order.
/// Backward primitives also need `hint`, the descriptor of their forward primitive.
template <class Primitive, class... Args>
typename Primitive::primitive_desc make_descriptor(const dnnl::engine& engine,
                                                   const dnnl::primitive_attr& attributes,
                                                   const Args&... args) {
  require_room_for_code();
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
  require_room_for_code();
#if DNNL_VERSION_MAJOR >= 3
  return typename Primitive::primitive_desc(engine, args..., hint, attributes);
#else
  return typename Primitive::primitive_desc(typename Primitive::desc(args...), attributes, engine, hint);
#endif
}

/// Makes a primitive take its scratch memory from the workspace, so that it owns none.
inline dnnl::primitive_attr workspace_attributes() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

inline bool same(const dnnl::memory::desc& a, const dnnl::memory::desc& b) { return a == b; }

/// The base of the caches of a workspace: an engine, a stream, and the packed weights.
struct OneDnn {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};

  struct Packed {
    dnnl::memory::desc layout;
    WeightsKey key;
    dnnl::memory memory;
  };
  /// Packed weights by storage: one copy for each layout, with and without the scale, for all
  /// sizes of images.
  std::unordered_map<uint64_t, std::vector<Packed>> packed;

  Packed& packed_slot(const WeightsKey& key, const dnnl::memory::desc& layout) {
    std::vector<Packed>& slots = packed[key.id];
    for (Packed& slot : slots)
      if (same(slot.layout, layout) && (slot.key.scale_id != 0) == (key.scale_id != 0)) return slot;
    return slots.emplace_back(Packed{layout, {}, dnnl::memory(layout, engine)});
  }

  dnnl::memory wrap(const dnnl::memory::desc& desc, const void* data) const {
    return dnnl::memory(desc, engine, const_cast<void*>(data));
  }
  dnnl::memory scratch(Workspace& workspace, const dnnl::memory::desc& desc) const {
    return dnnl::memory(desc, engine, workspace.take_bytes(desc.get_size()));
  }
  void reorder(dnnl::memory from, dnnl::memory to) { dnnl::reorder(from, to).execute(stream, from, to); }
};

}  // namespace rcnn::kernels
