#include "data/annotation.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <pugixml.hpp>
#include <set>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/text.h"
#include "data/class_limits.h"
#include "data/class_names.h"
#include "data/clip.h"
#include "data/files.h"
#include "data/normalised.h"
#include "data/orientation.h"
#include "data/rescale.h"
#include "data/xml.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

/// Elements are found in any case: some programs write <Xmin>.
bool is_named(pugi::xml_node node, std::string_view name) {
  const std::string_view own = node.name();
  return std::equal(own.begin(), own.end(), name.begin(), name.end(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
}

pugi::xml_node child(pugi::xml_node node, std::string_view name) {
  return node.find_child([&](pugi::xml_node each) { return is_named(each, name); });
}

int count_children(pugi::xml_node node, std::string_view name) {
  const auto children = node.children();
  return static_cast<int>(std::count_if(children.begin(), children.end(),
                                        [&](pugi::xml_node each) { return is_named(each, name); }));
}

/// Reads one annotation file. Every fault is reported under the file's name.
class AnnotationReader {
 public:
  AnnotationReader(const fs::path& file, std::vector<Fault>& faults) : file_(file), faults_(faults) {}

  /// Returns nothing if the document is not an annotation.
  std::optional<Annotation> read(const pugi::xml_document& document) {
    const pugi::xml_node root = child(document, "annotation");
    if (!root) {
      report(FaultKind::bad_file, "has no <annotation> element; the image is skipped");
      return std::nullopt;
    }
    if (const int roots = count_children(document, "annotation"); roots > 1)
      report(FaultKind::other, "has {} <annotation> elements; only the first is read", roots);
    const pugi::xml_node size = child(root, "size");
    Annotation annotation{file_,
                          image_name_of(root),
                          {child(size, "width").text().as_int(), child(size, "height").text().as_int()},
                          {}};
    int number = 0;
    for (const pugi::xml_node node : root.children())
      if (is_named(node, "object")) read_object(node, ++number, annotation.objects);
    return annotation;
  }

 private:
  template <class... Args>
  void report(FaultKind kind, fmt::format_string<Args...> what, Args&&... args) {
    faults_.push_back(
        {file_, fmt::format("{} {}.", file_.string(), fmt::format(what, std::forward<Args>(args)...)), kind});
  }

  /// The part after the last slash of either kind: some tools write a path, often one of another machine.
  static std::string image_name_of(pugi::xml_node root) {
    std::string_view name = trim(child(root, "filename").text().get());
    if (name.empty()) name = trim(child(root, "path").text().get());
    return std::string(name.substr(name.find_last_of("/\\") + 1));
  }

  /// The name of an object's class; empty, with a report, if it has none that can be used.
  std::string read_name(pugi::xml_node node, int number) {
    const std::string_view name = trim(child(node, "name").text().get());
    if (name.empty()) {
      report(FaultKind::no_class, "has no name for object {}; the object is skipped", number);
    } else if (!is_utf8(name)) {
      report(FaultKind::no_class,
             "has the class name '{}' in object {}, which is not UTF-8, and the first line declares no other "
             "encoding "
             "(such as <?xml version=\"1.0\" encoding=\"windows-1252\"?>); the object is skipped",
             escaped(name), number);
      return {};
    }
    return printable(name);
  }

  /// Adds an object for each of its boxes: there should be one.
  void read_object(pugi::xml_node node, int number, std::vector<NamedObject>& objects) {
    NamedObject named;
    named.name = read_name(node, number);
    if (named.name.empty()) return;
    named.object.difficult = child(node, "difficult").text().as_int() != 0;
    const int boxes = count_children(node, "bndbox");
    if (boxes > 1)
      report(FaultKind::bad_object, "has {} boxes in object {} ({}); each is read as an object", boxes,
             number, named.name);
    if (boxes == 0 && child(node, "robndbox"))
      report(FaultKind::bad_object,
             "has a rotated box (<robndbox>) in object {} ({}), which cannot be read; the object is skipped",
             number, named.name);
    else if (boxes == 0)
      read_box({}, number, named);  // reports what is missing
    for (const pugi::xml_node box : node.children()) {
      if (!is_named(box, "bndbox")) continue;
      const std::optional<Box> read = read_box(box, number, named);
      if (!read) continue;
      named.object.box = *read;
      objects.push_back(named);
    }
  }

  std::optional<double> read_coordinate(pugi::xml_node bndbox, const char* which, int number,
                                        const std::string& name) {
    const std::string_view text = trim(child(bndbox, which).text().get());
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size() && std::abs(value) < 1e9) return value;
    report(FaultKind::bad_object, "has {} '{}' in object {} ({}), expected a number; the object is skipped",
           which, text, number, name);
    return std::nullopt;
  }

  std::optional<Box> read_box(pugi::xml_node bndbox, int number, NamedObject& named) {
    double corners[4];
    const char* const names[4] = {"xmin", "ymin", "xmax", "ymax"};
    for (int i = 0; i < 4; ++i) {
      const std::optional<double> value = read_coordinate(bndbox, names[i], number, named.name);
      if (!value) return std::nullopt;
      corners[i] = *value;
    }
    const auto [xmin, ymin, xmax, ymax] = corners;
    named.where = fmt::format("object {} ({}): {} {} {} {}", number, named.name, xmin, ymin, xmax, ymax);
    if (xmin > xmax || ymin > ymax) {
      report(FaultKind::reversed_box, "has a reversed box, {}; the object is skipped", named.where);
      return std::nullopt;
    }
    if (xmin == xmax || ymin == ymax) {
      report(FaultKind::empty_box, "has a box of zero area, {}; the object is skipped", named.where);
      return std::nullopt;
    }
    return Box{static_cast<float>(xmin - 1), static_cast<float>(ymin - 1), static_cast<float>(xmax),
               static_cast<float>(ymax)};
  }

  const fs::path& file_;
  std::vector<Fault>& faults_;
};

/// Turns an image's boxes into the frame in which the image is seen, and clips them to the image.
class Placer {
 public:  /// With `common`, one fault for the whole dataset already says that the sizes disagree.
  Placer(const AnnotatedImage& image, bool turned, bool common, const ReadOptions& options,
         std::vector<Fault>& faults)
      : image_(image),
        turned_(turned),
        common_(common),
        options_(options),
        frame_(turned ? image.info.stored : image.info.seen),
        faults_(faults) {}

  std::vector<NamedObject> place() {
    report_size();
    std::vector<NamedObject> placed;
    const BoxScale scale = options_.rescale_boxes ? box_scale({image_.annotation.said, frame_}) : BoxScale{};
    for (const NamedObject& object : image_.annotation.objects) {
      const std::optional<Box> box =
          clip_to_image(scale(object.object.box), frame_, object.where,
                        [this](FaultKind kind, const std::string& fault) { report(kind, "{}", fault); });
      if (!box) continue;
      placed.push_back(object);
      placed.back().object.box = turned_ ? turn_box(*box, image_.info.orientation, image_.info.stored) : *box;
    }
    return placed;
  }

 private:
  template <class... Args>
  void report(FaultKind kind, fmt::format_string<Args...> what, Args&&... args) {
    faults_.push_back(
        {image_.annotation.file,
         fmt::format("{} {}.", image_.annotation.subject(), fmt::format(what, std::forward<Args>(args)...)),
         kind});
  }

  void report_size() {
    const ImageSize said = image_.annotation.said;
    if (turned_ && !image_.annotation.objects.empty())
      faults_.push_back(
          turned_boxes_note(image_.annotation.file, image_.image, {image_.info, said}, options_.exif_boxes));
    if (said == ImageSize{} && !image_.annotation.form_has_sizes) return;
    if (said == ImageSize{})
      report(FaultKind::image_size, "{}; the image's {} x {} is used",
             has_xml_extension(image_.annotation.file) ? "lacks a <size>" : "gives no size of the image",
             frame_.width, frame_.height);
    else if (said != frame_ && !common_) {
      const auto [what, kind] = size_fault({said, frame_}, options_.rescale_boxes);
      report(kind, "gives {}", what);
    }
  }

  const AnnotatedImage& image_;
  bool turned_, common_;
  const ReadOptions& options_;
  ImageSize frame_;
  std::vector<Fault>& faults_;
};

std::vector<size_t> with_objects(std::vector<size_t> which, const std::vector<AnnotatedImage>& images) {
  std::erase_if(which, [&](size_t i) { return images[i].annotation.objects.empty(); });
  return which;
}

/// Throws InputError if the boxes are shares of the images' sides although their form has pixels.
void check_in_pixels(const std::vector<AnnotatedImage>& images, const std::string& what) {
  NormalisedBoxes normalised;
  for (const AnnotatedImage& image : images)
    if (!image.annotation.in_shares)
      for (const NamedObject& object : image.annotation.objects)
        normalised.add(object.object.box, image.info.seen);
  normalised.check(what);
}

std::vector<std::string> sorted_names(const std::vector<std::vector<NamedObject>>& images) {
  std::set<std::string> names;
  for (const std::vector<NamedObject>& objects : images)
    for (const NamedObject& object : objects) names.insert(object.name);
  return {names.begin(), names.end()};
}

/// The objects with their labels; those of unknown classes are dropped and reported.
std::vector<Object> label_objects(const std::vector<NamedObject>& named, const Annotation& annotation,
                                  const std::map<std::string, int>& labels, const std::string& known,
                                  std::vector<Fault>& faults) {
  std::vector<Object> objects;
  for (const NamedObject& object : named) {
    const auto found = labels.find(object.name);
    if (found == labels.end()) {
      faults.push_back(
          {annotation.file,
           fmt::format(
               "{} has an object of the unknown class '{}'; the object is skipped (the classes are {}).",
               annotation.subject(), object.name, known),
           FaultKind::unknown_class});
      continue;
    }
    objects.push_back(object.object);
    objects.back().label = found->second;
  }
  return objects;
}

}  // namespace

std::optional<Annotation> read_annotation(const fs::path& file, std::vector<Fault>& faults) {
  const std::vector<uint8_t> bytes = read_file(file);
  pugi::xml_document document;
  try {
    document = parse_xml(bytes, file.string());
  } catch (const InputError& error) {
    faults.push_back({file, fmt::format("{} The image is skipped.", error.what()), FaultKind::bad_file});
    return std::nullopt;
  }
  return AnnotationReader(file, faults).read(document);
}

fs::path find_annotation(const fs::path& folder, const std::string& stem) {
  for (const char* extension : {".xml", ".XML", ".Xml"}) {
    std::error_code unusable;  // a name that no file can have
    if (fs::path file = folder / (stem + extension); fs::exists(file, unusable)) return file;
  }
  return {};
}

bool has_xml_extension(const fs::path& file) { return lower_case(file.extension().string()) == ".xml"; }

bool is_annotation_file(const fs::path& file) {
  const std::vector<uint8_t> bytes = read_file(file);
  pugi::xml_document document;
  try {
    document = parse_xml(bytes, file.string());
  } catch (const InputError&) {
    // The elements can be recognised in any encoding of which ASCII is a part. A file in one that is unknown
    // here must not look like something else: reading it reports the encoding.
    document.load_buffer(bytes.data(), bytes.size());
  }
  return !child(document, "annotation").empty();
}

Dataset make_dataset(std::vector<AnnotatedImage> images, const std::vector<std::string>& classes,
                     std::vector<Fault> faults, const fs::path& root, const std::string& what,
                     const ReadOptions& options) {
  check_input(!images.empty(), "{}: none of {} can be used; the first fault: {}", root.string(), what,
              first_fault(faults));
  check_in_pixels(images, fmt::format("{} ({})", root.string(), what));
  Dataset dataset;
  dataset.faults = std::move(faults);

  std::vector<SizeClaim> claims;
  for (const AnnotatedImage& image : images) claims.push_back({image.info, image.annotation.said});
  const BoxFrames frames = find_box_frames(claims, options.exif_boxes);
  const std::vector<bool>& turned = frames.turned;
  const std::vector<size_t> uncertain = with_objects(frames.uncertain, images);
  if (!uncertain.empty())
    dataset.faults.push_back(uncertain_frames_note(root, uncertain.size(), images[uncertain[0]].image));
  std::vector<SizePair> sizes;
  for (size_t i = 0; i < images.size(); ++i)
    sizes.push_back({claims[i].said, turned[i] ? claims[i].image.stored : claims[i].image.seen});
  const std::optional<double> factor = common_factor(sizes);
  if (factor) dataset.faults.push_back(common_factor_fault(root, what, *factor, options.rescale_boxes));
  std::vector<std::vector<NamedObject>> placed;
  for (size_t i = 0; i < images.size(); ++i)
    placed.push_back(Placer(images[i], turned[i], factor.has_value(), options, dataset.faults).place());
  dataset.classes = classes.empty() ? sorted_names(placed) : classes;
  check_input(!dataset.classes.empty(), "{}: {} contain no object, so there is no class to learn{}",
              root.string(), what,
              count_faults(dataset.faults) == 0
                  ? "."
                  : fmt::format("; the first fault: {}", first_fault(dataset.faults)));
  check_class_names(root.string(), dataset.classes);
  std::map<std::string, int> labels;
  for (const std::string& name : dataset.classes) labels.emplace(name, static_cast<int>(labels.size()) + 1);
  check_input(labels.size() == dataset.classes.size(), "The class names {} contain a name twice.",
              fmt::join(dataset.classes, ", "));
  const std::string known = list_names(dataset.classes);
  for (size_t i = 0; i < images.size(); ++i) {
    AnnotatedImage& image = images[i];
    dataset.samples.push_back({std::move(image.id), std::move(image.image), image.info.seen.width,
                               image.info.seen.height,
                               label_objects(placed[i], image.annotation, labels, known, dataset.faults)});
  }
  for (const size_t i : uncertain) dataset.samples[i].frame_is_guessed = true;
  return dataset;
}

}  // namespace rcnn
