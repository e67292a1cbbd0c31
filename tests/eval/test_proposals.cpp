// Files of proposals: writing, reading, and reading into the samples of a dataset.
#include "eval/proposals.h"

#include <doctest/doctest.h>

#include "data/folder.h"
#include "eval/detect.h"
#include "tests/train/tiny_run.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

Dataset two_samples() {
  Dataset data;
  data.classes = {"cat"};
  data.samples.push_back({"a", "a.png", 40, 30, {}});
  data.samples.push_back({"7", "7.png", 20, 20, {}});
  return data;
}

std::string refusal(const std::string& text, Dataset data = two_samples()) {
  const TemporaryFolder folder;
  write_text(folder / "p.json", text);
  const std::string sentence = input_error([&] { read_proposals(folder / "p.json", data); });
  CHECK(contains(sentence, "p.json"));
  return sentence;
}

}  // namespace

TEST_CASE("proposals: are read best first and clipped to their image, and categories are not read") {
  const TemporaryFolder folder;
  write_text(folder / "p.json", R"([
    {"image_id": "a", "bbox": [1, 2, 3, 4], "score": 0.25},
    {"image_id": "a", "category_id": 9, "category_name": "dog", "bbox": [-5, 20, 60.5, 60], "score": 0.5},
    {"image_id": "a", "bbox": [40, 0, 5, 5], "score": 0.9},
    {"image_id": "a", "bbox": [3, 3, 0, 5], "score": 0.9},
    {"image_id": "a", "bbox": [3, 3, -2, 5], "score": 0.9},
    {"image_id": "a", "bbox": [5, 6, 7, 8], "score": 0.25}])");
  Dataset data = two_samples();
  read_proposals(folder / "p.json", data);
  CHECK(data.samples[0].proposals.value() == std::vector<Box>{{0, 20, 40, 30}, {1, 2, 4, 6}, {5, 6, 12, 14}});
  CHECK(data.samples[1].proposals.value().empty());  // an empty list, not an absent one, which means the RPN

  write_text(folder / "p.json", R"([{"image_id": 7, "bbox": [1, 2, 3, 4], "score": -3}])");
  read_proposals(folder / "p.json", data);
  CHECK(data.samples[0].proposals.value().empty());
  CHECK(data.samples[1].proposals.value() == std::vector<Box>{{1, 2, 4, 6}});

  data.category_ids = {18};
  data.samples[0].coco_id = 70;
  data.samples[1].coco_id = 0;
  write_text(folder / "p.json", R"([{"image_id": 70, "bbox": [1, 2, 3, 4], "score": 1}])");
  read_proposals(folder / "p.json", data);
  CHECK(data.samples[0].proposals.value() == std::vector<Box>{{1, 2, 4, 6}});
}

TEST_CASE("proposals: an invalid file is refused with a sentence that says why") {
  CHECK(contains(refusal("{}"), "no list"));
  CHECK(contains(refusal(R"([{"image_id": "b", "bbox": [1, 2, 3, 4], "score": 1}])"),
                 "the image 'b', which the data lacks"));
  CHECK(contains(refusal(R"([{"image_id": 8, "bbox": [1, 2, 3, 4], "score": 1}])"), "the image '8'"));
  CHECK(contains(refusal(R"([{"image_id": "a", "bbox": [1, 2, 3], "score": 1}])"), "four numbers"));
  CHECK(contains(refusal(R"([{"image_id": "a", "bbox": [1, 2, 3, 4]}])"), "score"));
  Dataset coco = two_samples();
  coco.category_ids = {18};
  coco.samples[0].coco_id = 70;
  coco.samples[1].coco_id = 71;
  CHECK(contains(refusal(R"([{"image_id": 72, "bbox": [1, 2, 3, 4], "score": 1}])", coco),
                 "the image 72, which the data lacks"));
}

TEST_CASE("proposals: a written file holds the best boxes of the RPN, in pixels of the image") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 3);
  Dataset data = read_split(find_data(folder / "data"), "train");
  ModelConfig config = tiny_model();  // 50 in training, 20 in detection
  FasterRcnn model(config, static_cast<int64_t>(data.classes.size()), Init(3));
  Context ctx;
  std::vector<Fault> faults;
  const ProposalCounts counts = write_proposals(ctx, model, data, 0, folder / "p.json", faults);
  CHECK(faults.empty());
  CHECK(counts.images == 3);
  CHECK(counts.objects == static_cast<int64_t>(count_boxes(data)));
  CHECK(model.config.rpn_post_nms_top_n_test == 20);
  read_proposals(folder / "p.json", data);

  // The trace of detect_image gets the same boxes by another path.
  model.config.rpn_pre_nms_top_n_test = model.config.rpn_post_nms_top_n_test = 50;
  int64_t boxes = 0;
  for (const Sample& sample : data.samples) {
    Trace trace;
    detect_image(ctx, model, read_image(sample.image), 0, &trace);
    boxes += std::ssize(*sample.proposals);
    REQUIRE(sample.proposals->size() == trace.proposals.size());
    CHECK(trace.proposals.size() > 20);
    size_t same = 0;  // the scores are rounded, so boxes with nearly equal scores may be swapped
    for (const Box& box : *sample.proposals)
      same += std::any_of(trace.proposals.begin(), trace.proposals.end(), [&](const Box& other) {
        return std::abs(box.x1 - other.x1) <= 0.02f && std::abs(box.y1 - other.y1) <= 0.02f &&
               std::abs(box.x2 - other.x2) <= 0.02f && std::abs(box.y2 - other.y2) <= 0.02f;
      });
    CHECK(same == sample.proposals->size());
  }
  CHECK(boxes == counts.boxes);

  // The head uses the given proposals; an empty list gives no detections.
  Trace trace;
  const std::vector<Box> given = {{8, 16, 40, 56}};
  detect_image(ctx, model, read_image(data.samples[0].image), 0, &trace, &given);
  REQUIRE(trace.proposals.size() == 1);
  CHECK(std::abs(trace.proposals[0].x2 - 40) <= 1e-3f);
  CHECK(std::abs(trace.proposals[0].y1 - 16) <= 1e-3f);
  const std::vector<Box> none;
  CHECK(detect_image(ctx, model, read_image(data.samples[0].image), 0, &trace, &none).empty());
  CHECK(trace.proposals.empty());
}

TEST_CASE("proposals: an image that cannot be decoded gets no proposals and is reported") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 2);
  write_broken_split(folder / "data", "broken");
  Dataset data = read_split(find_data(folder / "data"), "train");
  const Dataset broken = read_split(find_data(folder / "data"), "broken", data.classes);
  data.samples.insert(data.samples.begin(), broken.samples.front());
  FasterRcnn model(tiny_model(), static_cast<int64_t>(data.classes.size()), Init(3));
  Context ctx;
  std::vector<Fault> faults;
  CHECK(write_proposals(ctx, model, data, 2, folder / "p.json", faults).images == 2);
  CHECK(faults.size() == 1);
  read_proposals(folder / "p.json", data);
  CHECK(data.samples[0].proposals.value().empty());
  CHECK_FALSE(data.samples[1].proposals.value().empty());
}
