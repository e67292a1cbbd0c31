#include "bench/gpu_state.h"

#include <fmt/format.h>

#include <array>

#include "core/error.h"

#if defined(RCNN_CUDA) && !defined(RCNN_CUDA_SIM)
#include "core/cuda/cuda.h"
#endif

// The few functions of NVML that are used, as nvml.h declares them; its binary interface does not change. The
// header itself is a package of its own, which a build should not need.
extern "C" {
using nvmlDevice_t = nvmlDevice_st*;
using nvmlReturn_t = int;  // 0: success
nvmlReturn_t nvmlInit_v2();
nvmlReturn_t nvmlShutdown();
const char* nvmlErrorString(nvmlReturn_t);
nvmlReturn_t nvmlSystemGetDriverVersion(char*, unsigned length);
nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char*, nvmlDevice_t*);
nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t, int kind, unsigned* mhz);
nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t, int kind, unsigned* mhz);
nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t, unsigned* milliwatts);
nvmlReturn_t nvmlDeviceGetEnforcedPowerLimit(nvmlDevice_t, unsigned* milliwatts);
nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t, int sensor, unsigned* celsius);
nvmlReturn_t nvmlDeviceGetCurrentClocksThrottleReasons(nvmlDevice_t, unsigned long long* reasons);
}

/// A function of the library, with the type that is declared above.
#define RCNN_NVML(name) reinterpret_cast<decltype(&name)>(library_.address(#name))

namespace rcnn {
namespace {

constexpr nvmlReturn_t kSuccess = 0;
constexpr int kClockSm = 1, kClockMemory = 2;  // nvmlClockType_t
constexpr int kSensorGpu = 0;                  // nvmlTemperatureSensors_t

/// nvmlClocksThrottleReason...
constexpr struct {
  unsigned long long bit;
  const char* text;
} kReasons[] = {{0x04, "power limit"},
                {0x08, "hardware slowdown"},
                {0x10, "boost with other cards"},
                {0x20, "heat"},
                {0x40, "heat (hardware)"},
                {0x80, "power brake (hardware)"},
                {0x100, "clocks of the display"}};

/// The value that an NVML function writes behind its other arguments; empty if it does not.
template <class T, class Function, class... Args>
std::optional<T> asked(Function function, Args... args) {
  T value{};
  if (function(args..., &value) != kSuccess) return {};
  return value;
}

std::optional<int> as_int(std::optional<unsigned> value) {
  return value ? std::optional(static_cast<int>(*value)) : std::nullopt;
}

std::optional<double> in_watts(std::optional<unsigned> milliwatts) {
  return milliwatts ? std::optional(*milliwatts * 1e-3) : std::nullopt;
}

}  // namespace

GpuWatch::GpuWatch(const std::string& place, const char* library) : library_("NVML", library) {
  card_.unknown = library_.missing();
  if (!card_.unknown.empty()) return;
  try {
    nvmlReturn_t status = RCNN_NVML(nvmlInit_v2)();
    begun_ = status == kSuccess;
    if (begun_) status = RCNN_NVML(nvmlDeviceGetHandleByPciBusId_v2)(place.c_str(), &device_);
    if (status != kSuccess) {
      device_ = nullptr;
      const char* why = RCNN_NVML(nvmlErrorString)(status);
      card_.unknown = fmt::format("NVML does not know the card at {}: {}", place, why ? why : "");
      return;
    }
    std::array<char, 96> driver{};
    const bool told = RCNN_NVML(nvmlSystemGetDriverVersion)(driver.data(), driver.size() - 1) == kSuccess;
    card_.driver = told ? driver.data() : "unknown";
    const auto max_clock = RCNN_NVML(nvmlDeviceGetMaxClockInfo);
    card_.max_sm_mhz = as_int(asked<unsigned>(max_clock, device_, kClockSm));
    card_.max_memory_mhz = as_int(asked<unsigned>(max_clock, device_, kClockMemory));
    card_.power_limit_w = in_watts(asked<unsigned>(RCNN_NVML(nvmlDeviceGetEnforcedPowerLimit), device_));
    now();                        // asks for the other functions
  } catch (const Error& error) {  // a function is missing
    device_ = nullptr;
    card_ = {};
    card_.unknown = error.what();
  }
}

GpuWatch::~GpuWatch() {
  if (!begun_) return;
  try {
    RCNN_NVML(nvmlShutdown)();
  } catch (const Error&) {  // a library without that function
  }
}

GpuState GpuWatch::now() const {
  GpuState state;
  if (!device_) return state;
  const auto clock = RCNN_NVML(nvmlDeviceGetClockInfo);
  state.sm_mhz = as_int(asked<unsigned>(clock, device_, kClockSm));
  state.memory_mhz = as_int(asked<unsigned>(clock, device_, kClockMemory));
  state.temperature_c = as_int(asked<unsigned>(RCNN_NVML(nvmlDeviceGetTemperature), device_, kSensorGpu));
  state.power_w = in_watts(asked<unsigned>(RCNN_NVML(nvmlDeviceGetPowerUsage), device_));
  const auto reasons =
      asked<unsigned long long>(RCNN_NVML(nvmlDeviceGetCurrentClocksThrottleReasons), device_);
  for (const auto& [bit, text] : kReasons)
    if (reasons && (*reasons & bit)) state.throttled.emplace_back(text);
  return state;
}

std::string place_on_bus([[maybe_unused]] Device gpu) {
#if defined(RCNN_CUDA) && !defined(RCNN_CUDA_SIM)
  std::array<char, 64> name{};
  cuda_check(cudaDeviceGetPCIBusId(name.data(), static_cast<int>(name.size()), gpu.index),
             "asking for the place of " + gpu.str());
  return name.data();
#else
  return "";
#endif
}

std::string card_text(const GpuCard& card) {
  if (!card.unknown.empty()) return card.unknown + "; clocks and throttling are not recorded";
  std::string text = "NVML: driver " + card.driver;
  if (card.power_limit_w) text += fmt::format(", power limit {:g} W", *card.power_limit_w);
  if (card.max_sm_mhz) text += fmt::format(", clocks of up to {} MHz", *card.max_sm_mhz);
  return text;
}

}  // namespace rcnn
