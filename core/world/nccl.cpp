#include "core/world/nccl.h"

#if defined(RCNN_NCCL)
#include <nccl.h>

#include <array>

#include "core/cuda/cuda.h"
#include "core/cuda/device.h"
#include "core/cuda/vendor_library.h"
#include "core/world/patience.h"
#endif

namespace rcnn {

#if defined(RCNN_NCCL)

namespace {

#if defined(RCNN_CUDA_SIM)
#define RCNN_NCCL_FILE "libnccl_simulated.so"  // tests/core/cuda/nccl; NCCL itself needs GPUs
#else
#define RCNN_NCCL_FILE "libnccl.so." RCNN_QUOTED(NCCL_MAJOR)
#endif

const cuda::VendorLibrary& nccl_library() {
  static const cuda::VendorLibrary library("NCCL", RCNN_NCCL_FILE);
  return library;
}
/// A function of NCCL: RCNN_NCCL_CALL(ncclGroupStart)().
#define RCNN_NCCL_CALL(function) RCNN_FUNCTION_OF(nccl_library(), function)

/// The ranks do not wait inside of NCCL: its calls return at once, and a rank looks again and again whether
/// they have done their work. So it notices when another rank does not come.
class NcclLink : public World::DeviceLink {
 public:
  NcclLink(World& world, Device gpu) : gpu_(gpu), done_(gpu) {
    ncclUniqueId id{};
    if (world.is_first()) check(RCNN_NCCL_CALL(ncclGetUniqueId)(&id), "making the name of the group");
    id = world.from_first(id);
    cuda::select(gpu_);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    check(RCNN_NCCL_CALL(ncclCommInitRankConfig)(&group_, world.size(), id, world.rank(), &config),
          "connecting the GPUs");
    wait(world, "connecting the GPUs", [] { return true; });
  }
  ~NcclLink() override {
    if (!group_) return;
    ncclResult_t state = RCNN_NCCL_CALL(ncclCommFinalize)(group_);
    for (Patience patience(kSecondsToEnd); state == ncclInProgress && patience.rest();)
      if (RCNN_NCCL_CALL(ncclCommGetAsyncError)(group_, &state) != ncclSuccess) break;
    if (state == ncclSuccess)
      RCNN_NCCL_CALL(ncclCommDestroy)(group_);
    else
      RCNN_NCCL_CALL(ncclCommAbort)(group_);
  }

  void begin(const World& world, Device device, const World::Outgoing& to,
             const World::Incoming& from) override {
    rcnn::check(device == gpu_, "an exchange on {} by a link of {}", device.str(), gpu_.str());
    const Stream stream = cuda::work_stream(gpu_);
    cuda::select(gpu_);
    const auto me = static_cast<size_t>(world.rank());
    check(RCNN_NCCL_CALL(ncclGroupStart)(), "beginning an exchange");
    for (size_t k = 0; k < to.size(); ++k) {  // each rank begins with another one
      const size_t next = (me + k) % to.size(), last = (me + to.size() - k) % to.size();
      if (!to[next].empty())
        check(RCNN_NCCL_CALL(ncclSend)(to[next].data(), to[next].size(), ncclUint8, static_cast<int>(next),
                                       group_, stream.handle),
              "sending");
      if (!from[last].empty())
        check(RCNN_NCCL_CALL(ncclRecv)(from[last].data(), from[last].size(), ncclUint8,
                                       static_cast<int>(last), group_, stream.handle),
              "receiving");
    }
    check(RCNN_NCCL_CALL(ncclGroupEnd)(), "exchanging gradients");
    wait(world, "exchanging gradients", [] { return true; });  // until all of it is on the stream
  }

  void finish(const World& world, Device device) override {
    done_.record(cuda::work_stream(device));
    wait(world, "exchanging gradients", [&] { return done_.reached(); });
  }

 private:
  static constexpr double kSecondsToEnd = 10;

  /// Throws Error unless `status` is success, or work that has begun.
  void check(ncclResult_t status, const char* what) {
    if (status == ncclSuccess || status == ncclInProgress) return;
    const std::string words = RCNN_NCCL_CALL(ncclGetErrorString)(status),
                      detail = RCNN_NCCL_CALL(ncclGetLastError)(group_);
    abort();
    throw Error(fmt::format("NCCL, {}: {}{}{}", what, words, detail.empty() ? "" : "; ", detail));
  }

  /// Returns when NCCL has begun all that it was told to, and `done`.
  template <class Done>
  void wait(const World& world, const char* what, const Done& done) {
    for (Patience patience(world.watch.seconds);;) {
      ncclResult_t state = ncclSuccess;
      check(RCNN_NCCL_CALL(ncclCommGetAsyncError)(group_, &state), what);
      check(state, what);
      if (state == ncclSuccess && done()) return;
      if (patience.rest()) continue;
      abort();
      throw LostRank(fmt::format("NCCL, {}: a GPU of another rank has not reached {} for {:g} s{}{}", what,
                                 world.watch.place, world.watch.seconds,
                                 world.watch.advice.empty() ? "" : "; ", world.watch.advice));
    }
  }

  /// Takes what has begun from the GPU, which would wait for ever.
  void abort() {
    if (group_) RCNN_NCCL_CALL(ncclCommAbort)(group_);
    group_ = nullptr;
  }

  Device gpu_;
  ncclComm_t group_ = nullptr;
  cuda::Event done_;
};

}  // namespace

std::string why_no_nccl() { return nccl_library().missing(); }

std::string nccl_name_of(Device gpu) {
  std::array<char, 64> name{};
  cuda_check(cudaDeviceGetPCIBusId(name.data(), static_cast<int>(name.size()), gpu.index),
             "asking for the place of " + gpu.str());
  return name.data();
}

std::unique_ptr<World::DeviceLink> make_nccl_link(World& world, Device gpu) {
  return std::make_unique<NcclLink>(world, gpu);
}

#if defined(RCNN_CUDA_SIM)
std::string nccl_description() { return "simulated NCCL"; }
#else
std::string nccl_description() { return fmt::format("NCCL {}.{}.{}", NCCL_MAJOR, NCCL_MINOR, NCCL_PATCH); }
#endif

#else

std::string why_no_nccl() { return "this build has no NCCL (make CUDA=1 NCCL=1 builds it)"; }
std::string nccl_name_of(Device gpu) { return gpu.str(); }
std::unique_ptr<World::DeviceLink> make_nccl_link(World&, Device) { throw Error(why_no_nccl()); }
std::string nccl_description() { return ""; }

#endif

}  // namespace rcnn
