// Tensor: a contiguous array of numbers with a shape.
//
// A Tensor shares its Storage with every copy and view of it. Because tensors are always contiguous, a view
// is a reshape or a slice of the first dimension, and a kernel needs only a pointer and sizes.
// Activations are laid out (N, H, W, C), filters (K, R, S, C); there is no second layout.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <source_location>
#include <span>
#include <string>
#include <vector>

#include "core/device.h"
#include "core/error.h"

namespace rcnn {

namespace kernels {
struct PackedOperand;
}

enum class DType : uint8_t { f32, f64, bf16, i32, i64, u8 };

/// Bytes of one element.
size_t size_of(DType dtype);
/// "f32", "f64", ...
const char* name_of(DType dtype);

// clang-format off
template <class T> struct DTypeOf;
template <> struct DTypeOf<float>   { static constexpr DType value = DType::f32; };
template <> struct DTypeOf<double>  { static constexpr DType value = DType::f64; };
template <> struct DTypeOf<int32_t> { static constexpr DType value = DType::i32; };
template <> struct DTypeOf<int64_t> { static constexpr DType value = DType::i64; };
template <> struct DTypeOf<uint8_t> { static constexpr DType value = DType::u8; };
// clang-format on
template <class T>
inline constexpr DType dtype_of = DTypeOf<T>::value;

/// Sizes of up to six dimensions, outermost first. A scalar has rank 0 and one element.
class Shape {
 public:
  static constexpr int kMaxRank = 6;

  Shape() = default;
  Shape(std::initializer_list<int64_t> sizes) : Shape(std::span(sizes.begin(), sizes.size())) {}
  explicit Shape(std::span<const int64_t> sizes);

  int rank() const { return rank_; }
  /// Size of dimension `i`; negative `i` counts from the last.
  int64_t operator[](int i) const;
  /// Number of elements: the product of the sizes.
  int64_t numel() const;
  const int64_t* begin() const { return sizes_.data(); }
  const int64_t* end() const { return sizes_.data() + rank_; }
  bool operator==(const Shape&) const = default;
  /// "(2, 3, 4)".
  std::string str() const;

 private:
  std::array<int64_t, kMaxRank> sizes_{};
  int rank_ = 0;
};

/// A block of memory on one device, aligned to 64 bytes. `version` counts how often it was handed out for
/// writing: autograd uses it to notice a saved tensor that changed, oneDNN variants to recognise stale packed
/// weights.
class Storage {
 public:
  Storage(Device device, size_t bytes);
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  Device device;
  size_t bytes;
  std::shared_ptr<std::byte> memory;
  std::byte* data;  // memory.get()
  uint64_t version = 0;
  uint64_t id;  // unique in the process, never reused
  /// The contents in the form that tensor cores read, if a kernel has left it: kernels/gemm/packed_operand.h.
  mutable std::shared_ptr<kernels::PackedOperand> packed;
};

class Tensor {
 public:
  /// An undefined tensor: no shape, no storage; `defined()` is false.
  Tensor() = default;

  /// Uninitialised memory.
  static Tensor empty(const Shape& shape, DType dtype, Device device = {});
  static Tensor zeros(const Shape& shape, DType dtype, Device device = {});
  /// A CPU tensor with these values, row by row; throws Error unless there are exactly shape.numel() of them.
  template <class T>
  static Tensor of(const Shape& shape, std::span<const T> values);
  template <class T>
  static Tensor of(const Shape& shape, std::initializer_list<T> values) {
    return of<T>(shape, std::span<const T>(values.begin(), values.size()));
  }

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  int64_t dim(int i) const { return shape_[i]; }
  int64_t numel() const { return shape_.numel(); }
  DType dtype() const { return dtype_; }
  Device device() const { return storage_->device; }
  size_t bytes() const { return static_cast<size_t>(numel()) * size_of(dtype_); }
  const Storage& storage() const { return *storage_; }
  /// Whether no other tensor has this storage, so that nothing else sees what is written to it.
  bool is_only_owner() const { return storage_.use_count() == 1; }
  uint64_t version() const { return storage_->version; }

  /// The elements for reading; throws Error when T is not the tensor's type. On a GPU this is a device
  /// pointer.
  template <class T>
  const T* data() const {
    require(dtype_of<T>);
    return reinterpret_cast<const T*>(storage_->data) + offset_;
  }
  /// The elements for writing; marks the storage as changed.
  template <class T>
  T* mutable_data() const {
    require(dtype_of<T>);
    mark_written();
    return reinterpret_cast<T*>(storage_->data) + offset_;
  }
  /// Host elements as a span; throws Error for a tensor on another device.
  template <class T>
  std::span<const T> values() const {
    check(device().type == DeviceType::cpu, "values() of a tensor on {}: copy it to the cpu first",
          device().str());
    return {data<T>(), static_cast<size_t>(numel())};
  }
  template <class T>
  std::span<T> mutable_values() const {
    check(device().type == DeviceType::cpu, "values() of a tensor on {}: copy it to the cpu first",
          device().str());
    return {mutable_data<T>(), static_cast<size_t>(numel())};
  }
  /// The one element of a tensor with numel() == 1.
  template <class T>
  T item() const {
    check(numel() == 1, "item() needs a tensor of one element, not of shape {}", shape_.str());
    return values<T>()[0];
  }
  /// Marks the storage as changed, for writes that do not ask this tensor for its address: those of a kernel
  /// that has it in a table, or of a recorded step that is played again.
  void mark_written() const { ++storage_->version; }
  const void* raw() const { return storage_->data + static_cast<size_t>(offset_) * size_of(dtype_); }
  void* mutable_raw() const {
    mark_written();
    return const_cast<void*>(raw());
  }

  /// The same elements with another shape of equal numel(). One size may be -1 and is then inferred.
  Tensor reshape(const Shape& shape) const;
  /// Rows [begin, end) of the first dimension, sharing the storage.
  Tensor slice(int64_t begin, int64_t end) const;
  /// A copy with its own storage.
  Tensor clone() const;
  /// The elements converted to another type (f32, f64, i32, i64 and u8 on the CPU); the tensor itself if it
  /// has that type already.
  Tensor cast(DType dtype) const;
  /// The tensor on `device`: the tensor itself if it is there already, otherwise a copy. This is the only
  /// transfer between devices. A copy to a GPU does not wait; for a copy from a GPU, the host waits for the
  /// device's work (counted: see cuda::host_waits).
  Tensor to(Device device, std::source_location where = std::source_location::current()) const;
  void fill(double value) const;
  void copy_from(const Tensor& source) const;

 private:
  void require(DType dtype) const;

  std::shared_ptr<Storage> storage_;
  int64_t offset_ = 0;  // in elements
  Shape shape_;
  DType dtype_ = DType::f32;
};

/// The elements for reading, or null for an undefined tensor: an argument that may be left out.
template <class T>
const T* data_or_null(const Tensor& tensor) {
  return tensor.defined() ? tensor.data<T>() : nullptr;
}

/// A CPU tensor with the bytes of plain structs, for tables that kernels read.
template <class T>
Tensor bytes_of(std::span<const T> structs) {
  static_assert(std::is_trivially_copyable_v<T>);
  return Tensor::of<uint8_t>(
      {static_cast<int64_t>(structs.size_bytes())},
      std::span(reinterpret_cast<const uint8_t*>(structs.data()), structs.size_bytes()));
}

/// Calls `f` with a zero of the C++ type of `dtype`, which must be f32 or f64, the types that can be
/// differentiated; throws Error naming `what` for any other type:
///
///     visit_float(t.dtype(), "softmax", [&](auto zero) { using T = decltype(zero); ... });
template <class F>
decltype(auto) visit_float(DType dtype, const char* what, F&& f) {
  check(dtype == DType::f32 || dtype == DType::f64, "{}: expected f32 or f64, found {}", what,
        name_of(dtype));
  return dtype == DType::f32 ? f(float{}) : f(double{});
}

}  // namespace rcnn
