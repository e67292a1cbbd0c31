#include "tests/parity/compare.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "layers/max_pool.h"
#include "models/faster_rcnn.h"
#include "models/weights.h"
#include "tests/parity/formula.h"
#include "train/batch.h"
#include "train/sgd.h"

namespace rcnn::parity {
namespace {

// Limits relative to the largest magnitude of a tensor.
constexpr double kForward = 1e-4, kLoss = 1e-5, kGradient = 1e-3;
// The limit of gradients that depend on rounding, because an activation is at the kink of a ReLU: see `train`
// in stages.py.
constexpr double kUnsettled = 0.05;
// Absolute limits.
constexpr double kPixels = 0.01, kScore = 1e-4;
// Limits that allow only for the rounding of stored means, which is 6e-8 for labels and 3e-6 px for anchors.
constexpr double kRows = 1e-6, kAnchors = 1e-4;

struct Comparison {
  const Expected& expected;
  bool fed;
  std::vector<Finding> found;

  std::string stage_of(const std::string& tensor) const { return tensor.substr(0, tensor.find('/')); }
  void add(const std::string& tensor, double deviation, double limit, const std::string& unit = "") {
    found.push_back({stage_of(tensor), tensor, deviation, limit, unit});
  }
  /// Compares the tensor and returns the input of the next stage: torchvision's if `fed` is set and the file
  /// has it whole, otherwise ours.
  Tensor pass(const std::string& tensor, const Tensor& ours, double limit = kForward,
              const std::string& unit = "") {
    add(tensor, expected.deviation(tensor, ours, !unit.empty()), limit, unit);
    return fed && expected.whole(tensor) ? expected.tensor(tensor) : ours;
  }
};

ModelConfig config_of(const Expected& expected) {
  ModelConfig config = model_config(expected.word("model"));
  constexpr std::string_view kPrefix = "model.";
  for (const auto& [key, value] : expected.words())
    if (key.starts_with(kPrefix))
      check_input(set_field(config, model_fields(), key.substr(kPrefix.size()), value),
                  "{}: '{}' is not a setting of a model", expected.name(), key);
  return config;
}

float number_of(const Expected& expected, const std::string& key) {
  return expected.numbers(key).at(0).at(0);
}

/// The images of the case, and their objects if it has any.
Batch batch_of(const Expected& expected) {
  Batch batch;
  int index = 0;
  for (const std::vector<float>& size : expected.numbers("images")) {
    LoadedImage image;
    image.sample = index;
    image.image = formula_image(expected.word("salt"), index, static_cast<int>(size.at(0)),
                                static_cast<int>(size.at(1)));
    if (expected.has("truth/objects")) {
      const Tensor boxes = expected.tensor("truth/objects"), labels = expected.tensor("truth/labels");
      for (int64_t i = 0; i < labels.dim(1); ++i) {
        const float* box = boxes.data<float>() + (index * labels.dim(1) + i) * 4;
        const int label = labels.data<int32_t>()[index * labels.dim(1) + i];
        image.objects.push_back({{box[0], box[1], box[2], box[3]}, label});
      }
    }
    batch.images.push_back(std::move(image));
    ++index;
  }
  return batch;
}

std::vector<Var> maps_of(Context& ctx, FasterRcnn& model, const Tensor& pixels) {
  const std::vector<Var> maps = (*model.backbone)(ctx, Var(pixels));
  return model.fpn ? (*model.fpn)(ctx, maps) : maps;
}

RpnOutput rpn_of(Context& ctx, FasterRcnn& model, std::vector<Var> levels, const Shape& pixels) {
  if (model.backbone->coarser_level) levels.push_back(max_pool(ctx, levels.back(), 1, 2, 0));
  return rpn_forward(ctx, model.rpn, model.config, levels, pixels);
}

/// Pairs the boxes, (N, R, 4), because boxes with close scores may come in either order: result[n R + i] is
/// the row of `ours` that is nearest to row i of torchvision's image n, each row being used once. Empty if
/// the shapes differ.
std::vector<int64_t> order_like(const Tensor& theirs, const Tensor& ours) {
  const int64_t n = ours.dim(0), r = ours.dim(1);
  std::vector<int64_t> order;
  if (theirs.shape() != ours.shape()) return {};
  for (int64_t i = 0; i < n; ++i) {
    std::vector<bool> used(static_cast<size_t>(r));
    for (int64_t row = 0; row < r; ++row) {
      const float* wanted = theirs.data<float>() + (i * r + row) * 4;
      int64_t best = -1;
      float nearest = std::numeric_limits<float>::infinity();
      for (int64_t other = 0; other < r; ++other) {
        const float* box = ours.data<float>() + (i * r + other) * 4;
        float distance = 0;
        for (int k = 0; k < 4; ++k) distance = std::max(distance, std::fabs(box[k] - wanted[k]));
        if (!used[static_cast<size_t>(other)] && !(distance >= nearest)) best = other, nearest = distance;
      }
      if (best < 0) return {};
      used[static_cast<size_t>(best)] = true;
      order.push_back(i * r + best);
    }
  }
  return order;
}

/// A copy of (N, R) or (N, R, 4) with the rows in this order, or unchanged if `order` is empty.
Tensor reordered(const Tensor& rows, const std::vector<int64_t>& order) {
  const Tensor result = rows.clone();
  const auto count = static_cast<int64_t>(order.size());
  for (int64_t i = 0; i < count; ++i)
    result.reshape({count, -1})
        .slice(i, i + 1)
        .copy_from(rows.reshape({count, -1})
                       .slice(order[static_cast<size_t>(i)], order[static_cast<size_t>(i)] + 1));
  return result;
}

/// A copy of the rows, (N R, ...), in which those beyond each image's count are 0. Padding rows hold the
/// head's output for a region of zeros, which is not compared.
Tensor without_padding(const Tensor& rows, const Tensor& count) {
  const Tensor copy = rows.clone();
  const int64_t n = count.dim(0), r = rows.dim(0) / n;
  for (int64_t i = 0; i < n; ++i)
    if (const int64_t used = count.values<int32_t>()[static_cast<size_t>(i)]; used < r)
      copy.slice(i * r + used, (i + 1) * r).fill(0);
  return copy;
}

void compare_detection(Comparison& run, Context& ctx, FasterRcnn& model, ImageBatch images) {
  const Shape shape = images.pixels.shape();
  images.size = run.pass("input/size", images.size, 0, "px");
  images.pixels = run.pass("input/pixels", images.pixels);
  std::vector<Var> maps = maps_of(ctx, model, images.pixels);
  for (size_t l = 0; l < maps.size(); ++l) maps[l] = run.pass(fmt::format("features/{}", l), maps[l].value());

  RpnOutput output = rpn_of(ctx, model, maps, shape);
  for (size_t l = 0; l < output.objectness.size(); ++l) {
    output.objectness[l] = run.pass(fmt::format("rpn/objectness.{}", l), output.objectness[l].value());
    output.deltas[l] = run.pass(fmt::format("rpn/deltas.{}", l), output.deltas[l].value());
  }
  output.anchors = run.pass("anchors/boxes", output.anchors, kAnchors, "px");

  Proposals proposals = rpn_proposals(ctx, model.config, output, images, nullptr);
  proposals.count = run.pass("proposals/count", proposals.count, 0, "boxes");
  proposals.boxes =
      reordered(proposals.boxes, order_like(run.expected.tensor("proposals/boxes"), proposals.boxes));
  proposals.boxes = run.pass("proposals/boxes", proposals.boxes, kPixels, "px");

  const Tensor pooled = run.pass(
      "pooled/features", pool_rois(ctx, model.config, maps, proposals.boxes, proposals.count, shape).value());
  const Var hidden = (*model.head.body)(ctx, pooled);
  RoiOutput regions{model.head.classes(ctx, hidden), model.head.deltas(ctx, hidden)};
  regions.logits = run.pass("head/logits", without_padding(regions.logits.value(), proposals.count));
  regions.deltas = run.pass("head/offsets", without_padding(regions.deltas.value(), proposals.count));

  const Detections detections = roi_detections(ctx, model.config, regions, proposals, images.size);
  Tensor labels = detections.labels.clone();
  for (int32_t& label : labels.mutable_values<int32_t>()) label = std::max(label, 0);  // padding
  run.pass("detections/count", detections.count, 0, "boxes");
  const std::vector<int64_t> order = order_like(run.expected.tensor("detections/boxes"), detections.boxes);
  run.pass("detections/labels", reordered(labels, order), 0, "classes");
  run.pass("detections/boxes", reordered(detections.boxes, order), kPixels, "px");
  run.pass("detections/scores", reordered(detections.scores, order), kScore, "probability");
}

/// The labels 1, 0, -1 in the form of the file: 2 is an object, 1 is background, 0 is neither.
Tensor as_bytes(const Tensor& labels) {
  Tensor bytes = Tensor::empty(labels.shape(), DType::u8);
  for (size_t i = 0; i < bytes.values<uint8_t>().size(); ++i)
    bytes.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(labels.values<int32_t>()[i] + 1);
  return bytes;
}
Tensor as_labels(const Tensor& bytes) {
  Tensor labels = bytes.cast(DType::i32);
  for (int32_t& label : labels.mutable_values<int32_t>()) --label;
  return labels;
}

/// Sets the offsets of rows without an object to 0, because they have no meaning.
void clear_unlabelled(const Tensor& offsets, const Tensor& labels) {
  for (size_t i = 0; i < labels.values<int32_t>().size(); ++i)
    if (labels.values<int32_t>()[i] <= 0)
      for (size_t k = 0; k < 4; ++k) offsets.mutable_data<float>()[4 * i + k] = 0;
}

/// Compares the labels and offsets that our matching gives torchvision's RoIs. The RoIs are looked up by
/// their boxes, because our sample is in another order.
void compare_roi_targets(Comparison& run, Context& ctx, ModelConfig config, const RoiSamples& theirs,
                         const GroundTruth& truth) {
  // Enough room to sample every RoI, whether foreground or background.
  config.box_batch_size_per_image = theirs.rois.dim(1);
  config.box_positive_fraction = 1;
  const RoiSamples ours = sample_rois(ctx, config, {theirs.rois, theirs.count}, truth);
  const int64_t n = theirs.rois.dim(0), s = theirs.rois.dim(1);
  double labels = 0, offsets = 0, largest = 0;
  for (int64_t i = 0; i < n; ++i) {
    std::map<std::array<float, 4>, int64_t> rows;
    const auto box = [&](const Tensor& boxes, int64_t row) {
      const float* b = boxes.data<float>() + row * 4;
      return std::array{b[0], b[1], b[2], b[3]};
    };
    for (int64_t r = i * s; r < i * s + ours.count.data<int32_t>()[i]; ++r) rows[box(ours.rois, r)] = r;
    for (int64_t r = i * s; r < i * s + theirs.count.data<int32_t>()[i]; ++r) {
      const auto found = rows.find(box(theirs.rois, r));
      const int32_t label = theirs.labels.data<int32_t>()[r];
      if (found == rows.end() || ours.labels.data<int32_t>()[found->second] != label) {
        ++labels;
      } else if (label > 0) {
        for (int64_t k = 0; k < 4; ++k) {
          const double wanted = static_cast<double>(theirs.deltas.data<float>()[4 * r + k]);
          const double got = static_cast<double>(ours.deltas.data<float>()[4 * found->second + k]);
          largest = std::max(largest, std::fabs(wanted));
          offsets = std::max(offsets, std::fabs(wanted - got));
        }
      }
    }
  }
  run.add("matching/rois", labels, kRows, "rows");
  run.add("targets/roi_offsets", largest > 0 ? offsets / largest : std::numeric_limits<double>::infinity(),
          kForward);
}

/// Compares proposals, matching and targets of training, and returns torchvision's samples.
Samples compare_samples(Comparison& run, Context& ctx, FasterRcnn& model, const TrainingBatch& batch) {
  const Expected& expected = run.expected;
  const ModelConfig& config = model.config;
  const GroundTruth& truth = batch.truth;
  run.pass("truth/boxes", truth.boxes, kForward);
  const RpnOutput output =
      rpn_of(ctx, model, maps_of(ctx, model, batch.images.pixels), batch.images.pixels.shape());
  // Proposals as in training, but without the ground-truth boxes that training appends to them.
  GroundTruth nothing = truth;
  nothing.count = Tensor::zeros(truth.count.shape(), DType::i32);
  const Proposals proposals = rpn_proposals(ctx, config, output, batch.images, &nothing);
  Tensor boxes = Tensor::zeros(expected.tensor("training/proposals").shape(), DType::f32);
  for (int64_t i = 0; i < boxes.dim(0); ++i)
    boxes.slice(i, i + 1).copy_from(
        proposals.boxes.slice(i, i + 1).reshape({-1, 4}).slice(0, boxes.dim(1)).reshape({1, -1, 4}));
  boxes = reordered(boxes, order_like(expected.tensor("training/proposals"), boxes));
  run.add("proposals/training_count", expected.deviation("training/proposal_count", proposals.count, true), 0,
          "boxes");
  run.add("proposals/training", expected.deviation("training/proposals", boxes, true), kPixels, "px");

  ModelConfig all = config;  // every anchor is sampled
  all.rpn_batch_size_per_image = 1 << 20;
  const RpnTargets targets = rpn_targets(ctx, all, output.anchors, batch.images.size, truth);
  clear_unlabelled(targets.deltas, targets.labels);
  run.add("matching/anchors", expected.deviation("training/anchors_matched", as_bytes(targets.labels), true),
          kRows, "rows");
  run.add("targets/anchor_offsets", expected.deviation("training/anchor_offsets", targets.deltas), kForward);

  Samples samples{{as_labels(expected.tensor("training/anchors_sampled")), targets.deltas},
                  {expected.tensor("training/rois"), expected.tensor("training/roi_count"),
                   expected.tensor("training/roi_labels"), expected.tensor("training/roi_offsets")}};
  if (expected.whole("training/anchor_offsets"))
    samples.rpn.deltas = expected.tensor("training/anchor_offsets");
  compare_roi_targets(run, ctx, config, samples.rois, truth);
  return samples;
}

void compare_losses(Comparison& run, const std::string& stage, const Losses& losses) {
  for (const auto& [name, loss] : {std::pair("objectness", losses.objectness),
                                   {"rpn_box", losses.rpn_box},
                                   {"classifier", losses.classifier},
                                   {"box", losses.box}})
    run.pass(stage + name, loss.value().reshape({1}), kLoss);
}

/// Compares losses and gradients in double precision, where no activation is within rounding of a kink.
void compare_in_double(Comparison& run, const TrainingBatch& batch, const Samples& samples) {
  const std::unique_ptr<FasterRcnn> model = make_model(run.expected, DType::f64);
  Context ctx;
  ctx.training = ctx.grad = true;
  ImageBatch images = batch.images;
  images.pixels = images.pixels.cast(DType::f64);
  const Losses losses = model->losses(ctx, images, batch.truth, samples);
  backward(ctx, losses.total);
  compare_losses(run, "double losses/", losses);
  visit_module(
      *model,
      [&](const std::string& name, Var& value, const Shape& pooled) {
        if (value.requires_grad())
          run.pass("double gradients/" + name, to_file_layout(value.gradient(), pooled), kGradient);
      },
      [](const std::string&, Tensor&) {});
}

/// Adds the finding of a gradient, or of a change that an update made.
void add_gradient(Comparison& run, const std::string& tensor, const Tensor& ours, double rounding = 0) {
  const double deviation = run.expected.deviation(tensor, ours, false, rounding);
  if (run.expected.words().contains("unsettled." + tensor))
    run.add(tensor, deviation, kUnsettled, "where rounding decides");
  else
    run.add(tensor, deviation, kGradient);
}

void compare_gradients(Comparison& run, Sgd& sgd) {
  for (const Sgd::Parameter& p : sgd.parameters())
    add_gradient(run, "gradients/" + p.name, to_file_layout(p.value.gradient(), p.pooled));
}

void feed_gradients(Comparison& run, Sgd& sgd) {
  for (const Sgd::Parameter& p : sgd.parameters())
    if (const std::string tensor = "gradients/" + p.name; run.expected.whole(tensor))
      p.value.gradient().copy_from(from_file_layout(run.expected.tensor(tensor), p.value.shape(), p.pooled));
}

/// Compares how much `steps` steps changed each parameter. The parameter itself is not compared, because it
/// is so much larger that a wrong step would hardly show. Each step of either program rounds the parameter
/// once; this much is not counted as a deviation.
void compare_changes(Comparison& run, Sgd& sgd, const std::vector<Tensor>& before, int steps) {
  for (size_t i = 0; i < before.size(); ++i) {
    const Sgd::Parameter& p = sgd.parameters()[i];
    const Tensor change = p.value.value().clone();
    const auto old = before[i].values<float>();
    const auto now = change.mutable_values<float>();
    float largest = 0;
    for (size_t k = 0; k < old.size(); ++k) {
      largest = std::max(largest, std::fabs(old[k]));
      now[k] -= old[k];
    }
    const std::string tensor = fmt::format("step {}/{}", steps, p.name);
    const double rounding = steps * static_cast<double>(largest * std::numeric_limits<float>::epsilon());
    add_gradient(run, tensor, to_file_layout(change, p.pooled), rounding);
  }
}

void compare_training(Comparison& run, Context& ctx, FasterRcnn& model, const TrainingBatch& batch) {
  const Samples samples = compare_samples(run, ctx, model, batch);
  if (run.fed && run.expected.has("double losses/box")) compare_in_double(run, batch, samples);
  ctx.training = ctx.grad = true;
  Sgd sgd(ctx, model,
          {.momentum = number_of(run.expected, "momentum"),
           .weight_decay = number_of(run.expected, "weight_decay")});
  std::vector<Tensor> before;
  for (const Sgd::Parameter& parameter : sgd.parameters()) before.push_back(parameter.value.value().clone());
  for (int step = 1; step <= 3; ++step) {
    const Losses losses = model.losses(ctx, batch.images, batch.truth, samples);
    backward(ctx, losses.total);
    if (step == 1) {
      compare_losses(run, "losses/", losses);
      compare_gradients(run, sgd);
      if (run.fed) feed_gradients(run, sgd);
    }
    sgd.step(ctx, number_of(run.expected, "learning_rate"));
    if (step != 2) compare_changes(run, sgd, before, step);
  }
}

}  // namespace

std::unique_ptr<FasterRcnn> make_model(const Expected& expected, DType dtype) {
  const auto classes = static_cast<int64_t>(number_of(expected, "classes"));
  auto model = std::make_unique<FasterRcnn>(config_of(expected), classes - 1, Init(1, dtype));
  set_formula_weights(*model, expected.word("salt"));
  return model;
}

std::vector<Finding> compare(const Expected& expected, bool fed) {
  const std::unique_ptr<FasterRcnn> made = make_model(expected);
  FasterRcnn& model = *made;
  Context ctx;
  TrainingBatch batch = make_training_batch(ctx, model.config, batch_of(expected));
  Comparison run{expected, fed, {}};
  compare_detection(run, ctx, model, batch.images);
  if (fed && expected.whole("input/pixels")) batch.images.pixels = expected.tensor("input/pixels");
  if (expected.word("trained") == "true") compare_training(run, ctx, model, batch);
  // A parameter that this program does not have or does not train must be noticed.
  for (const auto& [name, tensor] : expected.tensors())
    if (name.starts_with("gradients/"))
      check(
          std::any_of(run.found.begin(), run.found.end(), [&](const Finding& f) { return f.tensor == name; }),
          "{}: '{}' has a gradient in torchvision, but none here", expected.name(), name);
  return run.found;
}

}  // namespace rcnn::parity
