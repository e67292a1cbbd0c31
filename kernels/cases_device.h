// A prepared case moved to a GPU.
#pragma once

#include <cstring>
#include <type_traits>

#include "core/cuda/tensor.h"
#include "kernels/cases.h"

namespace rcnn::kernels {

/// Whether every byte is that of an output before it is written.
inline bool is_poisoned(const Tensor& tensor) {
  const auto* bytes = static_cast<const unsigned char*>(tensor.raw());
  const size_t count = tensor.bytes();
  return count > 0 && bytes[0] == poison_of(tensor.dtype()) && std::memcmp(bytes, bytes + 1, count - 1) == 0;
}

/// Copies of a case's tensors on `device`, and its arguments with every pointer into a host tensor replaced
/// by the same place in the copy. A pointer is recognised by its value: arguments are plain structs, and
/// lists of structs that arguments point to are kept in tensors of bytes. Uniform numbers that are noted and
/// have not changed since do not travel: the device makes them.
template <class Args>
Prepared<Args> on_device(const Prepared<Args>& host, Device device, const UniformTensors& noted = {}) {
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
      const Tensor& target = pairs[next++].second;
      const auto found = noted.find(tensor.storage().id);
      if (found != noted.end() && found->second.version == tensor.version()) {
        cuda::fill_uniform(target, found->second.start);
        tensor = target;
        continue;
      }
      if (!noted.empty() && is_poisoned(tensor)) {
        cuda::fill_bytes(device, target.mutable_raw(), poison_of(tensor.dtype()), tensor.bytes());
        tensor = target;
        continue;
      }
      Tensor contents = tensor.clone();
      if (tensor.dtype() == DType::u8) relocate(contents.mutable_raw(), contents.bytes());
      target.copy_from(contents.to(device));
      tensor = target;
    }
  relocate(&moved.args, sizeof moved.args);
  return moved;
}

}  // namespace rcnn::kernels
