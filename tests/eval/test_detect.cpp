#include "eval/detect.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "data/voc.h"
#include "eval/diagnosis.h"
#include "models/transform.h"
#include "tests/train/tiny_run.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

bool same(const Detection& a, const Detection& b) {
  return a.image == b.image && a.label == b.label && a.score == b.score && a.box == b.box;
}

bool same(const std::vector<Detection>& a, const std::vector<Detection>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Detection& x, const Detection& y) { return same(x, y); });
}

bool contains(const std::vector<Detection>& all, const Detection& one) {
  return std::any_of(all.begin(), all.end(), [&](const Detection& other) { return same(one, other); });
}

/// Checks that the boxes of a trace lie in the image, reach nearly to its far edges and hold all detections.
void check_trace(const Trace& trace, const std::vector<Detection>& found, int index, float width,
                 float height) {
  CHECK_FALSE(trace.proposals.empty());
  CHECK(trace.proposals.size() <= 20);
  const auto inside = [&](const Box& box) {
    return box.x1 >= 0 && box.y1 >= 0 && box.x1 < box.x2 && box.y1 < box.y2 && box.x2 <= width &&
           box.y2 <= height;
  };
  float right = 0, bottom = 0;
  for (const Box& box : trace.proposals) {
    CHECK(inside(box));
    right = std::max(right, box.x2);
    bottom = std::max(bottom, box.y2);
  }
  CHECK(right > 0.9F * width);  // they are in pixels of the image, not of the network's input
  CHECK(bottom > 0.9F * height);
  CHECK(trace.before_nms.size() <= 2 * trace.proposals.size());
  for (const Detection& box : trace.before_nms) {
    CHECK(inside(box.box));
    CHECK(box.image == index);
    CHECK((box.label == 1 || box.label == 2));
    CHECK(box.score > 0.05F);
  }
  CHECK_FALSE(found.empty());
  for (const Detection& detection : found) CHECK(contains(trace.before_nms, detection));
}

}  // namespace

TEST_CASE("detection trace: every detection is among the boxes before NMS, and NMS explains the others") {
  ModelConfig config = tiny_model();
  config.box_detections_per_img = 100;
  FasterRcnn model(config, 2, Init(3));
  Context ctx;
  const Image image = random_image(200, 150);  // the network sees 85 x 64
  const std::vector<Detection> plain = detect_image(ctx, model, image, 7);
  Trace trace;
  trace.proposals.resize(1000);  // the previous contents must be replaced
  trace.before_nms.resize(1000);
  const std::vector<Detection> found = detect_image(ctx, model, image, 7, &trace);
  CHECK(same(plain, found));
  check_trace(trace, found, 7, 200, 150);

  // The boxes equal those in the network's pixels with the axes scaled by 200 / 85 and 150 / 64.
  const RawImage raw{image.rgb.data(), image.height, image.width};
  const Detections in_network = model.detect(ctx, make_image_batch(ctx, config, {&raw, 1}));
  REQUIRE(in_network.count.item<int32_t>() == static_cast<int32_t>(found.size()));
  for (size_t i = 0; i < found.size(); ++i) {
    const float* box = in_network.boxes.data<float>() + 4 * i;
    const Box expected{box[0] * 200 / 85, box[1] * 150 / 64, box[2] * 200 / 85, box[3] * 150 / 64};
    CHECK(overlap(found[i].box, expected) >= 1 - 1e-5);
    CHECK(found[i].score == in_network.scores.data<float>()[i]);
    CHECK(found[i].label == in_network.labels.data<int32_t>()[i]);
  }

  // Scaling an axis does not change the IoU, except for rounding.
  REQUIRE(trace.before_nms.size() > found.size());
  for (const Detection& box : trace.before_nms)
    if (!contains(found, box))
      CHECK(std::any_of(found.begin(), found.end(), [&](const Detection& other) {
        return other.label == box.label && other.score >= box.score &&
               overlap(other.box, box.box) > double{config.box_nms_thresh} - 1e-4;
      }));
}

TEST_CASE("detection trace: one entry per image, empty for an image that cannot be decoded") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder.path(), 3);
  const std::filesystem::path broken = folder / "JPEGImages/train_00001.png";
  std::filesystem::resize_file(broken, std::filesystem::file_size(broken) / 2);
  const Dataset dataset = read_voc(folder.path(), "train");
  FasterRcnn model(tiny_model(), 2, Init(3));
  Context ctx;
  std::vector<Fault> faults;
  std::vector<Trace> traces(9);
  for (Trace& trace : traces) trace.proposals.resize(5);
  const auto found = detect_dataset(ctx, model, dataset, 0, faults, {}, &traces);
  CHECK(faults.size() == 1);
  REQUIRE(traces.size() == 3);
  CHECK(traces[1].proposals.empty());
  CHECK(traces[1].before_nms.empty());
  for (const int i : {0, 2}) {
    std::vector<Detection> of_image;
    for (const Detection& detection : found)
      if (detection.image == i) of_image.push_back(detection);
    check_trace(traces[static_cast<size_t>(i)], of_image, i, 96, 96);
  }
  std::vector<Fault> again;
  CHECK(same(found, detect_dataset(ctx, model, dataset, 0, again)));
  CHECK_NOTHROW(diagnose(found, traces, dataset));
}

TEST_CASE("detect: several ranks find what one finds, with fewer images than ranks and with a broken one") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder.path(), 4);
  const std::filesystem::path broken = folder / "JPEGImages/train_00001.png";
  std::filesystem::resize_file(broken, std::filesystem::file_size(broken) / 2);
  Dataset dataset = read_voc(folder.path(), "train");
  for (const size_t images : {4, 2}) {
    dataset.samples.resize(images);
    FasterRcnn one(tiny_model(), 2, Init(3));
    Context ctx_of_one;
    std::vector<Fault> faults;
    std::vector<Trace> traces;
    const auto expected = detect_dataset(ctx_of_one, one, dataset, 0, faults, {}, &traces);
    REQUIRE(!expected.empty());
    for (const int ranks : {2, 3})
      run_ranks(ranks, [&](World& world) {
        Context ctx;
        FasterRcnn model(tiny_model(), 2, Init(3));
        std::vector<Fault> faults_here;
        std::vector<Trace> traces_here;
        const auto found = detect_dataset(world, ctx, model, dataset, 1, faults_here, &traces_here);
        CHECK(found.size() == (world.is_first() ? expected.size() : 0));
        if (!world.is_first()) return;
        CHECK(same(found, expected));
        REQUIRE(faults_here.size() == faults.size());
        CHECK(faults_here.front().what == faults.front().what);
        REQUIRE(traces_here.size() == traces.size());
        for (size_t i = 0; i < traces.size(); ++i) {
          CHECK(traces_here[i].proposals.size() == traces[i].proposals.size());
          CHECK(same(traces_here[i].before_nms, traces[i].before_nms));
        }
      });
  }
}

TEST_CASE("detect: between images, ranks with unequal parts agree to stop, at the same points") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder.path(), 50);
  const Dataset dataset = read_voc(folder.path(), "train");
  struct Stopped {};
  for (const auto& [ranks, wanted] : {std::pair{1, 50}, {2, 3}, {3, 2}, {7, 0}}) {
    CAPTURE(ranks);
    for (const bool stops : {false, true}) {
      std::vector<int> asked(static_cast<size_t>(ranks), 0), stopped = asked;
      run_ranks(ranks, [&](World& world) {
        Context ctx;
        FasterRcnn model(tiny_model(), 2, Init(3));
        std::vector<Fault> faults;
        const auto rank = static_cast<size_t>(world.rank());
        try {
          detect_dataset(world, ctx, model, dataset, 0, faults, nullptr, [&] {
            ++asked[rank];
            const std::vector<int> all = world.of_all(stops && world.rank() == world.size() - 1 ? 1 : 0);
            if (all.back() == 1) throw Stopped();
          });
        } catch (const Stopped&) {
          stopped[rank] = 1;
        }
      });
      const bool ends_early = stops && wanted > 0;
      CHECK(asked == std::vector<int>(asked.size(), ends_early ? 1 : wanted));
      CHECK(stopped == std::vector<int>(asked.size(), ends_early ? 1 : 0));
    }
  }
}
