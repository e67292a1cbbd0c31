#include "core/cuda/side_work.h"

#include <map>
#include <mutex>

#include "core/error.h"

namespace rcnn::cuda {
namespace {

thread_local const Side* side = nullptr;

/// Always the same one for a device.
const Side& side_of(Device device) {
  static std::mutex mutex;
  static auto* sides = new std::map<int, std::unique_ptr<Side>>;  // never destroyed, like the work streams
  const std::lock_guard lock(mutex);
  std::unique_ptr<Side>& found = (*sides)[device.index];
  if (!found) found = std::make_unique<Side>(device);
  return *found;
}

}  // namespace

const Side* side_of_thread(Device device) {
  return side && side->stream.get().device == device ? side : nullptr;
}

SideWork::SideWork(Device device) {
  check(!side, "a SideWork in another");
  Event before(device);
  before.record(work_stream(device));
  side = &side_of(device);
  before.hold(side->stream.get());
}
SideWork::~SideWork() { side = nullptr; }

}  // namespace rcnn::cuda
