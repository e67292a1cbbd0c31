// The clocks of a GPU while it is measured, and what holds them back, as NVIDIA's management library (NVML)
// tells them. It comes with the driver and is opened when it is first asked for.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/cuda/vendor_library.h"
#include "core/device.h"

struct nvmlDevice_st;

namespace rcnn {

/// What NVML says of a card. A value that the card or the driver does not tell is empty.
struct GpuCard {
  std::string unknown = {};  // why nothing is known, as a sentence; the other members are empty then
  std::string driver = {};   // its version, or "unknown"
  std::optional<int> max_sm_mhz = {}, max_memory_mhz = {};
  std::optional<double> power_limit_w = {};  // that is enforced now
};

/// The card at one moment.
struct GpuState {
  std::optional<int> sm_mhz = {}, memory_mhz = {}, temperature_c = {};
  std::optional<double> power_w = {};
  /// Why its clocks are below what it can do: "power limit", "heat", ... Empty if nothing holds them back, or
  /// if that is unknown. A card without work, or with clocks that a user has set, is not held back.
  std::vector<std::string> throttled = {};
};

/// Asks NVML about one card.
class GpuWatch {
 public:
  /// `place` is the card's place on the bus, as CUDA writes it ("0000:3b:00.0"); `library` the file of NVML.
  explicit GpuWatch(const std::string& place, const char* library = "libnvidia-ml.so.1");
  ~GpuWatch();
  GpuWatch(const GpuWatch&) = delete;
  GpuWatch& operator=(const GpuWatch&) = delete;

  const GpuCard& card() const { return card_; }
  GpuState now() const;

 private:
  cuda::VendorLibrary library_;
  bool begun_ = false;
  nvmlDevice_st* device_ = nullptr;
  GpuCard card_;
};

/// The place of a GPU on the bus; empty in builds without CUDA and for simulated GPUs.
std::string place_on_bus(Device gpu);

/// "NVML: driver 550.54.15, power limit 700 W, clocks of up to 1980 MHz", or why nothing is known.
std::string card_text(const GpuCard& card);

}  // namespace rcnn
