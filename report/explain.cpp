#include "report/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/files/output.h"
#include "core/text.h"
#include "report/explain_parts.h"
#include "report/html.h"

namespace rcnn {
namespace {

constexpr int64_t kMaxInputPixels = 8'000'000;     // eight times those of an 800 x 1333 input
constexpr int kLargeSide = 800, kSmallSide = 400;  // of the PNG files, in pixels

/// The best detection that is shown and right, else shown, else the best.
int choose_detection(const Biographies& told) {
  for (const DetectionStory& story : told.detections)
    if (story.shown && story.verdict.starts_with("IoU")) return story.detection;
  for (const DetectionStory& story : told.detections)
    if (story.shown) return story.detection;
  return 0;
}

Followed choose_followed(const Stages& stages, const Biographies& told) {
  Followed f;
  if (!stages.detections.empty()) {
    f.detection = choose_detection(told);
    f.classified = stages.detections[static_cast<size_t>(f.detection)];
    f.proposal = stages.classified[static_cast<size_t>(f.classified)].source;
  } else if (!stages.proposals.empty()) {
    f.proposal = 0;
  }
  if (f.proposal >= 0) {
    f.proposed = stages.proposals[static_cast<size_t>(f.proposal)];
    f.anchor = stages.proposed[static_cast<size_t>(f.proposed)].source;
  }
  f.level = stages.level_of(f.anchor);
  const StageLevel& level = stages.levels[f.level];
  const int64_t row = f.anchor - level.first;
  f.shape = row % level.per_cell;
  f.x = row / level.per_cell % level.w;
  f.y = row / level.per_cell / level.w;
  return f;
}

/// Detects with the settings of `of`, and tells what happened.
void detect_in_stages(Explained& of, const Detector& detector, const std::optional<float>& score) {
  for (int label = 1; label <= std::ssize(detector.classes); ++label)
    of.thresholds.push_back(score.value_or(confidence_of(detector, label)));
  of.trace.stages = &of.tensors;
  of.model.detect(of.ctx, of.batch, &of.trace);
  of.stages = read_stages(of.config(), of.trace, of.batch, of.to_image);
  of.told = tell_biographies(of.stages, of.config(), of.objects ? *of.objects : std::vector<Object>{},
                             of.classes, of.thresholds, of.objects != nullptr);
  of.followed = choose_followed(of.stages, of.told);
}

/// While it lives, the model has other settings.
class ConfigOfSecondRun {
 public:
  ConfigOfSecondRun(FasterRcnn& model, const ModelConfig& config) : model_(model), before_(model.config) {
    model.config = config;
  }
  ~ConfigOfSecondRun() { model_.config = before_; }
  ConfigOfSecondRun(const ConfigOfSecondRun&) = delete;
  ConfigOfSecondRun& operator=(const ConfigOfSecondRun&) = delete;

 private:
  FasterRcnn& model_;
  ModelConfig before_;
};

}  // namespace

HostMap host_map(const Tensor& maps, int64_t row) {
  const Tensor here = maps.cast(DType::f32).to(Device{});
  HostMap map{here.dim(1), here.dim(2), here.dim(3), {}};
  const float* from = here.data<float>() + row * map.h * map.w * map.c;
  map.values.assign(from, from + map.h * map.w * map.c);
  return map;
}

std::vector<float> strength(const HostMap& map) {
  std::vector<float> result;
  for (int64_t i = 0; i < map.h * map.w; ++i) {
    float sum = 0;
    for (int64_t c = 0; c < map.c; ++c) sum += std::fabs(map.values[static_cast<size_t>(i * map.c + c)]);
    result.push_back(sum / static_cast<float>(map.c));
  }
  return result;
}

std::string Explained::class_name(int label) const {
  return label == 0 ? "background" : classes.at(static_cast<size_t>(label - 1));
}

Drawing Explained::on_photo() const {
  Drawing drawing;
  drawing.width = static_cast<double>(to_image.size.width);
  drawing.height = static_cast<double>(to_image.size.height);
  drawing.photo = {0, 0, static_cast<float>(drawing.width), static_cast<float>(drawing.height)};
  return drawing;
}

nlohmann::ordered_json json_number(float value) {
  // Through the shortest text that gives the same float, so that the file has no more digits than needed.
  if (!std::isfinite(value)) return nullptr;
  return nlohmann::ordered_json::parse(fmt::format("{}", value));
}

nlohmann::ordered_json json_box(const Box& box) {
  return {json_number(box.x1), json_number(box.y1), json_number(box.x2), json_number(box.y2)};
}

std::string box_text(const Box& box) {
  return fmt::format("({:.1f}, {:.1f}, {:.1f}, {:.1f})", box.x1, box.y1, box.x2, box.y2);
}

std::string part_of(size_t shown, size_t all) {
  return shown < all ? fmt::format(" ({} of {})", shown, all) : "";
}

std::string object_cell(const Explained& of, size_t object) {
  const Object& wanted = (*of.objects)[object];
  return fmt::format("{} ({}, {})", object + 1, escape_html(of.class_name(wanted.label)), extent(wanted.box));
}

std::string level_key(const Stages& stages) {
  std::string key;
  for (size_t l = 0; l < stages.levels.size(); ++l)
    key += fmt::format("{}{}{}", key.empty() ? "" : ", ",
                       swatch(colour_text(mark_colour(static_cast<int>(l)))), level_name(stages, l));
  return key;
}

std::string boxes_text(int64_t count) { return fmt::format("{} {}", count, count == 1 ? "box" : "boxes"); }

Box centre_arrow(const Box& from, const Box& to) {
  return {(from.x1 + from.x2) / 2, (from.y1 + from.y2) / 2, (to.x1 + to.x2) / 2, (to.y1 + to.y2) / 2};
}

void check_explained_size(std::string_view option, const ModelConfig& config, const Image& image) {
  const ResizedImage size = ToImage(config, image).size;
  check_input(
      size.width * size.height <= kMaxInputPixels,
      "{}: the network's input would have {} x {} pixels, and every map and anchor of it is kept; expected "
      "a short side with which it has at most {} million pixels",
      option, size.width, size.height, kMaxInputPixels / 1'000'000);
}

Explanation explain(Context& ctx, Detector& detector, const Image& image, const ExplainOptions& options) {
  const RawImage raw{image.rgb.data(), image.height, image.width};
  FasterRcnn& model = *detector.model;
  const auto begin = [&] {
    return Explained{ctx,
                     model,
                     model.config,
                     detector.classes,
                     {},
                     image,
                     options.objects ? &*options.objects : nullptr,
                     make_image_batch(ctx, model.config, {&raw, 1}),
                     ToImage(model.config, image),
                     {},
                     {},
                     {},
                     {},
                     {}};
  };
  Explained of = begin();
  detect_in_stages(of, detector, options.score);

  std::vector<Chapter> chapters;
  for (const auto stage :
       {explain_input, explain_features, explain_anchors, explain_objectness, explain_deltas, explain_rpn_nms,
        explain_pooling, explain_head, explain_detections, explain_saliency})
    chapters.push_back(stage(of));
  if (of.objects != nullptr)
    for (Chapter& chapter : explain_training(of)) chapters.push_back(std::move(chapter));
  if (options.what_if) {
    const ConfigOfSecondRun config(model, options.what_if->config);
    Explained other = begin();
    detect_in_stages(other, detector, options.what_if->score ? options.what_if->score : options.score);
    chapters.push_back(explain_what_if(of, other, *options.what_if));
  }

  Explanation explanation;
  nlohmann::ordered_json numbers = {
      {"info", kWrittenHere},
      {"photograph", printable(options.name)},
      {"classes", nlohmann::ordered_json::array()},
      {"input", {{"width", of.to_image.size.width}, {"height", of.to_image.size.height}}}};
  for (const std::string& name : of.classes) numbers["classes"].push_back(printable(name));
  int number = 1;
  for (const Chapter& chapter : chapters) {
    numbers["chapters"][chapter.id] = {{"shape", chapter.shape},
                                       {"file", chapter.source.file},
                                       {"function", chapter.source.function},
                                       {"paper", chapter.paper},
                                       {"numbers", chapter.numbers}};
    for (size_t i = 0; i < chapter.plates.size(); ++i)
      explanation.pictures.emplace_back(
          fmt::format("{:02}_{}_{}", number, chapter.id, i + 1),
          drawing_image(chapter.plates[i].drawing, image, chapter.plates[i].small ? kSmallSide : kLargeSide));
    ++number;
  }
  for (const ObjectStory& story : of.told.objects) {
    numbers["objects"].push_back({{"object", story.object + 1},
                                  {"fate", name_of(story.fate)},
                                  {"setting", setting_for(story)},
                                  {"setting_of_training", is_of_training(story)},
                                  {"sentence", printable(story.sentence)}});
    numbers["objects"].back().update(path_of(of, story).numbers);
  }
  for (const DetectionStory& story : of.told.detections)
    numbers["detections"].push_back({{"detection", story.detection + 1},
                                     {"shown", story.shown},
                                     {"verdict", story.verdict},
                                     {"suppressed", story.suppressed},
                                     {"sentence", printable(story.sentence)}});
  explanation.numbers = numbers.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  explanation.page = explain_page(of, options.name, chapters);
  return explanation;
}

}  // namespace rcnn
