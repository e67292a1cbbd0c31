// The biographies of objects: every fate is planted and read back, and agrees with the diagnosis.
#include "eval/biography.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "eval/image_findings.h"
#include "tests/eval/diagnosis_fixtures.h"
#include "tests/models/models.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

/// Stages made by hand: one level of anchors, boxes in pixels of the image.
struct Planted {
  Stages stages;
  ModelConfig config;
  std::vector<Object> objects;
  std::vector<float> thresholds = {0.5f, 0.5f};

  Planted() {
    stages.classes = 3;
    stages.levels = {{.h = 1, .w = 0, .per_cell = 1, .first = 0, .stride = 8}};
    config.rpn_pre_nms_top_n_test = 4;
  }
  /// An object with an anchor on it that the network moves to `predicted`. Returns the anchor.
  int object(const Box& box, const Box& predicted, int label = kCat) {
    objects.push_back({box, label});
    return anchor(box, predicted);
  }
  int anchor(const Box& at, const Box& predicted) {
    const auto index = static_cast<int>(stages.anchors.size());
    stages.anchors.push_back(at);
    stages.seen_anchors.push_back(at);
    stages.predicted.push_back(predicted);
    stages.objectness.push_back(0);
    stages.rank.push_back(index);
    ++stages.levels[0].w;
    return index;
  }
  /// The anchor's box in the list before the RPN's NMS. Returns its row.
  int proposed(int anchor, bool used = true) {
    const Box box = stages.predicted[static_cast<size_t>(anchor)];
    stages.proposed.push_back({used ? box : Box{}, used ? box : Box{}, 0, used ? 0 : -1, anchor});
    return static_cast<int>(stages.proposed.size()) - 1;
  }
  /// The same, kept by NMS. Returns the proposal.
  int proposal(int anchor, float cat = 0.01f, float dog = 0.01f) {
    const int row = proposed(anchor);
    const auto place = static_cast<int>(stages.proposals.size());
    stages.proposed[static_cast<size_t>(row)].place = place;
    stages.proposals.push_back(row);
    for (const float p : {1 - cat - dog, cat, dog}) stages.probabilities.push_back(p);
    return place;
  }
  /// A box that the head made of the proposal. Returns its row.
  int classified(int proposal, const Box& box, int label, float score) {
    stages.classified.push_back({box, box, score, label, proposal});
    return static_cast<int>(stages.classified.size()) - 1;
  }
  /// The same, kept by NMS.
  int detection(int proposal, const Box& box, int label, float score) {
    const int row = classified(proposal, box, label, score);
    stages.classified[static_cast<size_t>(row)].place = static_cast<int>(stages.detections.size());
    stages.detections.push_back(row);
    return row;
  }
  Biographies tell() const { return tell_biographies(stages, config, objects, {"cat", "dog"}, thresholds); }
  /// The only object's story, whose cause must be that of the diagnosis.
  ObjectStory story() const {
    const ObjectStory story = tell().objects.at(0);
    const std::vector<Detection> all = detections_of(stages);
    const Dataset data = dataset_of({objects});
    const auto missed = find_errors(all, {trace_of(stages)}, data, thresholds).at(0).missed;
    const bool counts = story.fate != Fate::found && story.fate != Fate::not_counted;
    if (counts) {
      REQUIRE(!missed.empty());
      CHECK(missed[0].object == 0);
      CHECK(missed[0].cause == cause_of(story.fate));
      CHECK_FALSE(setting_for(story.fate).empty());
    } else {
      CHECK((missed.empty() || missed[0].object != 0));
    }
    return story;
  }
};

const Box kHere = cell(0), kAside{5, 0, 15, 10};  // their IoU is 1/3

}  // namespace

TEST_CASE("biography: found") {
  Planted p;
  p.detection(p.proposal(p.object(kHere, kHere)), {0, 0, 10, 8}, kCat, 0.93f);
  const ObjectStory story = p.story();
  CHECK(story.fate == Fate::found);
  CHECK(story.sentence ==
        "object 1 (cat, 10x10 px of the photograph): best anchor IoU 1.00 on C3; found by detection 1 (cat "
        ".93), IoU .80");
  const DetectionStory detection = p.tell().detections.at(0);
  CHECK(detection.shown);
  CHECK(detection.verdict == "IoU .80 with object 1");
}

TEST_CASE("biography: no box came close") {
  Planted p;
  p.object(kHere, kAside);
  const ObjectStory story = p.story();
  CHECK(story.fate == Fate::no_box);
  CHECK(
      story.sentence.ends_with("the box that comes closest, from an anchor on C3, overlaps it by .33 only"));
}

TEST_CASE("biography: below the top k of its level") {
  Planted p;
  for (int i = 1; i < 8; ++i) p.anchor(cell(i), cell(i));
  p.object(kHere, kHere);
  const ObjectStory story = p.story();
  CHECK(story.fate == Fate::below_top_k);
  CHECK(story.sentence.ends_with("its best box ranks 8 of 8 on C3, of which the first 4 go on: lost there"));
  CHECK(setting_for(story.fate) == "--rpn-pre-nms-top-n-test");
}

TEST_CASE("biography: left out before the RPN's NMS, or lost in it, or after the last proposal") {
  Planted left_out;
  left_out.proposed(left_out.object(kHere, kHere), false);
  CHECK(left_out.story().fate == Fate::left_out);

  Planted suppressed;
  const int row = suppressed.proposed(suppressed.object(kHere, kHere));
  const int killer = suppressed.proposal(suppressed.anchor(kAside, kAside));
  suppressed.stages.proposed[static_cast<size_t>(row)].killer =
      suppressed.stages.proposals[static_cast<size_t>(killer)];
  suppressed.stages.proposed[static_cast<size_t>(row)].killer_overlap = 0.75f;
  const ObjectStory story = suppressed.story();
  CHECK(story.fate == Fate::lost_in_rpn_nms);
  CHECK(story.sentence.find(
            "suppressed by proposal 1 of the same level (C3), with which its IoU is .75 > .70, and "
            "which overlaps the object by .33 only") != std::string::npos);

  Planted over;
  over.proposed(over.object(kHere, kHere));
  CHECK(over.story().fate == Fate::over_proposals);
}

TEST_CASE("biography: low score, of a detection or of a proposal that the head did not believe") {
  Planted below;
  below.detection(below.proposal(below.object(kHere, kHere), 0.3f), kHere, kCat, 0.3f);
  const ObjectStory story = below.story();
  CHECK(story.fate == Fate::low_score);
  CHECK(story.sentence.ends_with(
      "the head gave its best box cat .30 (IoU 1.00), below the confidence threshold .50"));
  CHECK_FALSE(below.tell().detections.at(0).shown);

  Planted dropped;
  dropped.proposal(dropped.object(kHere, kHere), 0.04f, 0.01f);
  const ObjectStory other = dropped.story();
  CHECK(other.fate == Fate::dropped);
  CHECK(name_of(other.fate) == "dropped by the head");
  CHECK(setting_for(other.fate) == "--box-score-thresh");  // --score cannot bring back what the head dropped
  CHECK(is_of_training(other.fate));
  CHECK_FALSE(is_of_training(Fate::low_score));
  CHECK_FALSE(is_of_training(Fate::found));
  CHECK(other.sentence.ends_with(
      "proposal 1 covers it (IoU 1.00), but the head called that cat .04 and background .95; "
      "boxes of .05 or less are dropped"));
}

TEST_CASE("biography: lost in NMS to the detection of its neighbour, or after the last detection") {
  Planted p;
  const Box neighbour{3, 0, 13, 10};  // the IoU of the two is 70 / 130
  const int mine = p.classified(p.proposal(p.object(kHere, kHere)), kHere, kCat, 0.8f);
  const int other = p.detection(p.proposal(p.object(neighbour, neighbour)), neighbour, kCat, 0.9f);
  p.stages.classified[static_cast<size_t>(mine)].killer = other;
  p.stages.classified[static_cast<size_t>(mine)].killer_overlap = 70.0f / 130;
  const ObjectStory story = p.story();
  CHECK(story.fate == Fate::lost_in_nms);
  CHECK(story.sentence.ends_with(
      "its box scored cat .80 but was suppressed by detection 1 (cat .90), with which its IoU is .54 > .50"));
  CHECK(p.tell().objects.at(1).fate == Fate::found);
  CHECK(p.tell().detections.at(0).suppressed == 1);

  p.stages.classified[static_cast<size_t>(mine)].killer = -1;
  CHECK(p.story().fate == Fate::over_detections);
}

TEST_CASE("biography: wrong class, poorly placed, and objects that do not count") {
  Planted wrong;
  wrong.detection(wrong.proposal(wrong.object(kHere, kHere), 0.33f, 0.61f), kHere, kDog, 0.61f);
  const ObjectStory story = wrong.story();
  CHECK(story.fate == Fate::wrong_class);
  CHECK(story.sentence.find("classified as dog .61, with cat .33") != std::string::npos);
  CHECK(wrong.tell().detections.at(0).verdict == "false positive: wrong class");

  Planted aside;
  aside.detection(aside.proposal(aside.object(kHere, kHere)), kAside, kCat, 0.8f);
  CHECK(aside.story().fate == Fate::poorly_placed);
  CHECK(aside.tell().detections.at(0).verdict == "false positive: poorly placed");

  Planted difficult;
  difficult.object(kHere, kHere);
  difficult.objects[0].difficult = true;
  CHECK(difficult.story().fate == Fate::not_counted);
}

TEST_CASE("biography: found below the confidence threshold, while another class is shown on the object") {
  // The diagnosis counts it as wrong class, because that is what is shown; the threshold could change it.
  Planted p;
  const int here = p.proposal(p.object(kHere, kHere), 0.2f, 0.73f);
  const int again = p.proposal(p.anchor(kHere, kHere), 0.451f);
  p.detection(here, {0, 0, 10, 8}, kDog, 0.73f);
  p.detection(again, {0, 0, 10, 9}, kCat, 0.4996f);
  const ObjectStory story = p.story();
  CHECK(story.fate == Fate::wrong_class);
  CHECK(story.detection == 0);
  CHECK(story.below == 1);
  CHECK(story.sentence.ends_with(
      "; found as cat .4996 by detection 2 (IoU .90), below the confidence threshold .5000; shown on it, "
      "with an IoU of .80, is detection 1 (dog .73)"));
  CHECK(setting_for(story) == "--score");
  CHECK_FALSE(is_of_training(story));
  p.thresholds = {0.45f, 0.5f};
  CHECK(p.story().fate == Fate::found);
  CHECK(p.story().below == -1);
  CHECK(setting_for(p.story()).empty());

  // A box of its class that lies elsewhere would not find it.
  Planted aside;
  aside.detection(aside.proposal(aside.object(kHere, kHere), 0.3f, 0.6f), kHere, kDog, 0.6f);
  aside.detection(aside.proposal(aside.anchor(kAside, kAside), 0.3f), kAside, kCat, 0.3f);
  CHECK(aside.story().below == -1);
  CHECK(setting_for(aside.story()) == "--epochs");
}

TEST_CASE("biography: a detection that is taken for an object of another class is not that of one nearby") {
  // The dog's detection is called a cat; it also touches the cat, whose own box scores too little.
  Planted p;
  const Box dog{5.5f, 0, 15.5f, 10}, found{5, 0, 15, 10};
  const int mine = p.proposal(p.object(kHere, kHere), 0.2f);
  const int other = p.proposal(p.object(dog, found, kDog), 0.8f, 0.1f);
  p.detection(other, found, kCat, 0.8f);
  p.detection(mine, kHere, kCat, 0.2f);
  const Biographies told = p.tell();
  CHECK(told.objects.at(1).fate == Fate::wrong_class);
  CHECK(told.objects.at(1).detection == 0);
  CHECK(told.objects.at(0).fate == Fate::low_score);
  CHECK(told.objects.at(0).sentence.ends_with(
      "the head gave its best box cat .20 (IoU 1.00), below the confidence threshold .50"));
}

TEST_CASE("biography: numbers that are compared differ in what is shown of them") {
  CHECK(share(0.5) == ".50");
  CHECK(share(0.1234, 3) == ".123");
  CHECK(compared(0.598, 0.6).a == ".598");
  CHECK(compared(0.598, 0.6).b == ".600");
  CHECK(compared(0.59, 0.6).a == ".59");
  CHECK(compared(0.5, 0.5).a == ".50");
  CHECK(compared(0.49997, 0.5).a == ".49997");
  Planted p;
  p.detection(p.proposal(p.object(kHere, kHere), 0.498f), kHere, kCat, 0.498f);
  CHECK(p.story().sentence.ends_with("best box cat .498 (IoU 1.00), below the confidence threshold .500"));
  CHECK(p.tell().detections.at(0).sentence.ends_with("; .498 is below the confidence threshold .500"));
}

TEST_CASE("biography: without ground truth, only detections have stories") {
  Planted p;
  p.detection(p.proposal(p.anchor(kHere, kHere), 0.9f), kHere, kCat, 0.9f);
  const Biographies told = tell_biographies(p.stages, p.config, {}, {"cat", "dog"}, p.thresholds, false);
  CHECK(told.objects.empty());
  REQUIRE(told.detections.size() == 1);
  CHECK(told.detections[0].verdict.empty());
}

TEST_CASE("stages: the killer of a box is the best kept one of its group that overlaps it too much") {
  // In the order of scores: a is kept; b overlaps a by 8/12; c is of another group; d overlaps b, not a.
  std::vector<StageBox> boxes(5);
  const Box places[] = {{0, 0, 10, 10}, {2, 0, 12, 10}, {2, 0, 12, 10}, {6, 0, 16, 10}, {0, 0, 10, 10}};
  const int groups[] = {0, 0, 1, 0, -1};
  for (size_t i = 0; i < 5; ++i) {
    boxes[i].box = places[i];
    boxes[i].group = groups[i];
    boxes[i].score = 5 - static_cast<float>(i);
  }
  CHECK(mark_killers(boxes, {0, 2, 3}, 0.5f, 0) == 0);
  CHECK(boxes[0].place == 0);
  CHECK(boxes[1].killer == 0);
  CHECK(boxes[1].killer_overlap == 80.0f / 120);
  CHECK(boxes[2].place == 1);
  CHECK(boxes[3].place == 2);
  CHECK(boxes[4].killer == -1);  // it was not used
  for (StageBox& box : boxes) box.place = box.killer = -1;
  CHECK(mark_killers(boxes, {0}, 0.5f, 0) == 2);  // c and d came after the last one wanted
}

TEST_CASE("stages: read from a detection, they agree with what the diagnosis is given") {
  FasterRcnn model = small_model("nano-fpn", "group", 3);
  const Image image = smooth_image(96, 72);
  Context ctx;
  Trace expected;
  const std::vector<Detection> found = detect_image(ctx, model, image, 0, &expected);
  const Stages stages = detect_stages(ctx, model, image);
  const auto same = [](const std::vector<Detection>& a, const std::vector<Detection>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Detection& x, const Detection& y) {
      return x.label == y.label && x.score == y.score && x.box == y.box;
    });
  };
  CHECK_FALSE(found.empty());
  CHECK(same(detections_of(stages), found));
  CHECK(trace_of(stages).proposals == expected.proposals);
  CHECK(same(trace_of(stages).before_nms, expected.before_nms));
  // Where each anchor was moved is where the RPN moved those that it chose, and their ranks are its order.
  int suppressed = 0;
  for (const StageBox& box : stages.proposed) {
    if (!box.used()) continue;
    CHECK(box.seen == stages.predicted[static_cast<size_t>(box.source)]);
    CHECK(stages.rank[static_cast<size_t>(box.source)] < model.config.rpn_pre_nms_top_n_test);
    CHECK(static_cast<size_t>(box.group) == stages.level_of(box.source));
    suppressed += box.killer >= 0;
  }
  CHECK(suppressed > 0);
}
