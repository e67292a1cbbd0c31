// What the cuDNN variants are written with: checked calls, and the descriptors of the graph API of cuDNN.
//
// In that API everything is a descriptor: a tensor, an operation, a graph of operations, the configuration
// of an engine, a plan. A descriptor is created, its attributes are set, it is finalized, and from then on
// it is only read.
#pragma once

#include <cudnn.h>

#include <algorithm>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/cuda/vendor_library.h"
#include "core/error.h"

namespace rcnn::kernels {

inline const cuda::VendorLibrary& cudnn_library() {
  static const cuda::VendorLibrary library("cuDNN", "libcudnn.so." RCNN_QUOTED(CUDNN_MAJOR));
  return library;
}
/// A function of cuDNN: RCNN_CUDNN_CALL(cudnnCreate)(&handle).
#define RCNN_CUDNN_CALL(function) RCNN_FUNCTION_OF(cudnn_library(), function)

/// Throws Error unless `status` is success. The message says what was tried (the formatted sentence) and how
/// cuDNN describes the status.
template <class... Args>
void cudnn_check(cudnnStatus_t status, fmt::format_string<Args...> tried, Args&&... args) {
  if (status == CUDNN_STATUS_SUCCESS) [[likely]]
    return;
  char detail[1024] = "";
  RCNN_CUDNN_CALL(cudnnGetLastErrorString)(detail, sizeof detail);
  throw Error(fmt::format("cuDNN, {}: {} {}", fmt::format(tried, std::forward<Args>(args)...),
                          RCNN_CUDNN_CALL(cudnnGetErrorString)(status), detail));
}

/// cuDNN's name for the type of an attribute whose value is a T.
template <class T>
constexpr cudnnBackendAttributeType_t cudnn_attribute_type() {
  if constexpr (std::is_same_v<T, int64_t>) return CUDNN_TYPE_INT64;
  if constexpr (std::is_same_v<T, float>) return CUDNN_TYPE_FLOAT;
  if constexpr (std::is_same_v<T, void*>) return CUDNN_TYPE_VOID_PTR;
  if constexpr (std::is_same_v<T, cudnnHandle_t>) return CUDNN_TYPE_HANDLE;
  if constexpr (std::is_same_v<T, cudnnDataType_t>) return CUDNN_TYPE_DATA_TYPE;
  if constexpr (std::is_same_v<T, cudnnConvolutionMode_t>) return CUDNN_TYPE_CONVOLUTION_MODE;
  if constexpr (std::is_same_v<T, cudnnBackendHeurMode_t>) return CUDNN_TYPE_HEUR_MODE;
  if constexpr (std::is_same_v<T, cudnnBackendNumericalNote_t>) return CUDNN_TYPE_NUMERICAL_NOTE;
}

/// A descriptor, destroyed with this object. `name` is for messages.
class CudnnDescriptor {
 public:
  using Type = cudnnBackendDescriptorType_t;
  using Attribute = cudnnBackendAttributeName_t;

  CudnnDescriptor(Type type, const char* name) : name_(name) {
    cudnn_check(RCNN_CUDNN_CALL(cudnnBackendCreateDescriptor)(type, &descriptor_), "creating {}", name);
  }
  ~CudnnDescriptor() {
    if (descriptor_) RCNN_CUDNN_CALL(cudnnBackendDestroyDescriptor)(descriptor_);
  }
  CudnnDescriptor(CudnnDescriptor&& other) noexcept
      : name_(other.name_), descriptor_(std::exchange(other.descriptor_, nullptr)) {}
  CudnnDescriptor& operator=(CudnnDescriptor&& other) noexcept {
    std::swap(name_, other.name_);
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }

  template <class T>
  void set(Attribute attribute, T value) {
    set_array(attribute, cudnn_attribute_type<T>(), 1, &value);
  }
  template <class T, size_t N>
  void set(Attribute attribute, const T (&values)[N]) {
    set_array(attribute, cudnn_attribute_type<T>(), N, values);
  }
  void set(Attribute attribute, const CudnnDescriptor& value) {
    set_array(attribute, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value.descriptor_);
  }

  void finalize() { cudnn_check(RCNN_CUDNN_CALL(cudnnBackendFinalize)(descriptor_), "finalizing {}", name_); }
  /// Whether cuDNN accepts the descriptor. It refuses one whose engine does not support the case.
  bool try_finalize() { return RCNN_CUDNN_CALL(cudnnBackendFinalize)(descriptor_) == CUDNN_STATUS_SUCCESS; }

  /// The values of an attribute, at most `max_count`.
  template <class T>
  std::vector<T> get(Attribute attribute, int64_t max_count) const {
    std::vector<T> values(static_cast<size_t>(max_count));
    values.resize(get_array(attribute, cudnn_attribute_type<T>(), max_count, values.data()));
    return values;
  }
  /// The descriptors of `type` that an attribute holds.
  std::vector<CudnnDescriptor> get_descriptors(Attribute attribute, Type type, const char* name) const {
    std::vector<CudnnDescriptor> values;
    std::vector<cudnnBackendDescriptor_t> pointers;
    const size_t count = get_array(attribute, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, nullptr);
    for (size_t i = 0; i < count; ++i) pointers.push_back(values.emplace_back(type, name).descriptor_);
    const size_t written =
        get_array(attribute, CUDNN_TYPE_BACKEND_DESCRIPTOR, static_cast<int64_t>(count), pointers.data());
    values.erase(values.begin() + static_cast<std::ptrdiff_t>(std::min(count, written)), values.end());
    return values;
  }

  cudnnBackendDescriptor_t raw() const { return descriptor_; }

 private:
  void set_array(Attribute attribute, cudnnBackendAttributeType_t type, int64_t count, const void* values) {
    cudnn_check(RCNN_CUDNN_CALL(cudnnBackendSetAttribute)(descriptor_, attribute, type, count, values),
                "setting attribute {} of {}", static_cast<int>(attribute), name_);
  }
  /// The number of values that the attribute has, of which at most `count` are written.
  size_t get_array(Attribute attribute, cudnnBackendAttributeType_t type, int64_t count, void* values) const {
    int64_t found = 0;
    cudnn_check(
        RCNN_CUDNN_CALL(cudnnBackendGetAttribute)(descriptor_, attribute, type, count, &found, values),
        "reading attribute {} of {}", static_cast<int>(attribute), name_);
    return static_cast<size_t>(found);
  }

  const char* name_;
  cudnnBackendDescriptor_t descriptor_ = nullptr;
};

}  // namespace rcnn::kernels
