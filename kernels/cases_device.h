// A prepared case moved to a GPU.
#pragma once

#include <cstring>
#include <type_traits>

#include "kernels/cases.h"

namespace rcnn::kernels {

/// Copies of a case's tensors on `device`, and its arguments with every pointer into a host tensor replaced
/// by the same place in the copy. A pointer is recognised by its value: arguments are plain structs, and
/// lists of structs that arguments point to are kept in tensors of bytes.
template <class Args>
Prepared<Args> on_device(const Prepared<Args>& host, Device device) {
  static_assert(std::is_trivially_copyable_v<Args>);
  Prepared<Args> moved = host;
  std::vector<std::pair<const Tensor*, Tensor>> pairs;
  const auto address = [](const void* p) { return reinterpret_cast<uintptr_t>(p); };
  const auto relocate = [&](void* bytes, size_t count) {
    for (size_t at = 0; at + sizeof(uintptr_t) <= count; at += sizeof(uintptr_t)) {
      uintptr_t word;
      std::memcpy(&word, static_cast<char*>(bytes) + at, sizeof word);
      for (const auto& [from, to] : pairs) {
        const uintptr_t begin = address(from->raw());
        if (word < begin || word >= begin + std::max<size_t>(from->bytes(), 1)) continue;
        word = address(to.raw()) + (word - begin);
        std::memcpy(static_cast<char*>(bytes) + at, &word, sizeof word);
        break;
      }
    }
  };
  for (const auto* list : {&host.inputs, &host.outputs})
    for (const Tensor& tensor : *list)
      pairs.emplace_back(&tensor, Tensor::empty(tensor.shape(), tensor.dtype(), device));
  size_t next = 0;
  for (auto* list : {&moved.inputs, &moved.outputs})
    for (Tensor& tensor : *list) {
      Tensor contents = tensor.clone();
      if (tensor.dtype() == DType::u8) relocate(contents.mutable_raw(), contents.bytes());
      const Tensor& target = pairs[next++].second;
      target.copy_from(contents.to(device));
      tensor = target;
    }
  relocate(&moved.args, sizeof moved.args);
  return moved;
}

}  // namespace rcnn::kernels
