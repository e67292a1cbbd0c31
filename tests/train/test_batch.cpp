// Loaded images as the model's input: boxes are scaled with their images.
#include "train/batch.h"

#include <doctest/doctest.h>

#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

ModelConfig small_input() {
  ModelConfig config;
  config.short_side = 16;
  config.long_side = 40;
  config.size_divisible = 8;
  return config;
}

LoadedImage loaded(int sample, int width, int height, std::vector<Object> objects) {
  return {sample, random_image(width, height), std::move(objects)};
}

std::vector<float> box_of(const GroundTruth& truth, int64_t image, int64_t object) {
  const auto all = truth.boxes.values<float>();
  const auto first = all.begin() + (image * truth.boxes.dim(1) + object) * 4;
  return {first, first + 4};
}

}  // namespace

TEST_CASE("batch: boxes are scaled by the factor by which each axis really shrank") {
  Context ctx;
  // Both shrink by .8 to a short side of 16. 33 x .8 = 26.4 becomes 26 pixels, 40 x .8 is exactly 32.
  Batch batch;
  batch.images.push_back(loaded(5, 33, 20, {{{3, 5, 33, 20}, 2, false}}));
  batch.images.push_back(loaded(2, 20, 40, {{{10, 0, 20, 40}, 1, false}}));
  const TrainingBatch made = make_training_batch(ctx, small_input(), batch);
  CHECK(made.images.pixels.shape() == Shape{2, 32, 32, 3});
  const auto size = made.images.size.values<float>();
  CHECK(std::vector<float>(size.begin(), size.end()) == std::vector<float>{16, 26, 32, 16});

  const float sx = 26.0f / 33, sy = 0.8f;
  const std::vector<float> wanted = {3 * sx, 5 * sy, 33 * sx, 20 * sy}, found = box_of(made.truth, 0, 0);
  for (size_t i = 0; i < 4; ++i) CHECK(std::abs(found[i] - wanted[i]) <= 1e-5f);
  CHECK(found[2] == doctest::Approx(26));  // the image's edge stays its edge
  CHECK(box_of(made.truth, 1, 0) == std::vector<float>{8, 0, 16, 32});
  const auto labels = made.truth.labels.values<int32_t>(), ids = made.truth.image_id.values<int32_t>();
  CHECK(std::vector<int32_t>(labels.begin(), labels.end()) == std::vector<int32_t>{2, 1});
  CHECK(std::vector<int32_t>(ids.begin(), ids.end()) == std::vector<int32_t>{5, 2});
}

TEST_CASE("batch: the capacity is the power of two that holds the boxes of every image, padded with zeros") {
  const auto capacity_for = [](size_t objects) {
    Context ctx;
    Batch batch;
    batch.images.push_back(loaded(0, 20, 20, {}));
    batch.images.push_back(loaded(1, 20, 20, std::vector<Object>(objects, Object{{1, 2, 9, 9}, 3, false})));
    const GroundTruth truth = make_training_batch(ctx, small_input(), batch).truth;
    const int64_t capacity = truth.boxes.dim(1);
    CHECK(truth.boxes.shape() == Shape{2, capacity, 4});
    CHECK(truth.labels.shape() == Shape{2, capacity});
    CHECK(truth.count.values<int32_t>()[0] == 0);
    CHECK(truth.count.values<int32_t>()[1] == static_cast<int32_t>(objects));
    for (int64_t i = 0; i < 2 * capacity; ++i) {
      const bool real = i >= capacity && i < capacity + static_cast<int64_t>(objects);
      CHECK(truth.labels.values<int32_t>()[static_cast<size_t>(i)] == (real ? 3 : 0));
      CHECK((box_of(truth, i / capacity, i % capacity) == std::vector<float>(4, 0)) == !real);
    }
    return capacity;
  };
  CHECK(capacity_for(0) == 1);
  CHECK(capacity_for(1) == 1);
  CHECK(capacity_for(2) == 2);
  CHECK(capacity_for(3) == 4);
  CHECK(capacity_for(4) == 4);
  CHECK(capacity_for(5) == 8);
}

TEST_CASE("batch: objects marked as difficult are left out without a gap") {
  Context ctx;
  Batch batch;
  batch.images.push_back(loaded(0, 16, 16,
                                {{{1, 1, 5, 5}, 1, true},
                                 {{2, 2, 6, 6}, 2, false},
                                 {{3, 3, 7, 7}, 3, true},
                                 {{4, 4, 8, 8}, 4, false}}));
  const GroundTruth truth = make_training_batch(ctx, small_input(), batch).truth;
  CHECK(truth.count.item<int32_t>() == 2);
  CHECK(box_of(truth, 0, 0) == std::vector<float>{2, 2, 6, 6});
  CHECK(box_of(truth, 0, 1) == std::vector<float>{4, 4, 8, 8});
  CHECK(truth.labels.values<int32_t>()[0] == 2);
  CHECK(truth.labels.values<int32_t>()[1] == 4);
  for (int64_t i = 2; i < truth.boxes.dim(1); ++i) CHECK(box_of(truth, 0, i) == std::vector<float>(4, 0));
}

TEST_CASE("batch: crowd regions are left out") {
  Context ctx;
  Batch batch;
  Object crowd{{1, 1, 5, 5}, 1};
  crowd.crowd = true;
  batch.images.push_back(loaded(0, 16, 16, {crowd, {{2, 2, 6, 6}, 2}}));
  const GroundTruth truth = make_training_batch(ctx, small_input(), batch).truth;
  CHECK(truth.count.item<int32_t>() == 1);
  CHECK(box_of(truth, 0, 0) == std::vector<float>{2, 2, 6, 6});
}

TEST_CASE("batch: an image's scale multiplies short and long side, and its boxes") {
  Context ctx;
  // Short side 16: 20 x 20 becomes 16, 20 (times 1.25) and 8 pixels; 10 x 50 is limited by the long side,
  // 40 x 1.25.
  Batch batch;
  for (const float scale : {1.0f, 1.25f, 0.5f})
    batch.images.push_back({0, random_image(20, 20), {{{5, 10, 15, 20}, 1}}, scale});
  batch.images.push_back({3, random_image(10, 50), {}, 1.25f});
  const TrainingBatch made = make_training_batch(ctx, small_input(), batch);
  CHECK(made.images.pixels.shape() == Shape{4, 56, 24, 3});
  const auto size = made.images.size.values<float>();
  CHECK(std::vector<float>(size.begin(), size.end()) == std::vector<float>{16, 16, 20, 20, 8, 8, 50, 10});
  CHECK(box_of(made.truth, 0, 0) == std::vector<float>{4, 8, 12, 16});
  CHECK(box_of(made.truth, 1, 0) == std::vector<float>{5, 10, 15, 20});
  CHECK(box_of(made.truth, 2, 0) == std::vector<float>{2, 4, 6, 8});
}

TEST_CASE("batch: the best proposals that fit, followed by the objects; without proposals only the objects") {
  Context ctx;
  ModelConfig config = small_input();
  config.rpn_post_nms_top_n_train = 2;
  Batch batch;
  batch.images.push_back(loaded(0, 20, 20, {{{5, 10, 15, 20}, 1}}));
  batch.images.push_back(loaded(1, 20, 20, {{{0, 0, 10, 5}, 1}}));
  CHECK_FALSE(make_training_batch(ctx, config, batch).images.proposals.boxes.defined());
  batch.images[0].proposals = {{0, 0, 5, 5}, {5, 5, 20, 20}, {1, 1, 2, 2}};
  batch.images[1].proposals.emplace();
  const Proposals made = make_training_batch(ctx, config, batch).images.proposals;
  CHECK(made.boxes.shape() == Shape{2, 4, 4});
  const auto boxes = made.boxes.values<float>();
  CHECK(std::vector<float>(boxes.begin(), boxes.end()) ==
        std::vector<float>{0, 0, 4, 4, 4, 4, 16, 16, 4, 8, 12, 16, 0, 0, 0, 0,  //
                           0, 0, 8, 4, 0, 0, 0,  0,  0, 0, 0,  0,  0, 0, 0, 0});
  CHECK(made.count.values<int32_t>()[0] == 3);
  CHECK(made.count.values<int32_t>()[1] == 1);
}
