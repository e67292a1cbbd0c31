// Values in a row of bytes, for ranks of one program, which agree on the layout of its types.
#pragma once

#include <cstring>
#include <string>
#include <type_traits>

#include "core/error.h"
#include "core/world.h"

namespace rcnn {

class Packer {
 public:
  template <class T>
  void value(const T& one) {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto bytes = std::as_bytes(std::span(&one, 1));
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  /// The number of elements, and the elements: of a string or of a vector of plain values.
  template <class List>
  void list(const List& elements) {
    static_assert(std::is_trivially_copyable_v<typename List::value_type>);
    value<uint64_t>(elements.size());
    const auto bytes = std::as_bytes(std::span(elements.data(), elements.size()));
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  const Bytes& bytes() const { return bytes_; }

 private:
  Bytes bytes_;
};

/// Reads what a Packer wrote, in the same order.
class Unpacker {
 public:
  explicit Unpacker(std::span<const std::byte> bytes) : left_(bytes) {}

  bool is_empty() const { return left_.empty(); }
  template <class T>
  T value() {
    static_assert(std::is_trivially_copyable_v<T>);
    T one;
    std::memcpy(&one, take(sizeof one), sizeof one);
    return one;
  }
  template <class List>
  List list() {
    List elements(value<uint64_t>(), typename List::value_type());
    const size_t bytes = elements.size() * sizeof(typename List::value_type);
    if (bytes > 0) std::memcpy(elements.data(), take(bytes), bytes);
    return elements;
  }

 private:
  const std::byte* take(size_t bytes) {
    check(bytes <= left_.size(), "a message of another rank ends {} bytes early", bytes - left_.size());
    const std::byte* at = left_.data();
    left_ = left_.subspan(bytes);
    return at;
  }
  std::span<const std::byte> left_;
};

}  // namespace rcnn
