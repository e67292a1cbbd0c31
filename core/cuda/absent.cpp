// core/cuda/device.h and core/cuda/tensor.h in a build without CUDA: there are no devices.
#include <fmt/format.h>

#include "core/cuda/device.h"
#include "core/cuda/tensor.h"
#include "core/error.h"

namespace rcnn::cuda {

namespace {
[[noreturn]] void no_cuda(const std::string& what) {
  throw Error(fmt::format("{}: this build has no CUDA; make CUDA=1 builds it", what));
}
}  // namespace

bool is_built() { return false; }
bool is_simulated() { return false; }
int device_count() { return 0; }
std::string why_no_device() { return "this build has no CUDA"; }
const DeviceInfo& device_info(int index) {
  throw InputError(fmt::format("cuda:{}: this build has no CUDA; make CUDA=1 builds it", index));
}
size_t free_memory(int index) { no_cuda(fmt::format("cuda:{}", index)); }
std::string missing_code(int index) { no_cuda(fmt::format("cuda:{}", index)); }
Stream work_stream(Device device) { no_cuda(device.str()); }
void synchronize(Device device, std::source_location) { no_cuda(device.str()); }
std::map<std::string, HostWaits> host_waits() { return {}; }
void reset_host_waits() {}
OwnedStream::OwnedStream(Device device) { no_cuda(device.str()); }
OwnedStream::~OwnedStream() = default;
Event::Event(Device device, bool) { no_cuda(device.str()); }
Event::~Event() = default;
bool Event::reached() const { no_cuda("an event"); }
void Event::record(const Stream&) { no_cuda("an event"); }
void Event::hold(const Stream&) const { no_cuda("an event"); }
void Event::wait(std::source_location) const { no_cuda("an event"); }
float Event::since(const Event&) const { no_cuda("an event"); }
PinnedBuffer::PinnedBuffer(size_t) { no_cuda("a pinned buffer"); }
PinnedBuffer::~PinnedBuffer() = default;
Arena::Arena(Device device, bool keeps) : device_(device), keeps_(keeps) { no_cuda(device.str()); }
Arena::~Arena() = default;
std::shared_ptr<std::byte> Arena::take(size_t) { no_cuda(device_.str()); }
std::shared_ptr<std::byte> allocate(Device device, size_t) { no_cuda(device.str()); }
ArenaScope::ArenaScope(Device device, std::shared_ptr<Arena>) : index_(device.index) {
  no_cuda(device.str());
}
ArenaScope::~ArenaScope() = default;
SideWork::SideWork(Device device) { no_cuda(device.str()); }
SideWork::~SideWork() = default;
void upload(Device device, void*, const void*, size_t, std::source_location) { no_cuda(device.str()); }
Graph::~Graph() = default;
void Graph::capture(Device device, const std::function<void()>&) { no_cuda(device.str()); }
void Graph::replay() const { no_cuda(device_.str()); }
Range::Range(const char*) {}
Range::~Range() = default;
void download(Device device, void*, const void*, size_t, std::source_location) { no_cuda(device.str()); }
void copy(Device device, void*, const void*, size_t) { no_cuda(device.str()); }
void fill_bytes(Device device, void*, int, size_t) { no_cuda(device.str()); }
void fill(const Tensor& tensor, double) { no_cuda(tensor.device().str()); }
void fill_uniform(const Tensor& tensor, uint32_t) { no_cuda(tensor.device().str()); }
void add_to(const Tensor& sum, const Tensor&) { no_cuda(sum.device().str()); }

}  // namespace rcnn::cuda
