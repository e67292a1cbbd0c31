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
#include "data/clip.h"
#include "data/files.h"
#include "data/orientation.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

/// The position of a file's extension among those of images, or their number if it is none of them.
size_t rank_of_extension(const fs::path& file) {
  constexpr std::string_view kExtensions[] = {".jpg", ".jpeg", ".png"};
  std::string extension = file.extension().string();
  for (char& c : extension)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return static_cast<size_t>(std::find(std::begin(kExtensions), std::end(kExtensions), extension) -
                             std::begin(kExtensions));
}

/// Reads one annotation file. Every fault is reported under the file's name.
class AnnotationReader {
 public:
  AnnotationReader(const fs::path& file, std::vector<Fault>& faults) : file_(file), faults_(faults) {}

  /// Returns nothing if the file itself cannot be used.
  std::optional<Annotation> read() {
    std::vector<uint8_t> bytes = read_file(file_);
    pugi::xml_document document;
    const pugi::xml_parse_result parsed = document.load_buffer_inplace(bytes.data(), bytes.size());
    if (!parsed) {
      report("is not readable XML ({} at byte {}); the image is skipped", parsed.description(),
             parsed.offset);
      return std::nullopt;
    }
    const pugi::xml_node root = document.child("annotation");
    if (!root) {
      report("has no <annotation> element; the image is skipped");
      return std::nullopt;
    }
    const pugi::xml_node size = root.child("size");
    Annotation annotation{file_,
                          image_name_of(root),
                          {size.child("width").text().as_int(), size.child("height").text().as_int()},
                          {}};
    int number = 0;
    for (const pugi::xml_node node : root.children("object"))
      if (std::optional<NamedObject> object = read_object(node, ++number))
        annotation.objects.push_back(std::move(*object));
    return annotation;
  }

 private:
  template <class... Args>
  void report(fmt::format_string<Args...> what, Args&&... args) {
    faults_.push_back(
        {file_, fmt::format("{} {}.", file_.string(), fmt::format(what, std::forward<Args>(args)...))});
  }

  /// The part after the last slash of either kind: some tools write a path, often one of another machine.
  static std::string image_name_of(pugi::xml_node root) {
    std::string_view name = trim(root.child("filename").text().get());
    if (name.empty()) name = trim(root.child("path").text().get());
    return std::string(name.substr(name.find_last_of("/\\") + 1));
  }

  std::optional<NamedObject> read_object(pugi::xml_node node, int number) {
    NamedObject named;
    named.name = trim(node.child("name").text().get());
    if (named.name.empty()) {
      report("has no name for object {}; the object is skipped", number);
      return std::nullopt;
    }
    const std::optional<Box> box = read_box(node.child("bndbox"), number, named);
    if (!box) return std::nullopt;
    named.object.box = *box;
    named.object.difficult = node.child("difficult").text().as_int() != 0;
    return named;
  }

  std::optional<float> read_coordinate(pugi::xml_node bndbox, const char* which, int number,
                                       const std::string& name) {
    const std::string_view text = trim(bndbox.child(which).text().get());
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size() && std::abs(value) < 1e9)
      return static_cast<float>(value);
    report("has {} '{}' in object {} ({}), expected a number; the object is skipped", which, text, number,
           name);
    return std::nullopt;
  }

  std::optional<Box> read_box(pugi::xml_node bndbox, int number, NamedObject& named) {
    float corners[4];
    const char* const names[4] = {"xmin", "ymin", "xmax", "ymax"};
    for (int i = 0; i < 4; ++i) {
      const std::optional<float> value = read_coordinate(bndbox, names[i], number, named.name);
      if (!value) return std::nullopt;
      corners[i] = *value;
    }
    const auto [xmin, ymin, xmax, ymax] = corners;
    named.where = fmt::format("object {} ({}): {} {} {} {}", number, named.name, xmin, ymin, xmax, ymax);
    if (xmin > xmax || ymin > ymax) {
      report("has a reversed box, {}; the object is skipped", named.where);
      faults_.back().kind = FaultKind::reversed_box;
      return std::nullopt;
    }
    if (xmin == xmax || ymin == ymax) {
      report("has a box of zero area, {}; the object is skipped", named.where);
      return std::nullopt;
    }
    return Box{xmin - 1, ymin - 1, xmax, ymax};
  }

  const fs::path& file_;
  std::vector<Fault>& faults_;
};

/// Turns an image's boxes into the frame in which the image is seen, and clips them to the image.
class Placer {
 public:
  Placer(const AnnotatedImage& image, bool turned, std::vector<Fault>& faults)
      : image_(image),
        turned_(turned),
        frame_(turned ? image.info.stored : image.info.seen),
        faults_(faults) {}

  std::vector<NamedObject> place() {
    report_size();
    std::vector<NamedObject> placed;
    for (const NamedObject& object : image_.annotation.objects) {
      const std::optional<Box> box = clip_to_image(object.object.box, frame_, object.where,
                                                   [this](FaultKind kind, const std::string& fault) {
                                                     report("{}", fault);
                                                     faults_.back().kind = kind;
                                                   });
      if (!box) continue;
      placed.push_back(object);
      placed.back().object.box = turned_ ? turn_box(*box, image_.info.orientation, image_.info.stored) : *box;
    }
    return placed;
  }

 private:
  template <class... Args>
  void report(fmt::format_string<Args...> what, Args&&... args) {
    const fs::path& file = image_.annotation.file;
    faults_.push_back(
        {file, fmt::format("{} {}.", file.string(), fmt::format(what, std::forward<Args>(args)...))});
  }

  void report_size() {
    const ImageSize said = image_.annotation.said;
    if (turned_ && !image_.annotation.objects.empty())
      faults_.push_back(turned_boxes_note(image_.annotation.file, image_.image, {image_.info, said}));
    if (said == ImageSize{})
      report("lacks a <size>; the image's {} x {} is used", frame_.width, frame_.height);
    else if (said != frame_)
      report("gives the size {} x {}, but the image has {} x {}; the image's size is used", said.width,
             said.height, frame_.width, frame_.height);
  }

  const AnnotatedImage& image_;
  bool turned_;
  ImageSize frame_;
  std::vector<Fault>& faults_;
};

std::vector<std::string> sorted_names(const std::vector<std::vector<NamedObject>>& images) {
  std::set<std::string> names;
  for (const std::vector<NamedObject>& objects : images)
    for (const NamedObject& object : objects) names.insert(object.name);
  return {names.begin(), names.end()};
}

/// The objects with their labels; those of unknown classes are dropped and reported.
std::vector<Object> label_objects(const std::vector<NamedObject>& named, const fs::path& annotation,
                                  const std::map<std::string, int>& labels, const std::string& known,
                                  std::vector<Fault>& faults) {
  std::vector<Object> objects;
  for (const NamedObject& object : named) {
    const auto found = labels.find(object.name);
    if (found == labels.end()) {
      faults.push_back(
          {annotation,
           fmt::format(
               "{} has an object of the unknown class '{}'; the object is skipped (the classes are {}).",
               annotation.string(), object.name, known)});
      continue;
    }
    objects.push_back(object.object);
    objects.back().label = found->second;
  }
  return objects;
}

}  // namespace

std::optional<Annotation> read_annotation(const fs::path& file, std::vector<Fault>& faults) {
  return AnnotationReader(file, faults).read();
}

bool is_annotation_file(const fs::path& file) {
  std::vector<uint8_t> bytes = read_file(file);
  pugi::xml_document document;
  return document.load_buffer_inplace(bytes.data(), bytes.size()) && document.child("annotation");
}

Dataset make_dataset(std::vector<AnnotatedImage> images, const std::vector<std::string>& classes,
                     std::vector<Fault> faults, const fs::path& root, const std::string& what) {
  check_input(!images.empty(), "{}: none of {} can be used; the first fault: {}", root.string(), what,
              faults.empty() ? "" : faults.front().what);
  Dataset dataset;
  dataset.faults = std::move(faults);

  std::vector<SizeClaim> claims;
  for (const AnnotatedImage& image : images) claims.push_back({image.info, image.annotation.said});
  const std::vector<bool> turned = find_boxes_to_turn(claims);
  std::vector<std::vector<NamedObject>> placed;
  for (size_t i = 0; i < images.size(); ++i)
    placed.push_back(Placer(images[i], turned[i], dataset.faults).place());

  dataset.classes = classes.empty() ? sorted_names(placed) : classes;
  check_input(!dataset.classes.empty(), "{}: {} contain no object, so there is no class to learn.",
              root.string(), what);
  std::map<std::string, int> labels;
  for (const std::string& name : dataset.classes) labels.emplace(name, static_cast<int>(labels.size()) + 1);
  check_input(labels.size() == dataset.classes.size(), "The class names {} contain a name twice.",
              fmt::join(dataset.classes, ", "));
  const std::string known = fmt::format("{}", fmt::join(dataset.classes, ", "));
  for (size_t i = 0; i < images.size(); ++i) {
    AnnotatedImage& image = images[i];
    dataset.samples.push_back(
        {std::move(image.id), std::move(image.image), image.info.seen.width, image.info.seen.height,
         label_objects(placed[i], image.annotation.file, labels, known, dataset.faults)});
  }
  return dataset;
}

bool has_image_extension(const fs::path& file) { return rank_of_extension(file) < 3; }

ImageFolder::ImageFolder(const fs::path& folder) {
  if (!fs::is_directory(folder)) return;
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    if (has_image_extension(entry.path())) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::stable_sort(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) {
    return rank_of_extension(a) < rank_of_extension(b);
  });
  for (const fs::path& file : files) by_stem_[file.stem().string()].push_back(file);
}

fs::path ImageFolder::find(const std::string& stem, const std::string& preferred) const {
  const auto found = by_stem_.find(stem);
  if (found == by_stem_.end()) return {};
  for (const fs::path& file : found->second)
    if (file.filename() == preferred) return file;
  return found->second.front();
}

fs::path ImageFolder::find_described(const Annotation& annotation) const {
  const std::string& name = annotation.image_name;
  if (const fs::path own = find(annotation.file.stem().string(), name); !own.empty()) return own;
  fs::path named = find(fs::path(name).stem().string(), name);
  if (named.empty()) named = find(name);  // a name with a dot and without an extension
  if (named.empty() || fs::exists(annotation.file.parent_path() / (named.stem().string() + ".xml")))
    return {};
  return named;
}

}  // namespace rcnn
