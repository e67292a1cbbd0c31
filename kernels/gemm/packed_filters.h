// Filters in the form that a convolution on the CPU multiplies, packed once for given weights.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <map>

#include "core/context.h"
#include "core/tensor.h"
#include "kernels/gemm/weights_key.h"

namespace rcnn::kernels {

/// What filters are packed from, and into which form.
struct PackedForm {
  const float* w = nullptr;
  const void* kernels = nullptr;  // the table of functions that packs them
  bool turned = false;            // for dx
  auto operator<=>(const PackedForm&) const = default;
};

/// Packed filters of the weights used last. Winograd's take four times the memory of the weights themselves,
/// so there is a limit; it is more than VGG16's 272 MB.
class PackedFilters {
 public:
  /// The `size` floats of `form`, for weights whose id is not 0: kept from an earlier call, or packed now by
  /// `pack(float*)`.
  template <class Pack>
  const float* get(const WeightsKey& weights, const PackedForm& form, int64_t size, const Pack& pack) {
    const Key key{weights.id, form};
    auto found = entries_.find(key);
    if (found != entries_.end() && found->second.filters.numel() != size) {
      forget(found);
      found = entries_.end();
    }
    if (found == entries_.end()) {
      while (!entries_.empty() && floats_ + size > kMaxFloats) forget(least_recent());
      found = entries_.emplace(key, Entry{Tensor::empty({size}, DType::f32), 0, 0}).first;
      floats_ += size;
    }
    Entry& entry = found->second;
    if (entry.version != weights.version + 1) {
      pack(entry.filters.mutable_data<float>());
      entry.version = weights.version + 1;
    }
    entry.used = ++uses_;
    return entry.filters.data<float>();
  }

 private:
  static constexpr int64_t kMaxFloats = int64_t{80} << 20;  // 320 MiB

  struct Key {
    uint64_t id;
    PackedForm form;
    auto operator<=>(const Key&) const = default;
  };
  struct Entry {
    Tensor filters;
    uint64_t version;  // of the weights, plus 1; 0: not packed yet
    uint64_t used;     // the number of the last call that used it
  };
  using Entries = std::map<Key, Entry>;

  Entries::iterator least_recent() {
    return std::min_element(entries_.begin(), entries_.end(),
                            [](const auto& a, const auto& b) { return a.second.used < b.second.used; });
  }
  void forget(Entries::iterator entry) {
    floats_ -= entry->second.filters.numel();
    entries_.erase(entry);
  }

  Entries entries_;
  int64_t floats_ = 0;
  uint64_t uses_ = 0;
};

/// The same for any weights: those whose id is 0 are packed for this call alone.
template <class Pack>
const float* packed_filters(Workspace& workspace, const WeightsKey& weights, const PackedForm& form,
                            int64_t size, const Pack& pack) {
  if (weights.id != 0) return workspace.cache<PackedFilters>().get(weights, form, size, pack);
  float* packed = workspace.take<float>(size);
  pack(packed);
  return packed;
}

}  // namespace rcnn::kernels
