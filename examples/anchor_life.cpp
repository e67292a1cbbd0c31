// One anchor's life: from its place on the image over matching, targets, sampling and losses to a decoded
// box. docs/anchors.md explains the output.
//
//     make build/release/examples/anchor_life && build/release/examples/anchor_life
//
// Everything is computed by the ops, formulas and layers that train the region proposal network.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/boxes/box_math.h"
#include "layers/box_targets.h"
#include "layers/boxes.h"
#include "layers/sigmoid_cross_entropy.h"
#include "layers/smooth_l1.h"

using namespace rcnn;
using namespace rcnn::kernels;  // Box, iou, encode and decode

namespace {

constexpr int kHeight = 240, kWidth = 320, kStride = 16;  // pixels
constexpr int kRows = kHeight / kStride, kColumns = kWidth / kStride;
constexpr int64_t kBatch = 64;               // anchors sampled per image
constexpr float kBeta = 1.0f / 9;            // where smooth L1 changes from a parabola to a line
constexpr float kWeights[4] = {1, 1, 1, 1};  // of the four deltas
constexpr const char* kNames[] = {"cat", "dog"};
const std::vector<float> kObjects = {74, 94, 174, 158, 150, 66, 202, 166};

std::string text(const Box& box) {
  return fmt::format("({:.1f}, {:.1f}, {:.1f}, {:.1f})", box.x1, box.y1, box.x2, box.y2);
}
std::string text(const float* deltas) {
  return fmt::format("{:7.4f} {:7.4f} {:7.4f} {:7.4f}", deltas[0], deltas[1], deltas[2], deltas[3]);
}
Box object(int64_t i) { return load_box(kObjects.data() + 4 * i); }

/// The objects as a batch of one image.
GroundTruth ground_truth() {
  return {.boxes = Tensor::of<float>({1, 2, 4}, std::span<const float>(kObjects)),
          .labels = Tensor::of<int32_t>({1, 2}, {1, 2}),
          .count = Tensor::of<int32_t>({1}, {2}),
          .image_id = Tensor::of<int32_t>({1}, {0})};
}

int64_t count_of(const Tensor& tensor, int32_t value) {
  const auto values = tensor.values<int32_t>();
  return std::count(values.begin(), values.end(), value);
}

void show_matching(const Tensor& anchors, int64_t own, const Tensor& plain, const Tensor& promoted) {
  const auto overlap = [&](int64_t row, int64_t i) {
    return iou(load_box(anchors.data<float>() + 4 * row), object(i));
  };
  fmt::print("{:20}{:>8}{:>8}\n", "", kNames[0], kNames[1]);
  fmt::print("{:20}{:8.4f}{:8.4f}\n", "IoU of our anchor", overlap(own, 0), overlap(own, 1));
  float best[2] = {0, 0};
  int64_t high[2] = {0, 0};
  for (int64_t row = 0; row < anchors.dim(0); ++row)
    for (int64_t i = 0; i < 2; ++i) {
      best[i] = std::max(best[i], overlap(row, i));
      high[i] += overlap(row, i) >= 0.7f;
    }
  fmt::print("{:20}{:8.4f}{:8.4f}\n", "best of all anchors", best[0], best[1]);
  fmt::print("{:20}{:8}{:8}\n\n", "anchors of IoU .7", high[0], high[1]);
  fmt::print("{:20}{:>8}{:>8}{:>12}{:>9}{:>12}\n", "anchors matched with", kNames[0], kNames[1], "background",
             "ignored", "our anchor");
  for (const bool best_too : {false, true}) {
    const Tensor& matched = best_too ? promoted : plain;
    const int32_t result = matched.data<int32_t>()[own];
    fmt::print("{:20}{:8}{:8}{:12}{:9}{:>12}\n", best_too ? "and the best ones" : "by the thresholds",
               count_of(matched, 0), count_of(matched, 1), count_of(matched, -1), count_of(matched, -2),
               result >= 0    ? kNames[result]
               : result == -1 ? "background"
                              : "ignored");
  }
}

void show_deltas(const Box& anchor, const Box& goal, const float* deltas) {
  const auto print = [](const char* name, const Box& box) {
    fmt::print("{:8}centre ({:.1f}, {:.1f}), {:.1f} wide, {:.1f} high\n", name, (box.x1 + box.x2) / 2,
               (box.y1 + box.y2) / 2, box.x2 - box.x1, box.y2 - box.y1);
  };
  print("anchor", anchor);
  print("cat", goal);
  fmt::print("\n{:32}{:>7} {:>7} {:>7} {:>7}\n", "", "dx", "dy", "dw", "dh");
  fmt::print("{:32}{}\n", "deltas", text(deltas));
  const auto scaled = [](const Box& b, float s) { return Box{s * b.x1, s * b.y1, s * b.x2, s * b.y2}; };
  float other[4];
  encode(scaled(anchor, 2), scaled(goal, 2), kWeights, other);
  fmt::print("{:32}{}\n", "everything twice as large", text(other));
  const float w = anchor.x2 - anchor.x1;
  for (const float factor : {0.5f, 1.0f, 2.0f}) {
    const Box resized{anchor.x1, anchor.y1, anchor.x1 + factor * w, anchor.y2};
    encode(anchor, resized, kWeights, other);
    fmt::print("{:32}{}\n", fmt::format("anchor, to {:.1f} times its width", factor), text(other));
  }
}

/// The losses of an untrained network, which answers 0 everywhere, and what they say about our anchor.
void show_losses(Context& ctx, int64_t own, const Tensor& labels, const Tensor& deltas) {
  ctx.grad = true;
  const Var logits = Var::parameter(ctx.zeros(labels.shape()));
  const Var predicted = Var::parameter(ctx.zeros(deltas.shape()));
  const Var objectness = sigmoid_cross_entropy(ctx, {logits}, labels);
  const Var box = smooth_l1(ctx, {predicted}, 1, deltas, labels, kBeta);
  backward(ctx, objectness);
  backward(ctx, box);
  // The same losses with our anchor as the only one: the divisor, the number of sampled anchors, is then 1.
  const Tensor label = Tensor::of<int32_t>({1, 1}, {1});
  const Tensor target = deltas.reshape({-1, 4}).slice(own, own + 1);
  const Var own_objectness = sigmoid_cross_entropy(ctx, {ctx.zeros({1, 1})}, label);
  const Var own_box = smooth_l1(ctx, {ctx.zeros({1, 1, 4})}, 1, target, label, kBeta);

  fmt::print("{:12}{:>12}{:>18}{:>12}\n", "", "our anchor", "share of the loss", "whole loss");
  const auto print = [](const char* name, const Var& of_anchor, const Var& whole) {
    const float loss = of_anchor.value().item<float>();
    fmt::print("{:12}{:12.4f}{:18.4f}{:12.4f}\n", name, loss, loss / static_cast<float>(kBatch),
               whole.value().item<float>());
  };
  print("objectness", own_objectness, objectness);
  print("box", own_box, box);
  fmt::print("\ngradient of our anchor's logit   {:7.4f}\n", logits.gradient().data<float>()[own]);
  fmt::print("gradient of its four deltas      {}\n", text(predicted.gradient().data<float>() + 4 * own));
}

void show_decoding(const Box& anchor, const float* deltas) {
  for (const float part : {0.0f, 0.5f, 1.0f}) {
    float predicted[4];
    std::transform(deltas, deltas + 4, predicted, [&](float delta) { return part * delta; });
    const Box box = decode(anchor, predicted, kWeights);
    fmt::print("{:.1f} of the deltas   {}   IoU with the cat {:.4f}\n", part, text(box), iou(box, object(0)));
  }
}

}  // namespace

int main() {
  Context ctx;
  const Tensor anchors = make_anchors(
      ctx, {{.h = kRows,
             .w = kColumns,
             .stride_y = kStride,
             .stride_x = kStride,
             .cell_anchors = cell_anchors(std::vector<float>{64}, std::vector<float>{0.5f, 1, 2})}});
  const GroundTruth truth = ground_truth();
  const Tensor plain = match(ctx, anchors, {}, truth, {.high = 0.7f, .low = 0.3f});
  const Tensor promoted = match(ctx, anchors, {}, truth, {.high = 0.7f, .low = 0.3f, .promote_best = true});
  // Our anchor: the first one that is matched with the cat only because no other overlaps the cat more.
  int64_t own = 0;
  while (!(promoted.data<int32_t>()[own] == 0 && plain.data<int32_t>()[own] != 0)) ++own;
  const Box anchor = load_box(anchors.data<float>() + 4 * own);

  fmt::print("image       {} x {}, stride {}: {} x {} cells, {} anchors\n", kWidth, kHeight, kStride,
             kColumns, kRows, anchors.dim(0));
  for (int64_t i = 0; i < 2; ++i) fmt::print("{:12}{}\n", kNames[i], text(object(i)));
  fmt::print("our anchor  {}, number {}, of cell ({}, {})\n\n", text(anchor), own, own / 3 % kColumns,
             own / 3 / kColumns);
  show_matching(anchors, own, plain, promoted);

  const Tensor deltas = box_deltas(ctx, anchors, promoted, truth, {});
  const float* own_deltas = deltas.data<float>() + 4 * own;
  fmt::print("\n");
  show_deltas(anchor, object(0), own_deltas);

  const Tensor labels = sample_labels(ctx, promoted, truth, {.max_rows = kBatch, .positive_fraction = 0.5f});
  fmt::print("\nsampled: {} positives, {} of background; label of our anchor {}\n\n", count_of(labels, 1),
             count_of(labels, 0), labels.data<int32_t>()[own]);
  show_losses(ctx, own, labels, deltas);
  fmt::print("\n");
  show_decoding(anchor, own_deltas);
  return 0;
}
