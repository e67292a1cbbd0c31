// Steps on several micro-batches have the same bits on any number of ranks.
#include "train/gradient_tree.h"

#include <doctest/doctest.h>

#include <cstring>

#include "core/cuda/device.h"
#include "tests/train/tiny_run.h"
#include "train/step.h"

using namespace rcnn;

namespace {

std::string text_of(const std::vector<PartialSum>& parts) {
  std::string text;
  for (const PartialSum& p : parts) text += fmt::format("{}+{} ", p.begin, p.size);
  return text;
}

/// A gradient whose sums depend on the order.
Tensor gradient_of(int64_t micro_batch, int64_t elements) {
  RandomSequence random(5, Purpose::test, static_cast<uint32_t>(micro_batch));
  const Tensor gradient = Tensor::empty({elements}, DType::f32);
  for (float& value : gradient.mutable_values<float>()) value = random.normal() * (1 + random.uniform() * 99);
  return gradient;
}

Bytes bytes_in(const Tensor& tensor) {
  const auto* begin = static_cast<const std::byte*>(tensor.raw());
  return {begin, begin + tensor.bytes()};
}

}  // namespace

TEST_CASE("gradient tree: neighbours of equal size are added, and the rest from the right") {
  CHECK(text_of(parts_of({0, 8, 8})) == "0+8 ");
  CHECK(text_of(parts_of({0, 7, 7})) == "0+4 4+2 6+1 ");
  CHECK(text_of(parts_of({1, 7, 8})) == "1+1 2+2 4+2 6+1 ");
  CHECK(text_of(parts_of({3, 3, 8})).empty());
  // ((a + b) + (c + d)) + (e + f)
  float v[6] = {1e8f, 3, -1e8f, 5, 1, 1};
  GradientTree tree;
  for (int64_t i = 0; i < 6; ++i) tree.add({i, 1, Tensor::of<float>({1}, {v[static_cast<size_t>(i)]})});
  CHECK(text_of(tree.parts()) == "0+4 4+2 ");
  const float expected = ((v[0] + v[1]) + (v[2] + v[3])) + (v[4] + v[5]);
  CHECK(tree.finish().item<float>() == expected);
  float in_order = v[0];
  for (int i = 1; i < 6; ++i) in_order += v[i];
  CHECK(expected != in_order);  // so the test can tell
  GradientTree wrong;
  wrong.add({0, 1, {}});
  CHECK_THROWS_AS(wrong.add({2, 1, {}}), Error);
}

TEST_CASE("gradient tree: any number of ranks gives the bits of one, and sends what the formula says") {
  constexpr int64_t kElements = 1003;  // no multiple of the ranks
  for (const int64_t micro_batches : {1, 2, 4, 6, 7, 8, 12})
    for (const int ranks : {1, 2, 3, 4, 5, 8}) {
      if (ranks > micro_batches) continue;
      CAPTURE(micro_batches);
      CAPTURE(ranks);
      GradientTree one;
      for (int64_t i = 0; i < micro_batches; ++i) one.add({i, 1, gradient_of(i, kElements)});
      const Bytes expected = bytes_in(one.finish());
      run_ranks(ranks, [&](World& world) {
        Context ctx;
        const Share share = world.share(micro_batches);
        GradientTree own;
        for (int64_t i = share.begin; i < share.end; ++i) own.add({i, 1, gradient_of(i, kElements)});
        const auto parts = static_cast<int64_t>(own.parts().size());
        CHECK(bytes_in(sum_over_ranks(ctx, world, std::move(own), micro_batches)) == expected);
        const int64_t all = kElements * 4, mine = world.share(kElements).count() * 4;
        CHECK(world.bytes_sent() == parts * (all - mine) + (ranks - 1) * mine);
        CHECK(bytes_of_sum(world, kElements, micro_batches) == world.bytes_sent());
        if (kElements % ranks == 0 && micro_batches % ranks == 0 && (ranks & (ranks - 1)) == 0)
          CHECK(world.bytes_sent() == 2 * (ranks - 1) * all / ranks);
      });
    }
}

namespace {

/// Checks the bits and the bytes of the sum on ranks of these machines. Returns the bytes that rank 0 sends
/// to other machines.
int64_t bytes_away(const std::vector<std::string>& hosts, int64_t micro_batches, int64_t elements) {
  GradientTree one;
  for (int64_t i = 0; i < micro_batches; ++i) one.add({i, 1, gradient_of(i, elements)});
  const Bytes expected = bytes_in(one.finish());
  int64_t away = 0;
  run_ranks(
      static_cast<int>(hosts.size()),
      [&](World& world) {
        Context ctx;
        const Share share = world.share(micro_batches);
        GradientTree own;
        for (int64_t i = share.begin; i < share.end; ++i) own.add({i, 1, gradient_of(i, elements)});
        CHECK(bytes_in(sum_over_ranks(ctx, world, std::move(own), micro_batches)) == expected);
        CHECK(world.bytes_sent() == bytes_of_sum(world, elements, micro_batches));
        if (world.is_first()) away = world.bytes_sent_away();
        const int per_machine = world.ranks_per_machine();
        if (per_machine == 0) return;
        // Among the machines: the partial sums of the machine, of this rank's part of the elements.
        const int ranks = world.size(), machine = world.rank() / per_machine, machines = ranks / per_machine;
        const int first = machine * per_machine, last = first + per_machine - 1;
        const auto parts = std::ssize(parts_of({share_of(micro_batches, first, ranks).begin,
                                                share_of(micro_batches, last, ranks).end, micro_batches}));
        const int64_t part = share_of(elements, world.rank() % per_machine, per_machine).count();
        const int64_t finished = share_of(part, machine, machines).count();
        CHECK(world.bytes_sent_away() == 4 * (parts * (part - finished) + (machines - 1) * finished));
      },
      false, hosts);
  return away;
}

}  // namespace

TEST_CASE("gradient tree: machines add their own partial sums first, with the same bits and fewer bytes") {
  const std::vector<std::vector<std::string>> machines = {
      {"a", "a", "b", "b"}, {"a", "a", "a", "b", "b", "b"}, {"a", "a", "b", "b", "c", "c"}};
  for (const auto& hosts : machines)
    for (const int64_t micro_batches : {6, 7, 8, 11, 12}) {
      CAPTURE(hosts.size());
      CAPTURE(micro_batches);
      bytes_away(hosts, micro_batches, 1003);  // no multiple of the ranks
      bytes_away(hosts, micro_batches, 2);     // less than one element for each
    }
  // Two ranks on each machine send it half of what they would send if they did not know of each other.
  constexpr int64_t kElements = 1024;
  CHECK(bytes_away({"a", "a", "b", "b"}, 4, kElements) == 4 * kElements / 2);
  CHECK(bytes_away({"a", "b", "a", "b"}, 4, kElements) == 4 * kElements);
}

TEST_CASE(
    "gradient tree: machines with other numbers of ranks, or ranks in another order, have the same bits") {
  for (const int64_t micro_batches : {5, 8}) {
    bytes_away({"a", "a", "b"}, micro_batches, 1003);
    bytes_away({"a", "b", "a", "b"}, micro_batches, 1003);
    bytes_away({"a", "b", "b", "c", "c"}, micro_batches, 1003);
  }
}

TEST_CASE("gradient tree: with powers of two the bytes are those of a ring") {
  run_ranks(4, [](World& world) {
    Context ctx;
    GradientTree own;
    for (int64_t i = world.share(8).begin; i < world.share(8).end; ++i) own.add({i, 1, gradient_of(i, 1024)});
    sum_over_ranks(ctx, world, std::move(own), 8);
    CHECK(world.bytes_sent() == 2 * 3 * 4096 / 4);
  });
}
