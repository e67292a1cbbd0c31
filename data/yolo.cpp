#include "data/yolo.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <unordered_set>

#include "core/error.h"
#include "core/files/look.h"
#include "core/text.h"
#include "data/annotation.h"
#include "data/class_limits.h"
#include "data/files.h"
#include "data/image_folder.h"
#include "data/inside.h"
#include "data/yolo_labels.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

/// The numbers of a line; nothing if one of its words is not a finite number below 1e9.
std::optional<std::vector<double>> numbers_of(std::string_view line) {
  std::vector<double> numbers;
  while (!(line = trim(line)).empty()) {
    const std::string_view word = line.substr(0, line.find_first_of(" \t,"));
    double number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error != std::errc() || end != word.data() + word.size() || !(std::abs(number) < 1e9))
      return std::nullopt;
    numbers.push_back(number);
    line.remove_prefix(word.size());
    while (!line.empty() && (line.front() == ' ' || line.front() == '\t' || line.front() == ','))
      line.remove_prefix(1);
  }
  return numbers;
}

bool is_class(double number) { return number >= 0 && number < 1e6 && number == std::trunc(number); }

/// A corner in pixels. One that is outside by no more than the rounding of a written number is at the edge.
float in_pixels(double share, int side) {
  constexpr double kRounding = 1e-4;
  if (share < 0 && share > -kRounding) share = 0;
  if (share > 1 && share < 1 + kRounding) share = 1;
  return static_cast<float>(share * side);
}

Box to_pixels(const BoxOf<double>& shares, ImageSize image) {
  return {in_pixels(shares.x1, image.width), in_pixels(shares.y1, image.height),
          in_pixels(shares.x2, image.width), in_pixels(shares.y2, image.height)};
}

/// The box of a line, in shares of the image; nothing if the line has another number of words.
std::optional<BoxOf<double>> box_of(const std::vector<double>& numbers, bool has_keypoints) {
  if (numbers.size() == 5 || (has_keypoints && numbers.size() > 5)) {
    const double x = numbers[1], y = numbers[2], w = numbers[3] / 2, h = numbers[4] / 2;
    return BoxOf<double>{x - w, y - h, x + w, y + h};
  }
  if (numbers.size() < 7 || numbers.size() % 2 == 0) return std::nullopt;
  BoxOf<double> box{numbers[1], numbers[2], numbers[1], numbers[2]};
  for (size_t i = 3; i < numbers.size(); i += 2)
    box = {std::min(box.x1, numbers[i]), std::min(box.y1, numbers[i + 1]), std::max(box.x2, numbers[i]),
           std::max(box.y2, numbers[i + 1])};
  return box;
}

/// Reads the images of a split. Every fault is reported.
class SplitReader {
 public:
  SplitReader(const YoloData& data, const ReadOptions& options, std::vector<Fault>& faults)
      : data_(data), options_(options), stored_(options.exif_boxes == ExifBoxes::stored), faults_(faults) {}

  std::vector<AnnotatedImage> read(const std::vector<fs::path>& places) {
    std::vector<AnnotatedImage> images;
    std::vector<fs::path> files;
    std::set<fs::path> described;
    for (const fs::path& place : places) {
      const YoloImages found = yolo_images_of(place, data_.root, options_);
      for (const std::string& line : found.missing)
        faults_.push_back(
            {place,
             fmt::format("{} lists {}, which {}; it is skipped.", place.string(), printable(line),
                         may_read(data_.root, data_.root / line, options_) ? "does not exist"
                                                                           : reason_not_to_read(line)),
             FaultKind::missing_image});
      for (const fs::path& image : found.images) {
        if (!seen_.insert(image).second) continue;
        files.push_back(image);
        const fs::path label = find_yolo_label(image);
        if (label.empty()) continue;
        described.insert(image);
        if (const auto [first, is_new] = image_of_.emplace(label, image); !is_new) {
          faults_.push_back({label,
                             fmt::format("{} is the label of {} and of {}, which is skipped: a label belongs "
                                         "to one image.",
                                         label.string(), first->second.string(), image.string()),
                             FaultKind::repeated});
          continue;
        }
        try {
          images.push_back(read_one(image, label, place));
        } catch (const InputError& error) {
          faults_.push_back({image, error.what(), FaultKind::bad_image});
        }
      }
    }
    report_unannotated(data_.root, files, described, faults_);
    return images;
  }

 private:
  AnnotatedImage read_one(const fs::path& image, const fs::path& label, const fs::path& place) {
    const ImageInfo info = read_image_info(image);
    Annotation annotation;
    annotation.file = label;
    annotation.image_name = image.filename().string();
    annotation.form_has_sizes = false;
    annotation.in_shares = true;
    annotation.objects = read_yolo_labels(label, data_, stored_ ? info.stored : info.seen, faults_);
    return {unique_id(image, place), image, info, std::move(annotation)};
  }

  std::string unique_id(const fs::path& image, const fs::path& place) {
    const fs::path stem = fs::path(image).replace_extension();
    fs::path below = is_folder(place) ? stem.lexically_relative(place) : stem.filename();
    std::string id = escaped(below.generic_string());
    if (id.starts_with("images/")) id.erase(0, 7);
    if (ids_.contains(id)) id = escaped(image.lexically_relative(data_.root).generic_string());
    while (!ids_.insert(id).second) id += "_";
    return id;
  }

  const YoloData& data_;
  const ReadOptions& options_;
  const bool stored_;  // shares are those of the image before it is turned
  std::vector<Fault>& faults_;
  std::set<fs::path> seen_;
  std::map<fs::path, fs::path> image_of_;  // by the label
  std::unordered_set<std::string> ids_;
};

/// Names without those that repeat an earlier one.
std::vector<std::string> without_repeated(const YoloData& data, std::vector<Fault>& faults) {
  check_class_names(data.names_file.string(), data.names);
  std::vector<std::string> names;
  std::unordered_set<std::string_view> seen;
  for (const std::string& name : data.names)
    if (seen.insert(name).second)
      names.push_back(name);
    else
      faults.push_back({data.names_file,
                        fmt::format("{} names two classes '{}'; they are read as one class.",
                                    data.names_file.string(), name),
                        FaultKind::repeated});
  return names;
}

}  // namespace

YoloImages yolo_images_of(const fs::path& place, const fs::path& root, const ReadOptions& options) {
  YoloImages found;
  if (is_folder(place)) {
    walk_files(place, [&](const fs::path& file) {
      if (has_image_extension(file)) found.images.push_back(file);
      return true;
    });
    std::sort(found.images.begin(), found.images.end());
    return found;
  }
  std::error_code unusable;  // a name that no file can have
  for (std::string line : read_lines(place)) {
    std::replace(line.begin(), line.end(), '\\', '/');
    const fs::path rest = fs::path(line).lexically_normal();
    fs::path image;
    const fs::path own = place.parent_path();
    for (const fs::path& base : {own, root})
      if (const fs::path named = base / rest;
          image.empty() && (may_read(root, named, options) || may_read(own, named, options)) &&
          fs::is_regular_file(named, unusable))
        image = named;
    const fs::path below = rest.relative_path();
    for (auto first = below.begin(); image.empty() && first != below.end();
         ++first) {  // without its first parts
      fs::path shorter;
      for (auto part = first; part != below.end(); ++part) shorter /= *part;
      if (may_read(root, root / shorter, options) && fs::is_regular_file(root / shorter, unusable))
        image = root / shorter;
    }
    if (!image.empty() && has_image_extension(image))
      found.images.push_back(image.lexically_normal());
    else
      found.missing.push_back(line);
  }
  return found;
}

fs::path find_yolo_label(const fs::path& image) {
  const std::string text = image.generic_string();
  const fs::path name = fs::path(image.stem().string() + ".txt");
  std::vector<fs::path> places;
  for (const std::string part : {"/images/", "/JPEGImages/"})
    if (const size_t at = text.rfind(part); at != std::string::npos)
      places.push_back(
          fs::path(text.substr(0, at) + "/labels/" + text.substr(at + part.size())).parent_path());
  places.push_back(image.parent_path());
  places.push_back(image.parent_path().parent_path() / "labels");
  std::error_code unusable;
  for (const fs::path& place : places)
    if (fs::is_regular_file(place / name, unusable)) return place / name;
  return {};
}

bool has_yolo_labels(const fs::path& folder, const fs::path& root) {
  constexpr size_t kMaxTried = 50;
  if (!is_folder(folder)) return false;
  const std::vector<fs::path> images = ImageFolder(folder).files();
  size_t tried = 0;
  for (const fs::path& image : images) {
    const fs::path label = find_yolo_label(image);
    if (label.empty() || *label.lexically_relative(root).begin() == "..") {
      if (++tried == kMaxTried) break;
      continue;
    }
    const std::vector<std::string> lines = read_lines(label);
    if (lines.empty()) continue;  // an image without objects, of which there may be many
    return std::all_of(lines.begin(), lines.end(), [](const std::string& line) {
      const auto numbers = numbers_of(line);
      return numbers && numbers->size() >= 5 && is_class(numbers->front());
    });
  }
  return false;
}

std::vector<NamedObject> read_yolo_labels(const fs::path& file, const YoloData& data, ImageSize image,
                                          std::vector<Fault>& faults) {
  std::vector<NamedObject> objects;
  size_t number = 0;
  const auto report = [&](FaultKind kind, const std::string& line, const std::string& what) {
    const std::string shown = printable(line.size() > 60 ? line.substr(0, 60) + "..." : line);
    faults.push_back({file,
                      fmt::format("{} has the label {} ({}), {}; the object is skipped.", file.string(),
                                  number, shown, what),
                      kind});
  };
  for (const std::string& line : read_lines(file)) {
    ++number;
    const std::optional<std::vector<double>> numbers = numbers_of(line);
    const std::optional<BoxOf<double>> shares = numbers ? box_of(*numbers, data.has_keypoints) : std::nullopt;
    if (!shares || !is_class(numbers->front())) {
      report(FaultKind::bad_object, line,
             numbers && numbers->size() == 6
                 ? "which has six numbers, as a detection with its confidence; expected five"
                 : "expected a class and four numbers, or the corners of an outline");
      continue;
    }
    const auto label = static_cast<size_t>(numbers->front());
    if (label >= data.names.size()) {
      report(FaultKind::unknown_class, line,
             fmt::format("whose class is not one of the {} in {}, from 0", data.names.size(),
                         data.names_file.string()));
      continue;
    }
    NamedObject named;
    named.name = data.names[label];
    named.object.box = to_pixels(*shares, image);
    const auto [x1, y1, x2, y2] = named.object.box;
    named.where = fmt::format("object {} ({}): {} {} {} {}", number, named.name, x1, y1, x2, y2);
    if (!(x1 < x2 && y1 < y2)) {
      const bool is_reversed = shares->x1 > shares->x2 || shares->y1 > shares->y2;
      report(is_reversed ? FaultKind::reversed_box : FaultKind::empty_box, line, "whose box has no area");
      continue;
    }
    objects.push_back(std::move(named));
  }
  return objects;
}

Dataset read_yolo(const YoloData& data, const std::string& split, const std::vector<std::string>& classes,
                  const ReadOptions& options) {
  check_input(!data.names.empty(),
              "{} holds labels of YOLO, but nothing gives the names of their classes: there is neither a "
              "data.yaml nor a classes.txt. Write classes.txt with one name per line, that of class 0 first.",
              data.root.string());
  const auto places = data.splits.find(split);
  check_input(places != data.splits.end(), "{} has no split '{}'.", data.root.string(), split);
  std::vector<Fault> faults;
  std::vector<AnnotatedImage> images = SplitReader(data, options, faults).read(places->second);
  std::vector<std::string> names = without_repeated(data, faults);
  return make_dataset(
      std::move(images), classes.empty() ? names : classes, std::move(faults), data.root,
      split.empty() ? "the labelled images" : fmt::format("the images of the split '{}'", split), options);
}

}  // namespace rcnn
