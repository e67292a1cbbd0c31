#include "core/world/device.h"

#include <fmt/format.h>

namespace rcnn {

cuda::DeviceChoice choose_device(const std::string& asked, const World& world) {
  cuda::DeviceChoice choice = cuda::choose_device(asked);
  const bool is_open = asked == "auto" || asked == "cuda";
  if (world.size() > 1 && is_open && choice.device.type == DeviceType::cuda)
    choice = cuda::choose_device(fmt::format("cuda:{}", world.place_on_host() % cuda::device_count()));
  return choice;
}

}  // namespace rcnn
