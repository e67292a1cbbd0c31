// NCCL's part between processes: core/world/nccl.cpp with the simulated NCCL beside the tests' program, which
// carries bytes between the simulated GPUs of processes. It shows that the calls are right, not that NCCL
// does its own.
#include "core/world/nccl.h"

#include <algorithm>

#include "core/tensor.h"
#include "core/world/device.h"
#include "core/world/gloo.h"
#include "tests/core/processes.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

bool is_simulated_here() {
  if (cuda::is_simulated() && why_no_nccl().empty() && !gloo_description().empty()) return true;
  MESSAGE("skipped: no simulated GPU, no simulated NCCL, or no Gloo");
  return false;
}

/// Ranks as processes that Gloo connects; each takes a simulated GPU of its own process.
std::vector<RankEnd> run_on_gpus(int ranks, const std::function<void(World&, Device)>& work) {
  const TemporaryFolder folder;
  return run_forked(ranks, [&](int rank) {
    const Device gpu{DeviceType::cuda, rank % cuda::device_count()};
    if (ranks == 1) return work(alone(), gpu);
    const auto world = make_gloo_world({.folder = folder.path(), .rank = rank, .ranks = ranks}, 20);
    work(*world, gpu);
    world->barrier();
  });
}

/// Every rank sends every other, and itself, (r + 1) `bytes` of a value that names both; and nothing to the
/// last rank.
void exchange_rows(World& world, Device device, int64_t bytes) {
  const auto all = static_cast<int64_t>(world.size()), me = static_cast<int64_t>(world.rank());
  std::vector<Tensor> out, in;
  World::Outgoing to;
  World::Incoming from;
  for (int64_t i = 0; i < all; ++i) {
    const int64_t sent = i == all - 1 ? 0 : (me + 1) * bytes, got = me == all - 1 ? 0 : (i + 1) * bytes;
    out.push_back(Tensor::empty({sent}, DType::u8, device));
    in.push_back(Tensor::empty({got}, DType::u8, device));
    out.back().fill(static_cast<double>(10 * me + i));
    to.emplace_back(static_cast<const std::byte*>(out.back().raw()), out.back().bytes());
    from.emplace_back(static_cast<std::byte*>(in.back().mutable_raw()), in.back().bytes());
  }
  world.exchange_on(device, to, from);
  for (int64_t i = 0; i < all; ++i) {
    const Tensor here = in[static_cast<size_t>(i)].to(Device{});
    const auto values = here.values<uint8_t>();
    check(std::all_of(values.begin(), values.end(), [&](uint8_t value) { return value == 10 * i + me; }),
          "rank {} got other bytes of rank {}", me, i);
  }
}

}  // namespace

TEST_CASE("nccl, simulated: processes exchange the memory of their GPUs, again and again") {
  if (!is_simulated_here()) return;
  for (const int ranks : {1, 2, 3}) {
    CAPTURE(ranks);
    for (const RankEnd& end : run_on_gpus(ranks, [](World&world, Device device) {
           world.link_devices(make_nccl_link(world, device));
           for (const int64_t bytes : {1, 300'000, 7}) exchange_rows(world, device, bytes);
         }))
      CHECK_MESSAGE(end.status == 0, end.said);
  }
}

TEST_CASE("nccl, simulated: exchanges that have begun one after the other, beside the work stream") {
  if (!is_simulated_here()) return;
  for (const RankEnd& end : run_on_gpus(3, [](World&world, Device device) {
         world.link_devices(make_nccl_link(world, device));
         constexpr int64_t kTurns = 4, kBytes = 70'001;
         const Tensor out = Tensor::empty({kBytes}, DType::u8, device);
         std::vector<Tensor> sent, got;
         for (int64_t turn = 0; turn < kTurns; ++turn) {
           out.fill(static_cast<double>(40 * world.rank() + turn));  // the work goes on
           sent.push_back(out.clone());
           const cuda::SideWork beside(device);
           got.push_back(Tensor::empty({world.size(), kBytes}, DType::u8, device));
           const Tensor copy = sent.back().clone();
           World::Incoming from;
           for (int i = 0; i < world.size(); ++i)
             from.emplace_back(static_cast<std::byte*>(got.back().mutable_raw()) + i * kBytes, kBytes);
           world.begin_exchange_on(
               device, World::Outgoing(3, {static_cast<const std::byte*>(copy.raw()), copy.bytes()}), from);
         }
         {
           const cuda::SideWork beside(device);
           world.finish_exchanges_on(device);
         }
         for (int64_t turn = 0; turn < kTurns; ++turn) {
           const Tensor here = got[static_cast<size_t>(turn)].to(Device{});
           const auto values = here.values<uint8_t>();
           for (int64_t i = 0; i < world.size() * kBytes; ++i)
             check(values[static_cast<size_t>(i)] == 40 * (i / kBytes) + turn, "turn {}, byte {}", turn, i);
         }
       }))
    CHECK_MESSAGE(end.status == 0, end.said);
}

TEST_CASE("nccl, simulated: ranks with a GPU each are linked, and two on one GPU are not") {
  if (!is_simulated_here()) return;
  const auto linked = run_on_gpus(2, [](World& world, Device device) {
    const std::string line = link_gpus(world, device);
    check(line == "gradients pass from GPU to GPU (simulated NCCL)", "{}", line);
    exchange_rows(world, device, 5);
  });
  for (const RankEnd& end : linked) CHECK_MESSAGE(end.status == 0, end.said);
  const auto shared = run_on_gpus(2, [](World& world, Device) {
    const std::string line = link_gpus(world, {DeviceType::cuda, 0});
    check(line.ends_with("share the GPU sim:0"), "{}", line);
    exchange_rows(world, {DeviceType::cuda, 0}, 5);
  });
  for (const RankEnd& end : shared) CHECK_MESSAGE(end.status == 0, end.said);
}

TEST_CASE("nccl, simulated: a rank that does not come, or has gone, is missed by the others") {
  if (!is_simulated_here()) return;
  const auto late = run_on_gpus(2, [](World& world, Device device) {
    world.link_devices(make_nccl_link(world, device));
    world.watch = {.seconds = 1, .place = "step 7", .advice = "resume"};
    world.barrier();
    if (world.rank() == 1) std::this_thread::sleep_for(std::chrono::seconds(3));
    exchange_rows(world, device, 5);
  });
  CHECK(late[0].status == 3);
  CHECK(contains(late[0].said,
                 "NCCL, exchanging gradients: a GPU of another rank has not reached step 7 for 1 s; resume"));
  CHECK(late[1].status != 0);
  const auto gone = run_on_gpus(2, [](World& world, Device device) {
    world.link_devices(make_nccl_link(world, device));
    world.barrier();
    if (world.rank() == 1) ::kill(::getpid(), SIGKILL);
    exchange_rows(world, device, 5);
  });
  CHECK(gone[0].status != 0);
  CHECK(contains(gone[0].said,
                 "NCCL, exchanging gradients: remote process exited or there was a network error; rank 1"));
}

TEST_CASE("nccl, simulated: ranks that expect other bytes are told") {
  if (!is_simulated_here()) return;
  const auto ends = run_on_gpus(2, [](World& world, Device device) {
    world.link_devices(make_nccl_link(world, device));
    const Tensor out = Tensor::zeros({8}, DType::u8, device), in = Tensor::zeros({8}, DType::u8, device);
    const std::span<const std::byte> sent{static_cast<const std::byte*>(out.raw()), 8}, none;
    const std::span<std::byte> space{static_cast<std::byte*>(in.mutable_raw()), 8}, no_space;
    if (world.rank() == 1) {
      world.exchange_on(device, {sent.first(4), none}, {no_space, no_space});
      std::this_thread::sleep_for(std::chrono::seconds(1));
    } else {
      world.exchange_on(device, {none, none}, {no_space, space});
    }
  });
  CHECK(ends[0].status == 1);
  CHECK(contains(ends[0].said, "a message of 4 bytes is received as one of 8"));
}
