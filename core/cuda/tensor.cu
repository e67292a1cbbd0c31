#include "core/cuda/tensor.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "core/cuda/cuda.h"
#include "core/cuda/device.h"
#include "core/rng.h"

namespace rcnn::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kMaxBlocks = 1024;  // for more elements, each thread strides over the array

/// One thread per element, coalesced; bound by memory writes.
template <class T>
__global__ void fill_kernel(T* data, int64_t count, T value) {
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < count;
       i += int64_t{gridDim.x} * kThreads)
    data[i] = value;
}

__global__ void fill_uniform_kernel(float* data, int64_t count, uint32_t start) {
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < count;
       i += int64_t{gridDim.x} * kThreads)
    data[i] = uniform_number(start, static_cast<uint32_t>(i));
}

__global__ void add_kernel(float* sum, const float* term, int64_t count) {
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < count;
       i += int64_t{gridDim.x} * kThreads)
    sum[i] += term[i];
}

unsigned grid_for(int64_t count) { return std::min(blocks_for(count, kThreads), unsigned{kMaxBlocks}); }

template <class T>
void fill_as(const Tensor& tensor, double value) {
  launch<fill_kernel<T>>(work_stream(tensor.device()), grid_for(tensor.numel()), kThreads, 0,
                         tensor.mutable_data<T>(), tensor.numel(), static_cast<T>(value));
}

/// Bytes that travel as a kernel argument.
struct Packet {
  static constexpr size_t kBytes = 2048;
  unsigned char bytes[kBytes];
};

__global__ void unpack_kernel(Packet packet, unsigned char* to, int count) {
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kThreads) to[i] = packet.bytes[i];
}

}  // namespace

void fill(const Tensor& tensor, double value) {
  switch (tensor.dtype()) {
    case DType::f32:
      return fill_as<float>(tensor, value);
    case DType::f64:
      return fill_as<double>(tensor, value);
    case DType::i32:
      return fill_as<int32_t>(tensor, value);
    case DType::i64:
      return fill_as<int64_t>(tensor, value);
    case DType::u8:
      return fill_as<uint8_t>(tensor, value);
    case DType::bf16:
      break;
  }
  throw Error("fill of a bf16 tensor on cuda: there is no kernel for this type");
}

void fill_uniform(const Tensor& tensor, uint32_t start) {
  launch<fill_uniform_kernel>(work_stream(tensor.device()), grid_for(tensor.numel()), kThreads, 0,
                              tensor.mutable_data<float>(), tensor.numel(), start);
}

void add_to(const Tensor& sum, const Tensor& term) {
  launch<add_kernel>(work_stream(sum.device()), grid_for(sum.numel()), kThreads, 0, sum.mutable_data<float>(),
                     term.data<float>(), sum.numel());
}

std::string missing_code(int index) {
#if defined(RCNN_CUDA_SIM)
  static_cast<void>(index);
  return "";
#else
  select({DeviceType::cuda, index});
  cudaFuncAttributes attributes;
  if (cudaFuncGetAttributes(&attributes, fill_kernel<float>) == cudaSuccess) return "";
  static_cast<void>(cudaGetLastError());
  const DeviceInfo& info = device_info(index);
  return "cuda:" + std::to_string(index) + " is a " + info.name + " of sm_" +
         std::to_string(info.capability) +
         ", and this program was built for " RCNN_CUDA_ARCHS "; make CUDA=1 CUDA_ARCHS=" +
         std::to_string(info.capability) + " builds it for this card";
#endif
}

void upload_as_arguments(Device device, void* to, const void* from, size_t bytes) {
  for (size_t at = 0; at < bytes; at += Packet::kBytes) {
    const size_t count = std::min(bytes - at, Packet::kBytes);
    Packet packet = {};
    std::memcpy(packet.bytes, static_cast<const std::byte*>(from) + at, count);
    launch<unpack_kernel>(work_stream(device), 1, kThreads, 0, packet, static_cast<unsigned char*>(to) + at,
                          static_cast<int>(count));
  }
}

}  // namespace rcnn::cuda
