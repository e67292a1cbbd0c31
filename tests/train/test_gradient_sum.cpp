// The sum of gradients in buckets, whose exchange goes on during backward.
#include "train/gradient_sum.h"

#include <doctest/doctest.h>

#include <limits>

#include "tests/one_thread.h"
#include "tests/train/gradient_graph.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

std::vector<Sgd::Parameter> parameters_of(std::initializer_list<int64_t> elements) {
  std::vector<Sgd::Parameter> parameters;
  for (const int64_t n : elements)
    parameters.push_back({"p", Var::parameter(Tensor::zeros({n}, DType::f32)), {}, {}});
  return parameters;
}

/// "7 8 | 4 5 6": the elements of the parameters of each bucket.
std::string text_of(const std::vector<std::span<const Sgd::Parameter>>& buckets) {
  std::string text;
  for (const auto& bucket : buckets) {
    if (!text.empty()) text += "| ";
    for (const Sgd::Parameter& p : bucket) text += fmt::format("{} ", p.value.value().numel());
  }
  return text;
}

}  // namespace

TEST_CASE("gradient sum: buckets are cut from the last parameter, and only one parameter may be larger") {
  const auto p = parameters_of({4, 5, 6, 40, 7, 8});
  CHECK(text_of(buckets_of(p, 60)) == "7 8 | 40 | 4 5 6 ");
  CHECK(text_of(buckets_of(p, 59)) == "8 | 7 | 40 | 5 6 | 4 ");
  CHECK(text_of(buckets_of(p, 43)) == "8 | 7 | 40 | 6 | 4 5 ");
  CHECK(text_of(buckets_of(p, 0)) == "8 | 7 | 40 | 6 | 5 | 4 ");
  CHECK(text_of(buckets_of(p, 280)) == "4 5 6 40 7 8 ");
  CHECK(text_of(buckets_of(p, std::numeric_limits<int64_t>::max())) == "4 5 6 40 7 8 ");
  CHECK(buckets_of({}, 60).empty());
}

TEST_CASE("gradient sum: any number of ranks, machines and buckets gives the bits of one process") {
  const OneThread ops;
  const std::vector<std::vector<std::string>> machines = {
      {"a"}, {"a", "a"}, {"a", "a", "a"}, {"a", "b", "c"}, {"a", "a", "b"}, {"a", "a", "b", "b"}};
  for (const int64_t micro_batches : {4, 7}) {
    const Bytes expected = GradientGraph().sum(alone(), micro_batches, 0);
    CHECK(expected.size() > 200);
    for (const auto& hosts : machines)
      for (const int64_t bucket_bytes : {int64_t{0}, int64_t{60}, kBucketBytes}) {
        CAPTURE(micro_batches);
        CAPTURE(hosts.size());
        CAPTURE(bucket_bytes);
        run_ranks(
            static_cast<int>(hosts.size()),
            [&](World& world) {
              GradientGraph graph;
              CHECK(graph.sum(world, micro_batches, bucket_bytes) == expected);
              CHECK(graph.bytes_sent == world.bytes_sent());
              CHECK(graph.bytes_expected == world.bytes_sent());
            },
            false, hosts);
      }
  }
}

TEST_CASE("gradient sum: the exchange begins during backward of the last micro-batch, bucket by bucket") {
  const OneThread ops;
  for (const int64_t bucket_bytes : {int64_t{0}, kBucketBytes}) {
    int finished = 0;  // ranks that have come so far that they send finished parts
    run_ranks(2, [&](World& world) {
      CAPTURE(bucket_bytes);
      std::vector<int64_t> sent;  // when backward is between the first and the second layer
      GradientGraph graph;
      graph.before_first_layer = [&](int64_t) { sent.push_back(world.bytes_sent()); };
      graph.sum(world, 4, bucket_bytes);
      REQUIRE(sent.size() == 2);
      CHECK(sent[0] == 0);
      if (bucket_bytes > 0) {
        CHECK(sent[1] == 0);
        return;
      }
      // Of the other parameters that have a gradient, each a bucket, the half that the other rank finishes,
      // and the rank that comes later has that of the first one and sends it the half that it has finished.
      const int64_t parts = graph.half_of_later_layers(1 - world.rank()),
                    both = parts + graph.half_of_later_layers(world.rank());
      CHECK((sent[1] == parts || sent[1] == both));
      finished += sent[1] == both;
    });
    CHECK(finished == (bucket_bytes == 0 ? 1 : 0));
  }
}

TEST_CASE("gradient sum: a rank that throws during backward ends the others, which wait for its buckets") {
  const OneThread ops;
  for (const int64_t bucket_bytes : {int64_t{0}, kBucketBytes})
    CHECK_THROWS_WITH_AS(run_ranks(3,
                                   [&](World& world) {
                                     GradientGraph graph;
                                     graph.before_first_layer = [&](int64_t micro_batch) {
                                       if (micro_batch == 3) throw InputError("the disk is on fire");
                                     };
                                     graph.sum(world, 6, bucket_bytes);
                                   }),
                         "the disk is on fire", InputError);
}

TEST_CASE("gradient sum: each rank gives the gradients of its micro-batches, no more and no fewer") {
  run_ranks(2, [](World& world) {
    Context ctx;
    ctx.grad = true;
    GradientGraph graph;
    GradientSum sum(ctx, world, graph.parameters, 2);
    CHECK_THROWS_WITH_AS(sum.finish(), "0 of this rank's 1 micro-batches have a gradient", Error);
    sum.backward(graph.loss(ctx, world.rank()));
    CHECK_THROWS_WITH_AS(sum.backward(graph.loss(ctx, 0)),
                         "a step of 2 micro-batches was given one more than this rank's 1", Error);
    sum.finish();
  });
}
