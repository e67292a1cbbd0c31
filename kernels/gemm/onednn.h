// What the oneDNN variants share: the engine, primitives cached by shape, and packed weights cached by
// version.
//
// oneDNN is quick only when it may choose the layout of the weights itself, so each variant keeps a private
// packed copy and remakes it when the weights' storage was written to. Activations stay (N, H, W, C).
// oneDNN 2.6 and 3.x are both served; they differ in how a primitive descriptor is made.
#pragma once

#include <dnnl.hpp>

#include <list>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/context.h"
#include "kernels/gemm/conv2d.h"  // WeightsKey

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

/// What was made for a key, of the keys used last. Photographs come in many sizes, and each needs primitives
/// of its own, which take milliseconds to make and memory to keep.
template <class Key, class Value>
class RecentlyUsed {
 public:
  explicit RecentlyUsed(size_t most = 1024) : most_(most) {}

  /// The value of `key`; where there is none, what `make()` returns. Valid until the next call.
  template <class Make>
  const Value& get(const Key& key, Make make) {
    if (const auto found = places_.find(key); found != places_.end()) {
      entries_.splice(entries_.begin(), entries_, found->second);
      return entries_.front().second;
    }
    if (entries_.size() == most_) {
      places_.erase(entries_.back().first);
      entries_.pop_back();
    }
    entries_.emplace_front(key, make());
    places_[key] = entries_.begin();
    return entries_.front().second;
  }

 private:
  size_t most_;
  std::list<std::pair<Key, Value>> entries_;  // the one used last in front
  std::map<Key, typename std::list<std::pair<Key, Value>>::iterator> places_;
};

/// The engine and stream of a workspace: one of each, with everything cached beside them.
struct OneDnn {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};

  struct Packed {
    dnnl::memory::desc layout;
    WeightsKey key;
    dnnl::memory memory;
  };
  /// Packed weights by storage: one copy a layout, with the scale and without, whatever the images' sizes.
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
