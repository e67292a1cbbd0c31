#include "core/tensor.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "core/cuda/device.h"
#include "core/cuda/tensor.h"
#include "core/host_memory.h"

namespace rcnn {
namespace {

template <class F>
void visit_cpu_type(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32:
      return f(float{});
    case DType::f64:
      return f(double{});
    case DType::i32:
      return f(int32_t{});
    case DType::i64:
      return f(int64_t{});
    case DType::u8:
      return f(uint8_t{});
    case DType::bf16:
      break;
  }
  throw Error(fmt::format("no element-wise conversion for {} on the cpu", name_of(dtype)));
}

}  // namespace

size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return 4;
    case DType::f64:
      return 8;
    case DType::bf16:
      return 2;
    case DType::i32:
      return 4;
    case DType::i64:
      return 8;
    case DType::u8:
      return 1;
  }
  return 0;
}

const char* name_of(DType dtype) {
  constexpr const char* names[] = {"f32", "f64", "bf16", "i32", "i64", "u8"};
  return names[static_cast<int>(dtype)];
}

Shape::Shape(std::span<const int64_t> sizes) {
  check(sizes.size() <= kMaxRank, "a tensor has at most {} dimensions, not {}", kMaxRank, sizes.size());
  for (int64_t size : sizes) sizes_[static_cast<size_t>(rank_++)] = size;
}

int64_t Shape::operator[](int i) const {
  const int index = i < 0 ? i + rank_ : i;
  check(index >= 0 && index < rank_, "dimension {} of a tensor of shape {}", i, str());
  return sizes_[static_cast<size_t>(index)];
}

int64_t Shape::numel() const {
  int64_t product = 1;
  for (int64_t size : *this) product *= size;
  return product;
}

std::string Shape::str() const { return fmt::format("({})", fmt::join(begin(), end(), ", ")); }

Storage::Storage(Device where, size_t size)
    : device(where),
      bytes(size),
      memory(where.type == DeviceType::cpu ? allocate_host(size) : cuda::allocate(where, size)),
      data(memory.get()) {
  static std::atomic<uint64_t> next_id{1};
  id = next_id++;
}

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device) {
  int64_t count = 8;  // no element takes more bytes
  for (int64_t size : shape)
    check(size >= 0 && !__builtin_mul_overflow(count, std::max<int64_t>(size, 1), &count),
          "a tensor cannot have the shape {}", shape.str());
  Tensor tensor;
  tensor.storage_ = std::make_shared<Storage>(device, static_cast<size_t>(shape.numel()) * size_of(dtype));
  tensor.shape_ = shape;
  tensor.dtype_ = dtype;
  return tensor;
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, Device device) {
  Tensor tensor = empty(shape, dtype, device);
  // In all types here, zero has all bits clear.
  if (device.type == DeviceType::cuda)
    cuda::fill_bytes(device, tensor.storage_->data, 0, tensor.bytes());
  else
    std::memset(tensor.storage_->data, 0, tensor.bytes());
  return tensor;
}

template <class T>
Tensor Tensor::of(const Shape& shape, std::span<const T> values) {
  check(static_cast<int64_t>(values.size()) == shape.numel(), "{} values for a tensor of shape {}",
        values.size(), shape.str());
  Tensor tensor = empty(shape, dtype_of<T>);
  if (!values.empty()) std::memcpy(tensor.storage_->data, values.data(), values.size_bytes());
  return tensor;
}
template Tensor Tensor::of(const Shape&, std::span<const float>);
template Tensor Tensor::of(const Shape&, std::span<const double>);
template Tensor Tensor::of(const Shape&, std::span<const int32_t>);
template Tensor Tensor::of(const Shape&, std::span<const int64_t>);
template Tensor Tensor::of(const Shape&, std::span<const uint8_t>);

Tensor Tensor::reshape(const Shape& shape) const {
  std::vector<int64_t> sizes(shape.begin(), shape.end());
  int64_t known = 1;
  int unknown = -1;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] != -1) {
      known *= shape[i];
      continue;
    }
    check(unknown < 0, "reshape to {}: only one size may be -1", shape.str());
    unknown = i;
  }
  if (unknown >= 0) sizes[static_cast<size_t>(unknown)] = known == 0 ? 0 : numel() / known;
  Tensor view = *this;
  view.shape_ = Shape(std::span<const int64_t>(sizes));
  check(view.shape_.numel() == numel(), "a tensor of shape {} cannot be reshaped to {}", shape_.str(),
        shape.str());
  return view;
}

Tensor Tensor::slice(int64_t begin, int64_t end) const {
  check(shape_.rank() > 0 && begin >= 0 && begin <= end && end <= shape_[0],
        "rows {} to {} of a tensor of shape {}", begin, end, shape_.str());
  std::vector<int64_t> sizes(shape_.begin(), shape_.end());
  const int64_t row = shape_[0] == 0 ? 0 : numel() / shape_[0];
  sizes[0] = end - begin;
  Tensor view = *this;
  view.offset_ += begin * row;
  view.shape_ = Shape(std::span<const int64_t>(sizes));
  return view;
}

Tensor Tensor::clone() const {
  Tensor copy = empty(shape_, dtype_, device());
  copy.copy_from(*this);
  return copy;
}

Tensor Tensor::cast(DType dtype) const {
  if (dtype == dtype_) return *this;
  check(device().type == DeviceType::cpu, "cast of a tensor on {}: copy it to the cpu first", device().str());
  Tensor result = empty(shape_, dtype);
  visit_cpu_type(dtype_, [&](auto from) {
    visit_cpu_type(dtype, [&](auto to) {
      const auto* source = data<decltype(from)>();
      auto* target = result.mutable_data<decltype(to)>();
      for (int64_t i = 0; i < numel(); ++i) target[i] = static_cast<decltype(to)>(source[i]);
    });
  });
  return result;
}

Tensor Tensor::to(Device target, std::source_location where) const {
  if (device() == target) return *this;
  check(device().type == DeviceType::cpu || target.type == DeviceType::cpu,
        "copy of a tensor from {} to {}: copy it to the cpu first", device().str(), target.str());
  const Tensor copy = empty(shape_, dtype_, target);
  if (target.type == DeviceType::cuda)
    cuda::upload(target, copy.mutable_raw(), raw(), bytes(), where);
  else
    cuda::download(device(), copy.mutable_raw(), raw(), bytes(), where);
  return copy;
}

void Tensor::fill(double value) const {
  if (device().type == DeviceType::cuda) return cuda::fill(*this, value);
  visit_cpu_type(dtype_, [&](auto zero) {
    using T = decltype(zero);
    for (T& element : mutable_values<T>()) element = static_cast<T>(value);
  });
}

void Tensor::copy_from(const Tensor& source) const {
  check(source.dtype_ == dtype_ && source.numel() == numel(), "copy of {} {} into {} {}",
        name_of(source.dtype_), source.shape_.str(), name_of(dtype_), shape_.str());
  check(source.device() == device(), "copy from {} to {}: use to()", source.device().str(), device().str());
  if (device().type == DeviceType::cuda) return cuda::copy(device(), mutable_raw(), source.raw(), bytes());
  if (bytes() != 0) std::memmove(mutable_raw(), source.raw(), bytes());
}

void Tensor::require(DType dtype) const {
  check(storage_ != nullptr, "data of an undefined tensor");
  check(dtype == dtype_, "a tensor of type {} was asked for elements of type {}", name_of(dtype_),
        name_of(dtype));
}

}  // namespace rcnn
