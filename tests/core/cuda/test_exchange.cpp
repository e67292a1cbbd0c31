// Exchanges of memory of GPUs, real or simulated: through the memory of the host, and from GPU to GPU.
#include <doctest/doctest.h>

#include <algorithm>

#include "core/cuda/device.h"
#include "core/tensor.h"
#include "core/world/nccl.h"

using namespace rcnn;

namespace {

using Row = std::vector<uint8_t>;

Row row_of(const Tensor& tensor) {
  const Tensor here = tensor.to(Device{});
  const auto values = here.values<uint8_t>();
  return {values.begin(), values.end()};
}

std::span<const std::byte> part_of(const Tensor& tensor, int64_t begin, int64_t end) {
  const Tensor part = tensor.slice(begin, end);
  return {static_cast<const std::byte*>(part.raw()), part.bytes()};
}

std::span<std::byte> space_of(const Tensor& tensor, int64_t begin, int64_t end) {
  const Tensor part = tensor.slice(begin, end);
  return {static_cast<std::byte*>(part.mutable_raw()), part.bytes()};
}

/// Rank r sends rank i (r + 1) bytes of the value 10 r + i, and nothing to the last rank. What is sent lies
/// side by side in one tensor, and in front of it is another byte; what is received likewise.
void exchange_and_check(World& world, Device device) {
  const int64_t all = world.size(), me = world.rank(), last = all - 1;
  const Tensor out = Tensor::empty({1 + all * (me + 1)}, DType::u8, device),
               in = Tensor::empty({1 + all * (all + 1) / 2}, DType::u8, device);
  in.fill(255);
  World::Outgoing to;
  World::Incoming from;
  Row expected{255};
  int64_t at = 1;
  for (int64_t i = 0; i < all; ++i) {
    const int64_t begin = 1 + i * (me + 1), sent = i == last && all > 1 ? 0 : me + 1;
    out.slice(begin, begin + me + 1).fill(static_cast<double>(10 * me + i));
    to.push_back(part_of(out, begin, begin + sent));
    const int64_t received = me == last && all > 1 ? 0 : i + 1;
    from.push_back(space_of(in, at, at + received));
    expected.insert(expected.end(), static_cast<size_t>(i + 1),
                    static_cast<uint8_t>(received == 0 ? 255 : 10 * i + me));
    at += i + 1;
  }
  const int64_t before = world.bytes_sent();
  world.exchange_on(device, to, from);
  CHECK(row_of(in) == expected);
  CHECK(world.bytes_sent() - before == (me + 1) * std::max<int64_t>(0, all - 1 - (me == last ? 0 : 1)));
  // The same bytes for all, as when each rank sends its part of a sum.
  const Tensor whole = Tensor::zeros({all * 3}, DType::u8, device), part = out.slice(0, 1);
  part.fill(static_cast<double>(me + 1));
  from.clear();
  for (int64_t i = 0; i < all; ++i) from.push_back(space_of(whole, 3 * i + 1, 3 * i + 2));
  world.exchange_on(device, World::Outgoing(static_cast<size_t>(all), part_of(part, 0, 1)), from);
  Row sums(static_cast<size_t>(all * 3));
  for (int64_t i = 0; i < all; ++i) sums[static_cast<size_t>(3 * i + 1)] = static_cast<uint8_t>(i + 1);
  CHECK(row_of(whole) == sums);
}

}  // namespace

TEST_CASE("exchange on GPUs: every rank gets what every other has for it, linked or through the host") {
  const int gpus = cuda::device_count();
  if (gpus == 0) {
    MESSAGE("skipped: no GPU, and none simulated (make CUDA=sim)");
    return;
  }
  for (const int ranks : {1, 2, 3, 5})
    for (const bool linked : {false, true})
      for (const int used : {1, gpus}) {
        CAPTURE(ranks);
        CAPTURE(linked);
        CAPTURE(used);
        run_ranks(
            ranks,
            [&](World& world) {
              exchange_and_check(world, {DeviceType::cuda, world.rank() % used});
            },
            linked);
      }
}

TEST_CASE("exchange on GPUs: memory of the CPU is exchanged as ever") {
  run_ranks(3, [](World& world) { exchange_and_check(world, {}); });
}

TEST_CASE("exchange on GPUs: NCCL, one rank with itself") {
  if (cuda::device_count() == 0 || cuda::is_simulated() || !why_no_nccl().empty()) {
    MESSAGE("skipped: no GPU, or no NCCL");
    return;
  }
  const Device gpu{DeviceType::cuda, 0};
  run_ranks(1, [&](World& world) {
    world.link_devices(make_nccl_link(world, gpu));
    exchange_and_check(world, gpu);
  });
}
