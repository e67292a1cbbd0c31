// What the lessons of docs/course/ look at, one lesson per call:
//
//     make build/release/examples/course && build/release/examples/course 3
//
// Each lesson is a function of this file, in the order of the course, and calls the ops and layers that train
// the detector. The lessons 4 and 5 look at other programs.
#include <fmt/format.h>

#include <cstdio>
#include <string_view>
#include <utility>

#include "core/autograd.h"
#include "eval/average_precision.h"
#include "kernels/boxes/box_math.h"
#include "layers/boxes.h"
#include "layers/conv2d.h"
#include "layers/linear.h"
#include "layers/roi_align.h"
#include "layers/sigmoid_cross_entropy.h"
#include "layers/smooth_l1.h"

using namespace rcnn;

namespace {

/// The rows of a matrix, or of one channel of a map.
void print_rows(const char* name, const Tensor& tensor, int64_t rows, int64_t columns) {
  const auto values = tensor.values<float>();
  fmt::print("{}\n", name);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; ++column)
      fmt::print("{:7.2f}", values[static_cast<size_t>(row * columns + column)]);
    fmt::print("\n");
  }
}

void tensor() {
  const Tensor map = Tensor::of<float>({1, 2, 3, 2}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  fmt::print("shape {}, {} elements, {} bytes\n", map.shape().str(), map.numel(), map.bytes());
  const int64_t y = 1, x = 2, c = 0, w = map.dim(2), channels = map.dim(3);
  const int64_t index = (y * w + x) * channels + c;
  fmt::print("the element of row {}, column {}, channel {} is number {}: {}\n", y, x, c, index,
             map.values<float>()[static_cast<size_t>(index)]);

  const Tensor pixels = map.reshape({6, 2}), last_row = pixels.slice(3, 6);
  fmt::print("reshaped {}, its rows 3 to 5 {}\n", pixels.shape().str(), last_row.shape().str());
  last_row.clone().fill(-1);
  fmt::print("a clone was filled:  the map ends with {}\n", map.values<float>()[11]);
  last_row.fill(-1);
  fmt::print("a slice was filled:  the map ends with {}\n", map.values<float>()[11]);
}

void autograd() {
  Context ctx;
  ctx.grad = true;
  // One neuron, y = w x + b, that should give 1 for x = (2, -1): the loss is smooth L1 with beta 0.1.
  const Var w = Var::parameter(Tensor::of<float>({4, 2}, {0.5f, 0.25f, 0, 0, 0, 0, 0, 0}));
  const Var b = Var::parameter(Tensor::zeros({4}, DType::f32));
  const Var x(Tensor::of<float>({1, 2}, {2, -1}));
  const Tensor target = Tensor::of<float>({1, 1, 4}, {1, 0, 0, 0}), label = Tensor::of<int32_t>({1, 1}, {1});
  fmt::print("{:>5}{:>9}{:>9}{:>9}{:>9}{:>9}\n", "step", "y", "loss", "dL/dw0", "dL/dw1", "dL/db");
  for (int step = 0; step < 4; ++step) {
    const Var y = linear(ctx, x, w, b);
    const Var loss = smooth_l1(ctx, {y}, 1, target, label, 0.1f);
    w.clear_gradient(), b.clear_gradient();
    backward(ctx, loss);
    const auto dw = w.gradient().values<float>(), db = b.gradient().values<float>();
    fmt::print("{:5}{:9.4f}{:9.4f}{:9.4f}{:9.4f}{:9.4f}\n", step, y.value().values<float>()[0],
               loss.value().item<float>(), dw[0], dw[1], db[0]);
    Tensor weights = w.value(), bias = b.value();  // the same memory
    for (size_t i = 0; i < 2; ++i) weights.mutable_values<float>()[i] -= 0.05f * dw[i];
    bias.mutable_values<float>()[0] -= 0.05f * db[0];
  }
}

void convolution() {
  Context ctx;
  // A bright square on a dark image, and a filter that answers where brightness grows to the right.
  Tensor image = Tensor::zeros({1, 6, 6, 1}, DType::f32);
  for (int64_t y = 2; y < 5; ++y)
    for (int64_t x = 2; x < 5; ++x) image.mutable_values<float>()[static_cast<size_t>(y * 6 + x)] = 1;
  const Var filter(Tensor::of<float>({1, 3, 3, 1}, {-1, 0, 1, -1, 0, 1, -1, 0, 1}));
  print_rows("image (1, 6, 6, 1)", image, 6, 6);
  const Tensor answer = conv2d(ctx, image, filter, {.pad = 1}).value();
  print_rows("filter (1, 3, 3, 1), stride 1, pad 1: (1, 6, 6, 1)", answer, 6, 6);
  const Tensor rectified = conv2d(ctx, image, filter, {.stride = 2, .pad = 1},
                                  {.scale = {}, .bias = {}, .residual = {}, .relu = true})
                               .value();
  print_rows("the same with stride 2 and ReLU: (1, 3, 3, 1)", rectified, 3, 3);
}

void rpn_losses() {
  Context ctx;
  ctx.grad = true;
  // Four anchors of one image: an object, two of background, and one that was not sampled.
  const Tensor labels = Tensor::of<int32_t>({1, 4}, {1, 0, 0, -1});
  const Var logits = Var::parameter(Tensor::of<float>({1, 4}, {2, -1, 3, 5}));
  const Tensor targets = Tensor::of<float>({1, 4, 4}, {0.1f, 0, 0, 0.5f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  const Var deltas = Var::parameter(Tensor::zeros({1, 4, 4}, DType::f32));
  const Var objectness = sigmoid_cross_entropy(ctx, {logits}, labels);
  const Var box = smooth_l1(ctx, {deltas}, 1, targets, labels, 1.0f / 9);
  backward(ctx, objectness);
  backward(ctx, box);
  fmt::print("{:>7}{:>7}{:>8}{:>10}{:>24}\n", "anchor", "label", "logit", "gradient",
             "gradient of dx and dh");
  for (int64_t i = 0; i < 4; ++i) {
    const auto at = static_cast<size_t>(i);
    const auto of_deltas = deltas.gradient().values<float>();
    fmt::print("{:7}{:7}{:8.1f}{:10.4f}{:12.4f}{:12.4f}\n", i, labels.values<int32_t>()[at],
               logits.value().values<float>()[at], logits.gradient().values<float>()[at], of_deltas[at * 4],
               of_deltas[at * 4 + 3]);
  }
  fmt::print("loss of objectness {:.4f}, of boxes {:.4f}\n", objectness.value().item<float>(),
             box.value().item<float>());
}

void roi_align_lesson() {
  Context ctx;
  // A map of 4 x 4 cells of 16 pixels whose value is the number of the column.
  Tensor map = Tensor::empty({1, 4, 4, 1}, DType::f32);
  for (size_t i = 0; i < 16; ++i) map.mutable_values<float>()[i] = static_cast<float>(i % 4);
  print_rows("map (1, 4, 4, 1), stride 16", map, 4, 4);
  const RoiAlignConfig config{.height = 2, .width = 2, .sampling = 2, .scales = {1.0f / 16}};
  for (const float shift : {0.0f, 8.0f, 16.0f}) {
    const Tensor roi = Tensor::of<float>({1, 1, 4}, {shift, 0, shift + 32, 32});
    const Tensor pooled = roi_align(ctx, {Var(map)}, roi, {}, config).value();
    print_rows(fmt::format("RoI ({}, 0, {}, 32): (1, 2, 2, 1)", shift, shift + 32).c_str(), pooled, 2, 2);
  }
}

void nms_and_evaluation() {
  Context ctx;
  const std::vector<Detection> all = {{0, 1, 0.9f, {10, 10, 50, 50}},
                                      {0, 1, 0.8f, {12, 10, 52, 50}},
                                      {0, 1, 0.7f, {60, 60, 90, 90}},
                                      {0, 1, 0.6f, {100, 10, 130, 40}}};
  Candidates boxes{Tensor::empty({1, 4, 4}, DType::f32), Tensor::empty({1, 4}, DType::f32),
                   Tensor::zeros({1, 4}, DType::i32)};
  for (size_t i = 0; i < all.size(); ++i) {
    kernels::store_box(boxes.boxes.mutable_data<float>() + 4 * i, all[i].box);
    boxes.scores.mutable_values<float>()[i] = all[i].score;
  }
  fmt::print("IoU of the boxes 0 and 1: {:.4f}\n", kernels::iou(all[0].box, all[1].box));
  Dataset data;  // two objects, of which the boxes 0 and 3 are right
  data.classes = {"cat"};
  data.samples.emplace_back();
  data.samples[0].objects = {{{10, 10, 50, 50}, 1}, {{100, 10, 130, 42}, 1}};
  for (const float threshold : {0.5f, 0.95f}) {
    const KeptRows kept = nms(ctx, boxes, {.threshold = threshold, .max_boxes = 4});
    std::vector<Detection> found;
    fmt::print("\nNMS with threshold {} keeps", threshold);
    for (int32_t i = 0; i < kept.count.values<int32_t>()[0]; ++i) {
      const int32_t row = kept.rows.values<int32_t>()[static_cast<size_t>(i)];
      fmt::print(" {}", row);
      found.push_back(all[static_cast<size_t>(row)]);
    }
    const ClassResult result = evaluate_voc(found, data).classes[0];
    fmt::print("\n{:>7}{:>11}{:>8}\n", "score", "precision", "recall");
    for (size_t i = 0; i < result.score.size(); ++i)
      fmt::print("{:7.1f}{:11.4f}{:8.1f}\n", result.score[i], result.precision[i], result.recall[i]);
    fmt::print("average precision {:.4f}\n", result.ap_area);
  }
}

}  // namespace

int main(int argc, char** argv) {
  constexpr std::pair<std::string_view, void (*)()> kLessons[] = {
      {"1", tensor},     {"2", autograd},         {"3", convolution},
      {"6", rpn_losses}, {"7", roi_align_lesson}, {"8", nms_and_evaluation}};
  for (const auto& [number, lesson] : kLessons)
    if (argc == 2 && number == argv[1]) {
      lesson();
      return 0;
    }
  fmt::print(stderr,
             "course: expected the number of a lesson: 1, 2, 3, 6, 7 or 8; lessons 4 and 5 have commands of "
             "their own (docs/course/README.md)\n");
  return 2;
}
