#include "data/label_forms.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/text.h"
#include "data/files.h"

namespace rcnn {

std::span<const LabelForm> label_forms() {
  static constexpr LabelForm kForms[] = {
      {"cvat", "CVAT's XML for images", false, is_cvat_file, read_cvat},
      {"via", "VIA's JSON", false, is_via_file, read_via},
      {"open-images", "Open Images' CSV", false, is_open_images_file, read_open_images},
      {"csv", "TensorFlow's CSV", false, is_tf_csv_file, read_tf_csv},
      {"labelme", "labelme's JSON", true, is_labelme_file, read_labelme},
  };
  return kForms;
}

Annotation& LabelCollector::image(const std::string& name, ImageSize said, bool form_has_sizes,
                                  int64_t bytes) {
  const auto [found, is_new] = by_name_.emplace(std::pair(name, bytes), result_.images.size());
  if (is_new) {
    Annotation image;
    image.file = file_;
    image.part = printable(name);
    image.image_name = name;
    const bool has_sides = said.width > 0 && said.height > 0;
    if (!has_sides && said != ImageSize{})
      report(fmt::format("image {}", printable(name)),
             fmt::format("gives the size {} x {}; the image's is used", said.width, said.height),
             FaultKind::image_size);
    image.said = has_sides ? said : ImageSize{};
    image.form_has_sizes = form_has_sizes && said == image.said;
    image.bytes = bytes;
    result_.images.push_back(std::move(image));
  }
  return result_.images[found->second];
}

void LabelCollector::add(Annotation& image, std::string_view name, const BoxOf<double>& box,
                         const std::string& what, bool crowd) {
  name = trim(name);
  if (name.empty()) return report(what, "has no name of a class; the object is skipped", FaultKind::no_class);
  if (!is_utf8(name))
    return report(
        what,
        fmt::format("has the class name '{}', which is not UTF-8; the object is skipped", escaped(name)),
        FaultKind::no_class);
  NamedObject named;
  named.name = printable(name);
  named.where = fmt::format("{} ({}): {} {} {} {}", what, named.name, box.x1, box.y1, box.x2, box.y2);
  constexpr double kMax = 1e9;
  for (const double value : {box.x1, box.y1, box.x2, box.y2})
    if (!(std::abs(value) < kMax))
      return report(what, "has a coordinate that is not a number below 1e9; the object is skipped");
  if (box.x1 > box.x2 || box.y1 > box.y2)
    return report(named.where, "is a reversed box; the object is skipped", FaultKind::reversed_box);
  named.object.box = {static_cast<float>(box.x1), static_cast<float>(box.y1), static_cast<float>(box.x2),
                      static_cast<float>(box.y2)};
  named.object.crowd = crowd;
  if (!(named.object.box.x1 < named.object.box.x2 && named.object.box.y1 < named.object.box.y2))
    return report(named.where, "is a box of zero area; the object is skipped", FaultKind::empty_box);
  image.objects.push_back(std::move(named));
}

void LabelCollector::report(const std::string& what, const std::string& fault, FaultKind kind) {
  result_.faults.push_back({file_, fmt::format("{}: {} {}.", file_.string(), what, fault), kind});
}

void PointBounds::add(std::optional<double> x, std::optional<double> y) {
  if (!x || !y || !(std::abs(*x) < 1e9) || !(std::abs(*y) < 1e9)) {
    usable_ = false;
    return;
  }
  if (count_++ == 0) box_ = {*x, *y, *x, *y};
  box_ = {std::min(box_.x1, *x), std::min(box_.y1, *y), std::max(box_.x2, *x), std::max(box_.y2, *y)};
}

std::optional<BoxOf<double>> PointBounds::box() const {
  return usable_ && count_ > 0 ? std::optional(box_) : std::nullopt;
}

}  // namespace rcnn
