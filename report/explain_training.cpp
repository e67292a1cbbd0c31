// What a training step on the explained photograph computes: the run of it, and the chapter on the losses.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>

#include "kernels/boxes/match_math.h"
#include "kernels/loss/loss_math.h"
#include "report/explain_parts.h"
#include "report/html.h"

namespace rcnn {
namespace {

/// The objects that count, as training takes them.
void set_truth(const Explained& of, TrainingTrace& training) {
  for (size_t i = 0; i < of.objects->size(); ++i)
    if (!is_ignored((*of.objects)[i])) training.object.push_back(static_cast<int>(i));
  const auto capacity = static_cast<int64_t>(std::bit_ceil(std::max<size_t>(1, training.object.size())));
  GroundTruth truth{Tensor::zeros({1, capacity, 4}, DType::f32), Tensor::zeros({1, capacity}, DType::i32),
                    Tensor::zeros({1}, DType::i32), Tensor::zeros({1}, DType::i32)};
  for (size_t g = 0; g < training.object.size(); ++g) {
    const Object& object = (*of.objects)[static_cast<size_t>(training.object[g])];
    kernels::store_box(truth.boxes.mutable_data<float>() + g * 4, of.to_image.size.to_input(object.box));
    truth.labels.mutable_data<int32_t>()[g] = object.label;
  }
  truth.count.fill(static_cast<double>(training.object.size()));
  for (Tensor* tensor : {&truth.boxes, &truth.labels, &truth.count, &truth.image_id})
    *tensor = tensor->to(of.ctx.device);
  training.truth = truth;
}

/// The gradient that a term of the loss leaves on the levels.
std::vector<std::vector<float>> gradient_of(Context& ctx, const Var& term, const std::vector<Var>& levels) {
  for (const Var& level : levels) level.clear_gradient();
  backward(ctx, term);
  std::vector<std::vector<float>> heat;
  for (const Var& level : levels)
    heat.push_back(level.has_gradient()
                       ? strength(host_map(level.gradient()))
                       : std::vector<float>(static_cast<size_t>(level.dim(1) * level.dim(2))));
  return heat;
}

/// Gives the model its buffers back: a pass in training mode moves the running statistics of batch
/// normalisation, and the model would then detect otherwise.
class KeptBuffers {
 public:
  explicit KeptBuffers(FasterRcnn& model) {
    visit_module(
        model, [](const std::string&, Var&, const Shape&) {},
        [this](const std::string&, Tensor& value) { kept_.emplace_back(value, value.clone()); });
  }
  ~KeptBuffers() {
    for (const auto& [value, before] : kept_) value.copy_from(before);
  }
  KeptBuffers(const KeptBuffers&) = delete;
  KeptBuffers& operator=(const KeptBuffers&) = delete;

 private:
  std::vector<std::pair<Tensor, Tensor>> kept_;  // the model's own, which share its memory, and copies
};

TrainingTrace run_training(const Explained& of) {
  TrainingTrace training;
  set_truth(of, training);
  const KeptBuffers kept(of.model);
  Context& ctx = of.ctx;
  const bool grad = ctx.grad, mode = ctx.training;
  ctx.training = true;
  ctx.grad = false;
  // Leaves that collect gradients in place of the backbone's graph.
  std::vector<Var> levels;
  for (const Var& level : of.model.features(ctx, of.batch)) levels.push_back(Var::parameter(level.value()));
  ctx.grad = true;
  // The two terms of the RPN share a graph, which can be walked once, and so do those of the head: two passes
  // with the same samples.
  training.losses =
      of.model.losses_after(ctx, levels, of.batch, training.truth, {}, &training.samples, &training.stages);
  const Losses again = of.model.losses_after(ctx, levels, of.batch, training.truth, training.samples);
  training.heat.push_back(gradient_of(ctx, training.losses.objectness, levels));
  training.heat.push_back(gradient_of(ctx, again.rpn_box, levels));
  training.heat.push_back(gradient_of(ctx, training.losses.classifier, levels));
  training.heat.push_back(gradient_of(ctx, again.box, levels));
  ctx.grad = grad;
  ctx.training = mode;
  return training;
}

/// What each object, and last the background, adds to the four terms of the loss.
struct LossRows {
  std::vector<std::array<double, 4>> sums;
  std::vector<int64_t> anchors, rois;  // sampled rows
  double rpn_divisor = 1, head_divisor = 1;
};

template <class T>
std::vector<T> on_host(const Tensor& tensor) {
  const Tensor here = tensor.to(Device{});
  return {here.data<T>(), here.data<T>() + here.numel()};
}

std::vector<float> joined(const std::vector<Var>& maps) {
  std::vector<float> all;
  for (const Var& map : maps) {
    const std::vector<float> part = on_host<float>(map.value().cast(DType::f32));
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

double box_term(const float* found, const float* wanted, float beta) {
  double sum = 0;
  for (int i = 0; i < 4; ++i) sum += static_cast<double>(kernels::smooth_l1_term(found[i] - wanted[i], beta));
  return sum;
}

void add_rpn_rows(const Explained& of, const TrainingTrace& training, LossRows& rows) {
  const auto labels = on_host<int32_t>(training.samples.rpn.labels),
             matching = on_host<int32_t>(training.stages.matching);
  const auto wanted = on_host<float>(training.samples.rpn.deltas);
  const std::vector<float> logits = joined(training.stages.rpn.objectness),
                           deltas = joined(training.stages.rpn.deltas);
  int64_t count = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0) continue;
    ++count;
    const size_t row = labels[i] > 0 ? static_cast<size_t>(matching[i]) : rows.sums.size() - 1;
    ++rows.anchors[row];
    rows.sums[row][0] +=
        kernels::sigmoid_cross_entropy_term(static_cast<double>(logits[i]), static_cast<double>(labels[i]));
    if (labels[i] > 0)
      rows.sums[row][1] +=
          box_term(deltas.data() + i * 4, wanted.data() + i * 4, of.config().rpn_smooth_l1_beta);
  }
  rows.rpn_divisor = kernels::divisor(count);
}

void add_head_rows(const Explained& of, const TrainingTrace& training, LossRows& rows) {
  const RoiSamples& samples = training.samples.rois;
  const auto labels = on_host<int32_t>(samples.labels);
  const auto wanted = on_host<float>(samples.deltas), rois = on_host<float>(samples.rois);
  const auto logits = on_host<float>(training.stages.regions.logits.value().cast(DType::f32)),
             deltas = on_host<float>(training.stages.regions.deltas.value().cast(DType::f32));
  const auto classes = static_cast<size_t>(training.stages.regions.logits.dim(1)),
             columns = static_cast<size_t>(training.stages.regions.deltas.dim(1) / 4);
  int64_t count = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0) continue;
    ++count;
    const auto label = static_cast<size_t>(labels[i]);
    const size_t row =
        label > 0
            ? static_cast<size_t>(best_truth(of, training, kernels::load_box(rois.data() + i * 4)).first)
            : rows.sums.size() - 1;
    ++rows.rois[row];
    const float* own = logits.data() + i * classes;
    const double most = static_cast<double>(*std::max_element(own, own + classes));
    double sum = 0;
    for (size_t c = 0; c < classes; ++c) sum += std::exp(static_cast<double>(own[c]) - most);
    rows.sums[row][2] += most + std::log(sum) - static_cast<double>(own[label]);
    if (label > 0)
      rows.sums[row][3] += box_term(deltas.data() + (i * columns + (columns == 1 ? 0 : label)) * 4,
                                    wanted.data() + i * 4, of.config().box_smooth_l1_beta);
  }
  rows.head_divisor = kernels::divisor(count);
}

std::string losses_table(const Explained& of, const TrainingTrace& training,
                         nlohmann::ordered_json& numbers) {
  LossRows rows;
  rows.sums.resize(training.object.size() + 1);
  rows.anchors.resize(rows.sums.size());
  rows.rois.resize(rows.sums.size());
  add_rpn_rows(of, training, rows);
  add_head_rows(of, training, rows);
  const double divisors[] = {rows.rpn_divisor, rows.rpn_divisor, rows.head_divisor, rows.head_divisor};
  double total[4] = {};
  std::string body;
  for (size_t r = 0; r < rows.sums.size(); ++r) {
    const bool background = r == training.object.size();
    const std::string name =
        background ? "background"
                   : fmt::format("{} ({})", training.object[r] + 1,
                                 of.class_name((*of.objects)[static_cast<size_t>(training.object[r])].label));
    body += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td>", escape_html(name), rows.anchors[r],
                        rows.rois[r]);
    nlohmann::ordered_json entry = {
        {"row", background ? name : "object " + name}, {"anchors", rows.anchors[r]}, {"rois", rows.rois[r]}};
    for (size_t t = 0; t < 4; ++t) {
      const double part = rows.sums[r][t] / divisors[t];
      total[t] += part;
      body += fmt::format("<td>{}</td>", share(part, 5));
      entry[kLosses[t + 1].key] = part;
    }
    body += "</tr>\n";
    numbers["rows"].push_back(entry);
  }
  std::string sums = "<td>sum by hand</td><td></td><td></td>",
              network = "<tr><td>the network's loss</td><td></td><td></td>";
  for (size_t t = 0; t < 4; ++t) {
    const auto loss =
        (training.losses.*kLosses[t + 1].value).value().cast(DType::f32).to(Device{}).item<float>();
    sums += fmt::format("<td>{}</td>", share(total[t], 4));
    network += fmt::format("<td>{}</td>", share(double{loss}, 4));
    numbers["sum_by_hand"][kLosses[t + 1].key] = total[t];
    numbers["loss"][kLosses[t + 1].key] = json_number(loss);
  }
  return table(
      "<th>object</th><th>anchors</th><th>RoIs</th><th>RPN objectness</th><th>RPN "
      "box</th><th>head class</th>"
      "<th>head box</th>",
      body + network + "</tr>\n", sums, 1);
}

/// "In all: .0209 + .0303 + .3935 + .3798 = .8245, the loss of the step."
std::string total_text(const TrainingTrace& training, nlohmann::ordered_json& numbers) {
  const auto value = [&](size_t i) {
    return (training.losses.*kLosses[i].value).value().cast(DType::f32).to(Device{}).item<float>();
  };
  std::string sum;
  for (size_t t = 1; t <= 4; ++t) sum += fmt::format("{}{}", t > 1 ? " + " : "", share(double{value(t)}, 5));
  numbers["total"] = json_number(value(0));
  return fmt::format("<p>In all: {} = <b>{}</b>, the loss of the step.</p>\n", sum,
                     share(double{value(0)}, 4));
}

/// Why an object may have more sampled regions than proposals in the chapter on NMS.
std::string rois_text(const Explained& of, const TrainingTrace& training) {
  const ModelConfig& config = of.config();
  const auto taken = [](int64_t after) { return fmt::format("{} proposal{}", after, after == 1 ? "" : "s"); };
  return fmt::format(
      "<p>The regions of interest (RoIs) are sampled from the proposals of the training step, up to {} (up "
      "to {} of each level before NMS), while a detection makes up to {} (up to {}). The {} of the ground "
      "truth {} added to them. A RoI is an object's if it overlaps that by an IoU of at least {}, so an "
      "object can have other numbers here than in chapter 6.</p>\n",
      taken(config.rpn_post_nms_top_n_train), config.rpn_pre_nms_top_n_train,
      taken(config.rpn_post_nms_top_n_test), config.rpn_pre_nms_top_n_test,
      boxes_text(std::ssize(training.object)), training.object.size() == 1 ? "is" : "are",
      share(double{config.box_fg_iou_thresh}));
}

}  // namespace

std::string left_out_text(const Explained& of) {
  std::string list;
  int64_t count = 0;
  for (size_t i = 0; i < of.objects->size(); ++i) {
    const Object& object = (*of.objects)[i];
    if (!is_ignored(object)) continue;
    list += fmt::format("{}{} ({})", count++ > 0 ? ", " : "", i + 1,
                        object.crowd       ? "crowd"
                        : object.difficult ? "difficult"
                                           : "a proposal");
  }
  if (count == std::ssize(*of.objects))
    return count == 0 ? " There is no object on this image." : " No object on this image counts in training.";
  if (count == 0) return "";
  return fmt::format(" {} {} left out, as in every training step: what lies on {} is background.",
                     count == 1 ? "Object" : "Objects", list + (count == 1 ? " is" : " are"),
                     count == 1 ? "it" : "them");
}

std::pair<int, float> best_truth(const Explained& of, const TrainingTrace& training, const Box& box) {
  kernels::BestMatch best;
  const Tensor boxes = training.truth.boxes.to(Device{});
  const Box span = kernels::spanned(box, of.plus_one());
  for (size_t g = 0; g < training.object.size(); ++g)
    best.offer(
        kernels::iou(span, kernels::spanned(kernels::load_box(boxes.data<float>() + g * 4), of.plus_one())),
        static_cast<int64_t>(g));
  return {best.overlap > 0 ? best.gt : -1, best.overlap};
}

Chapter explain_losses(const Explained& of, const TrainingTrace& training) {
  Chapter chapter{
      .id = "losses",
      .title = "The losses, and where they push",
      .text =
          "A training step on this image adds up four losses. The table says how many of the sampled "
          "anchors and regions (RoIs) are an object's, and how much of each loss comes from it; each column "
          "of losses sums to one of the four. The heat maps show "
          "where the gradient of each loss lands on the maps: there the features would change. Each "
          "is that of the level on which the gradient is largest in total.",
      .shape = "4 losses",
      .source = {"models/faster_rcnn.cpp", "FasterRcnn::losses_after"},
      .paper = "Faster R-CNN, section 3.1.2, equation 1; Fast R-CNN, section 2.3"};
  chapter.text += left_out_text(of);
  chapter.more = losses_table(of, training, chapter.numbers) + total_text(training, chapter.numbers) +
                 rois_text(of, training);
  if (of.config().norm == "batch")
    chapter.more +=
        "<p>In training, batch normalisation uses the statistics of the batch, here of this image alone, so "
        "the maps differ a little from those of the chapters before.</p>\n";
  for (size_t t = 0; t < 4; ++t) {
    size_t level = 0;
    std::vector<double> sums;
    for (const std::vector<float>& heat : training.heat[t]) {
      double sum = 0;
      for (const float value : heat) sum += static_cast<double>(value);
      sums.push_back(sum);
    }
    level = static_cast<size_t>(std::max_element(sums.begin(), sums.end()) - sums.begin());
    const StageLevel& grid = of.stages.levels[level];
    std::vector<float> heat = training.heat[t][level];
    const float most = *std::max_element(heat.begin(), heat.end());
    for (float& value : heat) value = most > 0 ? std::sqrt(value / most) : 0;
    Drawing drawing = of.on_photo();
    drawing.layers.push_back(
        {heat_image(heat, grid.h, grid.w, 0, 1), map_place(grid.h, grid.w, grid.stride), 0.75f});
    for (const int object : training.object)
      drawing.marks.push_back(
          {.at = of.to_image.size.to_input((*of.objects)[static_cast<size_t>(object)].box),
           .colour = kWhite,
           .width = 1.5f,
           .dashed = true});
    const double all = std::accumulate(sums.begin(), sums.end(), 0.0);
    chapter.plates.push_back({std::move(drawing),
                              fmt::format("{}, on {}{}", kLosses[t + 1].words, level_name(of.stages, level),
                                          sums.size() > 1 && all > 0 ? fmt::format(": {} of its gradient",
                                                                                   percent(sums[level] / all))
                                                                     : ""),
                              true});
    chapter.numbers["gradient"].push_back({{"loss", kLosses[t + 1].key},
                                           {"level", level_name(of.stages, level)},
                                           {"largest", json_number(most)}});
  }
  return chapter;
}

std::vector<Chapter> explain_training(const Explained& of) {
  const TrainingTrace training = run_training(of);
  return {explain_matching(of, training), explain_losses(of, training)};
}

}  // namespace rcnn
