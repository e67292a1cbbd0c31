// Where a tensor lies, and the order in which work is done on it.
#pragma once

#include <string>

struct CUstream_st;  // what CUDA's cudaStream_t points to

namespace rcnn {

enum class DeviceType { cpu, cuda };

struct Device {
  DeviceType type = DeviceType::cpu;
  int index = 0;
  bool operator==(const Device&) const = default;
  /// "cpu" or "cuda:0".
  std::string str() const { return type == DeviceType::cpu ? "cpu" : "cuda:" + std::to_string(index); }
};

/// A sequence of work on one device. On the CPU every op has finished when its call returns, so a CPU stream
/// is only a name. On a GPU an op's call returns when its kernels are queued on `handle`, and work that is
/// queued later on the same stream sees its results.
struct Stream {
  Device device;
  CUstream_st* handle = nullptr;  // a cudaStream_t; not owned
};

}  // namespace rcnn
