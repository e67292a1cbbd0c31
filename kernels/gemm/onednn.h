// What the oneDNN variants share: the engine, primitives that are cached by shape, and packed weights that
// are cached by version.
//
// oneDNN is fast only if it may choose the layout of the weights itself, so the convolutions keep a private
// packed copy and renew it when the storage of the weights was written to. Activations stay (N, H, W, C).
// oneDNN 2.6 and 3.x are both supported; they differ in how a primitive descriptor is made.
#pragma once

#include <dnnl.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <exception>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/context.h"
#include "core/memory_limit.h"
#include "core/parallel.h"
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

/// A primitive and its descriptor, made for the number of threads that was set then.
template <class Primitive>
struct Made {
  explicit Made(const typename Primitive::primitive_desc& descriptor)
      : desc(descriptor), primitive(descriptor) {}
  typename Primitive::primitive_desc desc;
  Primitive primitive;
};

/// A primitive for all threads, and one for fewer once it was wanted.
template <class Primitive>
struct ByThreads {
  explicit ByThreads(const typename Primitive::primitive_desc& descriptor) : all(descriptor) {}
  Made<Primitive> all;
  int uses = 0;
  int fewer_threads = 0;                 // of the last that was wanted
  std::optional<Made<Primitive>> fewer;  // none if it computes other bits than `all`
};

/// The memory of a primitive's inputs and outputs, without its scratch memory.
using Arguments = std::unordered_map<int, dnnl::memory>;

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
    // oneDNN 2.6.3 writes beyond its scratch memory: by 2,451 bytes in the gradient of the filters of 3 -> 16
    // channels, 1 x 1, stride 2, on 2 x 32 x 42, with one thread. Where that ends was not found.
    constexpr size_t kBeyond = size_t{256} << 10;
    return dnnl::memory(desc, engine, workspace.take_bytes(desc.get_size() + kBeyond));
  }
  void reorder(dnnl::memory from, dnnl::memory to) { dnnl::reorder(from, to).execute(stream, from, to); }

  /// Executes the primitive, or, while ops use fewer threads, that for fewer threads, unless this would
  /// change the result. `describe` makes the descriptor for the number of threads that is set when it is
  /// called.
  template <class Primitive, class Describe>
  void execute(Workspace& workspace, ByThreads<Primitive>& primitive, const Describe& describe,
               Arguments arguments) {
    // The comparison takes as long as several steps of training, so not for a size that comes seldom.
    constexpr int kUsesWorthComparing = 8;
    const bool fewer = ++primitive.uses > kUsesWorthComparing && threads_at_work() != thread_count();
    const int threads = fewer ? threads_at_work() : thread_count();
    const auto run = [&](const Made<Primitive>& made) {
      arguments[DNNL_ARG_SCRATCHPAD] = scratch(workspace, made.desc.scratchpad_desc());
      made.primitive.execute(stream, arguments);
    };
    if (fewer && primitive.fewer_threads != threads) {
      primitive.fewer_threads = threads;
      try {
        with_threads(threads, [&] { primitive.fewer.emplace(describe()); });
        if (!same_bits(workspace, primitive.all, *primitive.fewer, threads, arguments))
          primitive.fewer.reset();
      } catch (const std::exception&) {  // no memory for a comparison is no reason to end a run
        primitive.fewer.reset();
      }
    }
    if (!fewer || !primitive.fewer) return run(primitive.all);
    with_threads(threads, [&] { run(*primitive.fewer); });
  }

  /// Whether both primitives take memory in the layouts of `arguments` and compute the same bits from numbers
  /// that are as good as random. oneDNN cuts some sums by the number of threads.
  template <class Primitive>
  bool same_bits(Workspace& workspace, const Made<Primitive>& all, const Made<Primitive>& fewer,
                 int fewer_threads, const Arguments& arguments) {
    for (const auto& [name, given] : arguments)
      if (!same(all.desc.query_md(dnnl::query::exec_arg_md, name),
                fewer.desc.query_md(dnnl::query::exec_arg_md, name)))
        return false;
    const Arguments expected = execute_on_noise(workspace, all, arguments);
    Arguments found;
    with_threads(fewer_threads, [&] { found = execute_on_noise(workspace, fewer, arguments); });
    return std::all_of(expected.begin(), expected.end(), [&](const auto& argument) {
      const dnnl::memory& other = found.at(argument.first);
      return std::memcmp(argument.second.get_data_handle(), other.get_data_handle(),
                         other.get_desc().get_size()) == 0;
    });
  }

  /// Memory of the layouts of `arguments`, filled with numbers before the primitive was executed on it. It is
  /// the workspace's, as that of all calls.
  template <class Primitive>
  Arguments execute_on_noise(Workspace& workspace, const Made<Primitive>& made, const Arguments& arguments) {
    Arguments noise;
    for (const auto& [name, given] : arguments) {
      noise[name] = scratch(workspace, given.get_desc());
      auto* values = static_cast<float*>(noise[name].get_data_handle());
      uint32_t state = static_cast<uint32_t>(name);
      for (size_t i = 0; i < given.get_desc().get_size() / sizeof(float); ++i) {
        state = state * 1664525 + 1013904223;  // the generator of Numerical Recipes
        values[i] = static_cast<float>(state >> 8) * 0x1p-23f - 1;
      }
    }
    Arguments with_scratch = noise;
    with_scratch[DNNL_ARG_SCRATCHPAD] = scratch(workspace, made.desc.scratchpad_desc());
    made.primitive.execute(stream, with_scratch);
    return noise;
  }
};

}  // namespace rcnn::kernels
