#include "report/pictures.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "core/error.h"

namespace rcnn {
namespace {

constexpr int kAugmentedSide = 480;  // pixels; there are many of them

/// An image at the size at which the page holds it.
struct Canvas {
  Image image;
  float scale = 1;

  Box place(const Box& box) const { return {box.x1 * scale, box.y1 * scale, box.x2 * scale, box.y2 * scale}; }
};

Canvas make_canvas(const Image& image, int side) {
  Canvas canvas{shrink_to_fit(image, side)};
  if (image.width > 0)
    canvas.scale = static_cast<float>(canvas.image.width) / static_cast<float>(image.width);
  return canvas;
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

/// "3 of 4 objects found, 1 false positive"
std::string verdict(const JudgedImage& image) {
  const size_t found = image.right.size(), objects = found + image.missed.size();
  const char* plural = objects == 1 ? "" : "s";
  const std::string counted = objects == 0 ? "no objects"
                              : found == objects && found > 1
                                  ? fmt::format("all {} objects found", found)
                                  : fmt::format("{} of {} object{} found", found, objects, plural);
  if (image.wrong.empty()) return counted;
  return fmt::format("{}, {} false positive{}", counted, image.wrong.size(),
                     image.wrong.size() == 1 ? "" : "s");
}

/// The boxes of an image. Names of errors come first, because not all names may have room.
std::vector<ReportBox> boxes_of(const JudgedImage& image, const Sample& sample, const Canvas& canvas,
                                const std::vector<std::string>& classes) {
  std::vector<ReportBox> boxes;
  for (const WrongDetection& d : image.wrong) {
    const std::string name = name_of_label(d.label, classes);
    boxes.push_back(
        {canvas.place(d.box), BoxKind::wrong, fmt::format("× {} {:.2f}", name, d.score),
         fmt::format("{}, confidence {:.2f}: false positive ({})", name, d.score, name_of(d.kind))});
  }
  for (size_t i = 0; i < image.missed.size(); ++i) {
    const Miss& miss = image.missed[i];
    const Object& object = sample.objects.at(static_cast<size_t>(miss.object));
    const std::string name = name_of_label(object.label, classes);
    boxes.push_back({canvas.place(object.box), BoxKind::missed, "? " + name,
                     i < image.stories.size() ? fmt::format("missed: {}", image.stories[i])
                                              : fmt::format("{}: missed ({})", name, name_of(miss.cause))});
  }
  for (const Detection& d : image.right) {
    const std::string name = fmt::format("{} {:.2f}", name_of_label(d.label, classes), d.score);
    boxes.push_back({canvas.place(d.box), BoxKind::correct, name, name});
  }
  return boxes;
}

std::vector<ReportBox> boxes_of(const std::vector<Object>& objects, const Canvas& canvas,
                                const std::vector<std::string>& classes) {
  std::vector<ReportBox> boxes;
  for (const Object& object : objects) {
    const std::string name = name_of_label(object.label, classes);
    boxes.push_back({canvas.place(object.box), is_ignored(object) ? BoxKind::ignored : BoxKind::truth, name,
                     is_ignored(object) ? name + " (ignored)" : name});
  }
  return boxes;
}

std::vector<ReportPicture> pictures(const std::vector<JudgedImage>& images, const Dataset& dataset) {
  std::vector<ReportPicture> pictures;
  for (const JudgedImage& judged : images)
    if (auto picture = judged_picture(judged, dataset)) pictures.push_back(*std::move(picture));
  return pictures;
}

}  // namespace

ReportPicture augmented_picture(const TrainingExample& example, const std::vector<std::string>& classes) {
  Canvas canvas = make_canvas(example.picture.image, kAugmentedSide);
  std::vector<ReportBox> boxes = boxes_of(example.picture.objects, canvas, classes);
  return {std::move(canvas.image), example.id, {}, std::move(boxes)};
}

std::optional<ReportPicture> truth_picture(const Sample& sample, const std::vector<std::string>& classes) {
  const std::optional<Image> image = try_read(sample);
  if (!image) return {};
  Canvas canvas = make_canvas(*image, kPictureSide);
  std::vector<ReportBox> boxes = boxes_of(sample.objects, canvas, classes);
  return ReportPicture{std::move(canvas.image), sample.id, {}, std::move(boxes)};
}

std::optional<ReportPicture> judged_picture(const JudgedImage& judged, const Dataset& dataset) {
  const Sample& sample = dataset.samples.at(static_cast<size_t>(judged.image));
  const std::optional<Image> image = try_read(sample);
  if (!image) return {};
  Canvas canvas = make_canvas(*image, kPictureSide);
  std::vector<ReportBox> boxes = boxes_of(judged, sample, canvas, dataset.classes);
  return ReportPicture{std::move(canvas.image), sample.id,       judged.reasons,
                       std::move(boxes),        verdict(judged), judged.stories};
}

std::vector<ReportPicture> worst_pictures(const Diagnosis& diagnosis, const Dataset& dataset) {
  return pictures(diagnosis.worst, dataset);
}

std::vector<ReportPicture> good_pictures(const Diagnosis& diagnosis, const Dataset& dataset) {
  return pictures(diagnosis.good, dataset);
}

std::vector<ReportPicture> example_pictures(const Diagnosis& diagnosis, const Dataset& dataset) {
  return pictures(diagnosis.examples, dataset);
}

}  // namespace rcnn
