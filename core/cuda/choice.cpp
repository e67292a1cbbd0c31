// Chooses the device that `--device` asks for, in builds with and without CUDA.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "core/cuda/device.h"
#include "core/error.h"

namespace rcnn::cuda {

DeviceChoice choose_device(const std::string& text) {
  if (text == "cpu") return {{}, "cpu: chosen by --device"};
  if (text == "auto") {
    if (!is_built()) return {{}, "cpu: this build has no CUDA (make CUDA=1 builds it)"};
    if (is_simulated())
      return {{}, "cpu: the GPU of this build is simulated; --device cuda:0 runs its kernels"};
    if (device_count() == 0) return {{}, fmt::format("cpu: CUDA finds no device: {}", why_no_device())};
  }
  int index = 0;
  const bool named = text == "auto" || text == "cuda";
  if (!named) {
    const std::string_view digits = std::string_view(text).substr(std::min<size_t>(text.size(), 5));
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
    check_input(text.starts_with("cuda:") && error == std::errc() && end == digits.data() + digits.size(),
                "--device {}: expected auto, cpu, cuda or cuda:N", text);
  }
  check_input(!is_built() || device_count() > 0, "--device {}: CUDA finds no device: {}", text,
              why_no_device());
  const DeviceInfo& info = device_info(index);
  const std::string missing = missing_code(index);
  check_input(missing.empty(), "{}", missing);
  return {{DeviceType::cuda, index},
          fmt::format("cuda:{}: {}, sm_{}, {} multiprocessors, {:.1f} GiB", index, info.name, info.capability,
                      info.multiprocessors, static_cast<double>(info.bytes) / 0x1p30)};
}

HostWaits total_host_waits() {
  HostWaits total;
  for (const auto& [place, count] : host_waits()) {
    total.waits += count.waits;
    total.copies += count.copies;
  }
  return total;
}

}  // namespace rcnn::cuda
