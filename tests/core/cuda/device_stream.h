// A stream of a device, a card or the simulated one, and memory that a test needs there.
#pragma once

#include <doctest/doctest.h>

#include <vector>

#include "core/cuda/cuda.h"

namespace rcnn {

struct DeviceStream {
  Stream stream{{DeviceType::cuda, 0}, nullptr};
  std::vector<void*> memory;

  DeviceStream() {
    cuda::select(stream.device);
    cuda_check(cudaStreamCreateWithFlags(&stream.handle, cudaStreamNonBlocking), "a stream");
  }
  ~DeviceStream() {
    for (void* pointer : memory) cudaFreeAsync(pointer, stream.handle);
    cudaStreamDestroy(stream.handle);
    cudaGetLastError();
  }
  DeviceStream(const DeviceStream&) = delete;
  DeviceStream& operator=(const DeviceStream&) = delete;

  /// Memory that has not been written.
  template <class T>
  T* allocate(size_t count) {
    void* pointer = nullptr;
    cuda_check(cudaMallocAsync(&pointer, count * sizeof(T), stream.handle), "memory");
    memory.push_back(pointer);
    return static_cast<T*>(pointer);
  }
  template <class T>
  T* upload(const std::vector<T>& values) {
    T* pointer = allocate<T>(values.size());
    cuda_check(cudaMemcpyAsync(pointer, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice,
                               stream.handle),
               "a copy to the device");
    return pointer;
  }
  /// Waits. Throws Error with the message of a fault.
  template <class T>
  std::vector<T> download(const T* pointer, size_t count) const {
    std::vector<T> values(count);
    cuda_check(
        cudaMemcpyAsync(values.data(), pointer, count * sizeof(T), cudaMemcpyDeviceToHost, stream.handle),
        "a copy from the device");
    return values;
  }
};

}  // namespace rcnn
