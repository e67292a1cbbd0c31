// Training steps on several ranks: the bytes of everything that changes are those of one rank.
#include <doctest/doctest.h>

#include <limits>

#include "core/cuda/device.h"
#include "tests/one_thread.h"
#include "tests/train/noise.h"
#include "tests/train/tiny_run.h"
#include "train/ema.h"
#include "train/gradient_tree.h"
#include "train/step.h"

using namespace rcnn;

namespace {

/// A batch of two images, different for each number.
TrainingBatch noise_of_step(Device device, int64_t number) {
  return fixtures::noise(static_cast<uint64_t>(2 * number), 2, number % 2 == 0 ? 96 : 64, device);
}

/// One step per row of `micro_batches`, on this rank's part of them. Returns the bytes of the losses of every
/// step, the norm of its gradient, the weights, the buffers and the averages.
Bytes bytes_after(World& world, const ModelConfig& config, int64_t micro_batches, int64_t steps,
                  Device device, int64_t bad_batch = -1, bool sync_bn = false,
                  int64_t bucket_bytes = kBucketBytes) {
  Context ctx(device);
  FasterRcnn model(config, 2, Init(3));
  move_to(model, device);
  Sgd sgd(ctx, model, {.clip_norm = 1});
  Ema ema(ctx, model, 0.9f);
  TrainingStep step(ctx, model, sgd, false, world, sync_bn, bucket_bytes);
  Bytes all;
  const auto keep = [&](const Tensor& tensor) {
    const Tensor here = tensor.to(Device{});
    const auto* begin = static_cast<const std::byte*>(here.raw());
    all.insert(all.end(), begin, begin + here.bytes());
  };
  for (int64_t s = 0; s < steps; ++s) {
    const Share share = world.share(micro_batches);
    std::vector<TrainingBatch> own;
    for (int64_t i = share.begin; i < share.end; ++i) {
      own.push_back(noise_of_step(device, s * micro_batches + i));
      if (s * micro_batches + i == bad_batch) own.back().images.pixels.fill(NAN);
    }
    const Losses losses = step.run(s, 0.05f, own, micro_batches);
    ema.update(ctx, s, sgd.skipped());
    CHECK(step.gradient_bytes().sent == step.gradient_bytes().expected);
    CHECK((step.gradient_bytes().sent > 0) == (world.size() > 1));
    for (const LossTerm& term : kLosses)
      if (const Var& loss = losses.*term.value; loss.defined()) keep(loss.value());
    keep(sgd.norm());
    keep(sgd.skipped());
  }
  visit_module(
      model, [&](const std::string&, Var& v, const Shape&) { keep(v.value()); },
      [&](const std::string&, Tensor& t) { keep(t); });
  for (const Ema::Average& a : ema.averages()) keep(a.average);
  return all;
}

void check_ranks(const ModelConfig& config, std::initializer_list<int> ranks, int64_t micro_batches,
                 Device device = {}, int64_t steps = 2, int64_t bad_batch = -1, bool linked = false,
                 bool sync_bn = false) {
  const fixtures::OneThread ops;
  const Bytes expected = bytes_after(alone(), config, micro_batches, steps, device, bad_batch, sync_bn);
  for (const int n : ranks) {
    CAPTURE(micro_batches);
    CAPTURE(n);
    run_ranks(
        n,
        [&](World& world) {
          CHECK(bytes_after(world, config, micro_batches, steps, device, bad_batch, sync_bn) == expected);
        },
        linked);
  }
}

ModelConfig tiny(const std::string& norm) {
  ModelConfig config = fixtures::tiny_model();
  config.norm = norm;
  return config;
}

}  // namespace

TEST_CASE("ranks, step: with trained batch normalisation, 1 to 5 ranks give the same bytes") {
  check_ranks(tiny("batch"), {2, 3, 4}, 4);
  check_ranks(tiny("batch"), {2, 3, 5}, 6);
}

TEST_CASE("ranks, step: with frozen and with group normalisation, the same bytes") {
  check_ranks(tiny("frozen"), {2, 3, 4}, 4);
  check_ranks(tiny("group"), {2, 3, 4}, 4);
  check_ranks(tiny("group"), {5}, 6);
}

TEST_CASE("ranks, step: with synchronised batch normalisation, 1 to 5 ranks give the same bytes") {
  ModelConfig config = tiny("batch");
  check_ranks(config, {1, 2, 3, 4}, 4, {}, 2, -1, false, true);
  config.box_dropout = 0.5f;
  check_ranks(config, {2, 3, 5}, 6, {}, 2, -1, false, true);
  check_ranks(config, {2, 3}, 4, {}, 2, 1, false, true);  // a value that is not finite skips the step on all
  const fixtures::OneThread ops;
  CHECK(bytes_after(alone(), config, 4, 2, {}, -1, true) != bytes_after(alone(), config, 4, 2, {}));
}

TEST_CASE("ranks, step: with dropout, the same bytes") {
  ModelConfig config = tiny("batch");
  config.box_dropout = 0.5f;
  check_ranks(config, {2, 3}, 4);
}

TEST_CASE("ranks, step: a value that is not finite on one rank skips the step on all") {
  check_ranks(tiny("batch"), {2, 3}, 4, {}, 2, 1);
}

TEST_CASE("ranks, step: buckets of any size, and machines of several ranks, give the same bytes") {
  const fixtures::OneThread ops;
  const ModelConfig config = tiny("batch");
  const Bytes expected = bytes_after(alone(), config, 6, 2, {});
  const std::vector<std::vector<std::string>> machines = {
      {"a", "a"}, {"a", "a", "b", "b"}, {"a", "b", "a", "b", "a"}, {"a", "a", "b", "b", "c", "c"}};
  for (const auto& hosts : machines)
    for (const int64_t bucket_bytes : {int64_t{0}, int64_t{100'000}, std::numeric_limits<int64_t>::max()}) {
      CAPTURE(hosts.size());
      CAPTURE(bucket_bytes);
      run_ranks(
          static_cast<int>(hosts.size()),
          [&](World& world) {
            CHECK(bytes_after(world, config, 6, 2, {}, -1, false, bucket_bytes) == expected);
          },
          false, hosts);
    }
}

TEST_CASE("ranks, step: on a GPU, real or simulated, the same bytes") {
  if (cuda::device_count() == 0) {
    MESSAGE("skipped: no GPU, and none simulated (make CUDA=sim)");
    return;
  }
  const Device gpu{DeviceType::cuda, 0};
  check_ranks(tiny("batch"), {2, 3}, 4, gpu, 1);
  check_ranks(tiny("group"), {3}, 4, gpu, 1, -1, true);  // from GPU to GPU
  check_ranks(tiny("batch"), {3}, 4, gpu, 1, -1, true, true);
  check_ranks(tiny("batch"), {2}, 4, gpu, 1, -1, false, true);
}

TEST_CASE("ranks, step: linked GPUs add up bucket by bucket during backward, with the same bytes") {
  const int gpus = cuda::device_count();
  if (gpus == 0) {
    MESSAGE("skipped: no GPU, and none simulated (make CUDA=sim)");
    return;
  }
  const fixtures::OneThread ops;
  const ModelConfig config = tiny("batch");
  struct Machines {
    std::vector<std::string> hosts;
    int64_t micro_batches, bucket_bytes;
  };
  for (const auto& [hosts, micro_batches, bucket_bytes] :
       {Machines{{"a", "a"}, 3, 0}, Machines{{"a", "a", "b", "b"}, 4, 100'000}}) {
    CAPTURE(hosts.size());
    const Bytes expected = bytes_after(alone(), config, micro_batches, 1, {DeviceType::cuda, 0});
    run_ranks(
        static_cast<int>(hosts.size()),
        [&](World& world) {
          const Device gpu{DeviceType::cuda, world.rank() % gpus};
          CHECK(bytes_after(world, config, micro_batches, 1, gpu, -1, false, bucket_bytes) == expected);
        },
        true, hosts);
  }
}

TEST_CASE("ranks, gradients: on GPUs, linked or not, the sum has the bits that the CPU finds") {
  const int gpus = cuda::device_count();
  if (gpus == 0) {
    MESSAGE("skipped: no GPU, and none simulated (make CUDA=sim)");
    return;
  }
  constexpr int64_t kElements = 1003;  // no multiple of the ranks
  const auto sum = [](World& world, Device device, int64_t micro_batches) {
    Context ctx(device);
    GradientTree own;
    const Share share = world.share(micro_batches);
    for (int64_t i = share.begin; i < share.end; ++i) {
      RandomSequence random(5, Purpose::test, static_cast<uint32_t>(i));
      const Tensor gradient = Tensor::empty({kElements}, DType::f32);
      for (float& value : gradient.mutable_values<float>())
        value = random.normal() * (1 + random.uniform() * 99);
      own.add({i, 1, gradient.to(device)});
    }
    const Tensor here = sum_over_ranks(ctx, world, std::move(own), micro_batches).to(Device{});
    CHECK(world.bytes_sent() == (world.size() == 1 ? 0 : bytes_of_sum(world, kElements, micro_batches)));
    const auto* begin = static_cast<const std::byte*>(here.raw());
    return Bytes(begin, begin + here.bytes());
  };
  for (const int64_t micro_batches : {3, 4, 7}) {
    const Bytes expected = sum(alone(), {}, micro_batches);
    for (const int ranks : {1, 2, 3})
      for (const bool linked : {false, true}) {
        CAPTURE(micro_batches);
        CAPTURE(ranks);
        CAPTURE(linked);
        run_ranks(
            ranks,
            [&](World& world) {
              CHECK(sum(world, {DeviceType::cuda, world.rank() % gpus}, micro_batches) == expected);
            },
            linked);
      }
  }
}
