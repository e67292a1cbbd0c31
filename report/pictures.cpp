#include "report/pictures.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "core/error.h"
#include "data/draw.h"

namespace rcnn {
namespace {

constexpr size_t kExamples = 8;
constexpr float kShownScore = 0.5f;  // the confidence threshold of the examples without a diagnosis
constexpr int kAugmentedSide = 320, kWorstSide = 480;
// The same colours as in the page's style sheet for "missed", "wrong" and "right".
constexpr Colour kMissed{255, 255, 255}, kWrong{251, 111, 36}, kRight{46, 204, 113};

/// An image at the size at which it is shown. Boxes are drawn into it after shrinking, so that their names
/// and lines stay legible.
struct Canvas {
  Image image;
  float scale = 1;

  Box place(const Box& box) const { return {box.x1 * scale, box.y1 * scale, box.x2 * scale, box.y2 * scale}; }
};

Canvas make_canvas(const Image& image, int width) {
  Canvas canvas{shrink_to_width(image, width)};
  if (image.width > 0)
    canvas.scale = static_cast<float>(canvas.image.width) / static_cast<float>(image.width);
  return canvas;
}

/// The width at which an image is at most `side` pixels wide and at most `side` pixels high.
int width_within(const Image& image, int side) {
  return image.height <= image.width
             ? side
             : std::max(1, static_cast<int>(int64_t{image.width} * side / image.height));
}

/// Returns nothing for an image that cannot be read; this was reported when the image was loaded.
std::optional<Image> try_read(const Sample& sample) {
  try {
    return read_image(sample.image);
  } catch (const InputError&) {
    return {};
  }
}

std::string name_of_label(int label, const std::vector<std::string>& classes) {
  const bool named = label >= 1 && static_cast<size_t>(label) <= classes.size();
  return named ? classes[static_cast<size_t>(label - 1)] : fmt::format("{}", label);
}

/// The class of the missed object with this box.
std::string missed_name(const Box& box, const Sample& sample, const std::vector<std::string>& classes) {
  const auto found = std::find_if(sample.objects.begin(), sample.objects.end(), [&](const Object& object) {
    return object.box == box && !is_ignored(object);
  });
  return found == sample.objects.end() ? "" : name_of_label(found->label, classes);
}

std::string counted(size_t count, const char* name) {
  return fmt::format("{} {}{}", count, name, count == 1 ? "" : "s");
}

/// Draws what a detector shows: the missed objects, and its wrong and right detections.
void draw_errors(Canvas& canvas, const WorstImage& found, const Sample& sample,
                 const std::vector<std::string>& classes) {
  std::vector<DrawnBox> boxes;
  for (const Detection& d : found.wrong)
    boxes.push_back(
        {canvas.place(d.box), kWrong, fmt::format("{} {:.2f}", name_of_label(d.label, classes), d.score)});
  for (const Box& box : found.missed)
    boxes.push_back({canvas.place(box), kMissed, missed_name(box, sample, classes), true});
  for (const Detection& d : found.right) boxes.push_back({canvas.place(d.box), kRight});
  draw_boxes(canvas.image, boxes);
}

/// Draws the ground truth. Ignored objects are dashed.
void draw_objects(Canvas& canvas, const std::vector<Object>& objects,
                  const std::vector<std::string>& classes) {
  std::vector<DrawnBox> boxes;
  for (const Object& object : objects)
    boxes.push_back({canvas.place(object.box), class_colour(object.label),
                     name_of_label(object.label, classes), is_ignored(object)});
  draw_boxes(canvas.image, boxes);
}

}  // namespace

ReportPicture augmented_picture(const TrainingExample& example, const std::vector<std::string>& classes) {
  const Image& image = example.picture.image;
  Canvas canvas = make_canvas(image, width_within(image, kAugmentedSide));
  draw_objects(canvas, example.picture.objects, classes);
  return {std::move(canvas.image), example.id};
}

std::vector<ReportPicture> worst_pictures(const Diagnosis& diagnosis, const Dataset& dataset) {
  std::vector<ReportPicture> pictures;
  for (const WorstImage& worst : diagnosis.worst) {
    const Sample& sample = dataset.samples.at(static_cast<size_t>(worst.image));
    const std::optional<Image> image = try_read(sample);
    if (!image) continue;
    Canvas canvas = make_canvas(*image, width_within(*image, kWorstSide));
    draw_errors(canvas, worst, sample, dataset.classes);
    pictures.push_back({std::move(canvas.image), sample.id, worst.reasons});
  }
  return pictures;
}

std::optional<ComparedPicture> compared_picture(const Sample& sample, const WorstImage& a,
                                                const WorstImage& b,
                                                const std::vector<std::string>& classes) {
  const std::optional<Image> image = try_read(sample);
  if (!image) return {};
  Canvas truth = make_canvas(*image, width_within(*image, kWorstSide)), of_a = truth, of_b = truth;
  draw_objects(truth, sample.objects, classes);
  draw_errors(of_a, a, sample, classes);
  draw_errors(of_b, b, sample, classes);
  return ComparedPicture{std::move(truth.image), std::move(of_a.image), std::move(of_b.image)};
}

std::vector<ReportExample> example_pictures(const std::vector<Detection>& detections, const Dataset& dataset,
                                            const Diagnosis* diagnosis) {
  const auto threshold = [&](int label) {
    return diagnosis ? diagnosis->classes.at(static_cast<size_t>(label - 1)).best_score : kShownScore;
  };
  const std::string thresholds = diagnosis ? "the recommended confidence thresholds"
                                           : fmt::format("a confidence threshold of {}", kShownScore);
  std::vector<size_t> chosen;
  for (size_t i = 0; i < dataset.samples.size(); ++i)
    if (!dataset.samples[i].objects.empty()) chosen.push_back(i);
  const size_t stride = std::max<size_t>(1, chosen.size() / kExamples);
  std::vector<ReportExample> examples;
  for (size_t c = 0; c < chosen.size() && examples.size() < kExamples; c += stride) {
    const Sample& sample = dataset.samples[chosen[c]];
    const std::optional<Image> image = try_read(sample);
    if (!image) continue;
    const Canvas canvas = make_canvas(*image, kReportImageWidth);
    ReportExample example{canvas.image, canvas.image, ""};
    std::vector<LabelledBox> truths, found;
    for (const Object& object : sample.objects) truths.push_back({canvas.place(object.box), object.label});
    for (const Detection& d : detections)
      if (d.image == static_cast<int>(chosen[c]) && d.score >= threshold(d.label))
        found.push_back({canvas.place(d.box), d.label, d.score});
    draw_detections(example.truth, truths, dataset.classes);
    draw_detections(example.detected, found, dataset.classes);
    example.caption = fmt::format("{}: {}, {} at {}", sample.id, counted(truths.size(), "object"),
                                  counted(found.size(), "detection"), thresholds);
    examples.push_back(std::move(example));
  }
  return examples;
}

}  // namespace rcnn
