// Where a tensor lives and in which order work is done on it.
#pragma once

#include <string>

namespace rcnn {

enum class DeviceType { cpu, cuda };

struct Device {
  DeviceType type = DeviceType::cpu;
  int index = 0;
  bool operator==(const Device&) const = default;
  /// "cpu" or "cuda:0".
  std::string str() const { return type == DeviceType::cpu ? "cpu" : "cuda:" + std::to_string(index); }
};

/// An order of work on one device. On the CPU every op has finished when its call returns, so a CPU stream is
/// only a name for that.
struct Stream {
  Device device;
};

}  // namespace rcnn
