// Recognises labels in the wrong convention, and images that occur twice.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "core/text.h"
#include "data/equal_files.h"
#include "eval/advice.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

/// The places of a finding: how many there are, and the names of the first few files.
struct Places {
  size_t count = 0, files = 0;
  std::string last;
  std::vector<std::string> first;

  void add(const std::string& file) {
    ++count;
    if (file == last) return;
    last = file;
    if (++files <= 3) first.push_back(file);
  }
  std::string text() const {
    const std::string more = files > first.size() ? fmt::format(" and {} more", files - first.size()) : "";
    return fmt::format("{}{}", fmt::join(first, ", "), more);
  }
};

Places find_faults(const Dataset& dataset, FaultKind kind) {
  Places places;
  for (const Fault& fault : dataset.faults)
    if (fault.kind == kind) places.add(printable(fault.file.string()));
  return places;
}

/// Whether `part` of `whole` is too much to be a coincidence.
bool is_share(size_t part, size_t whole, double share) {
  return part >= 3 && static_cast<double>(part) >= share * static_cast<double>(whole);
}

/// How the boxes of a dataset lie on their images.
struct Positions {
  size_t boxes = 0;
  Places lower_right;     // boxes that end at the right or lower edge
  size_t upper_left = 0;  // boxes that begin at the left or upper edge
  Places in_first_pixel;
  Places repeated;  // boxes that are on the image once more, with the same class

  explicit Positions(const Dataset& dataset) {
    for (const Sample& sample : dataset.samples) {
      const std::string file = printable(sample.image.string());
      std::vector<std::tuple<int, float, float, float, float>> seen;
      for (const Object& object : sample.objects) {
        const Box& box = object.box;
        ++boxes;
        if (box.x2 >= static_cast<float>(sample.width) - 0.5f ||
            box.y2 >= static_cast<float>(sample.height) - 0.5f)
          lower_right.add(file);
        if (box.x1 <= 0.5f || box.y1 <= 0.5f) ++upper_left;
        if (box.x2 <= 1 && box.y2 <= 1) in_first_pixel.add(file);
        seen.emplace_back(object.label, box.x1, box.y1, box.x2, box.y2);
      }
      std::sort(seen.begin(), seen.end());
      for (size_t i = 1; i < seen.size(); ++i)
        if (seen[i] == seen[i - 1]) repeated.add(file);
    }
  }
};

struct ImageFile {
  size_t split;
  fs::path path;
};

/// Groups of files with the same bytes.
std::vector<std::vector<ImageFile>> equal_files(
    std::span<const std::pair<std::string, const Dataset*>> splits) {
  std::vector<ImageFile> files;
  std::vector<fs::path> paths;
  for (size_t s = 0; s < splits.size(); ++s)
    for (const Sample& sample : splits[s].second->samples) {
      files.push_back({s, sample.image});
      paths.push_back(sample.image);
    }
  std::vector<std::vector<ImageFile>> groups;
  for (const std::vector<size_t>& group : find_equal_files(paths)) {
    groups.emplace_back();
    for (const size_t i : group) groups.back().push_back(files[i]);
  }
  return groups;
}

}  // namespace

Sentences label_advice(const Dataset& dataset) {
  const Positions positions(dataset);
  const Places reversed = find_faults(dataset, FaultKind::reversed_box);
  const Places outside = find_faults(dataset, FaultKind::box_partly_outside),
               lost = find_faults(dataset, FaultKind::box_outside);
  const bool is_coco = !dataset.category_ids.empty();
  Sentences advice;
  for (const Fault& fault : dataset.faults)
    if (fault.kind == FaultKind::other_scale) advice.push_back(printable(fault.what));
  if (is_share(reversed.count, positions.boxes + reversed.count, 0.05))
    advice.push_back(fmt::format(
        "{} of {} boxes are reversed, in {}: they seem to be given as x, y, width, height, where the "
        "corners xmin, ymin, xmax, ymax are expected. Convert the annotations before training.",
        reversed.count, positions.boxes + reversed.count, reversed.text()));
  // If corners are read as x, y, width, height, the right edge of a box is at x1 + x2, which lies outside for
  // boxes in the right half of the image.
  const bool to_lower_right = positions.lower_right.count > 2 * positions.upper_left;
  if (is_share(outside.count + lost.count, positions.boxes + lost.count, 0.2) && to_lower_right) {
    const char* reason =
        is_coco && lost.count == 0
            ? "they seem to be given as corners x1, y1, x2, y2, where x, y, width, height are expected"
            : "they seem to be labels of a larger version of the images";
    advice.push_back(fmt::format(
        "{} of {} boxes extend beyond their image, mainly at the right or lower edge, as in {}: {}. Convert "
        "the "
        "annotations before training.",
        outside.count + lost.count, positions.boxes + lost.count, positions.lower_right.text(), reason));
  }
  if (is_share(positions.in_first_pixel.count, positions.boxes, 0.9))
    advice.push_back(fmt::format(
        "{} of {} boxes lie within the first pixel of their image, as in {}: they seem to be given as "
        "fractions of the width and height, where pixels are expected.",
        positions.in_first_pixel.count, positions.boxes, positions.in_first_pixel.text()));
  if (positions.repeated.count > 0)
    advice.push_back(
        fmt::format("{} box{} an exact copy of another box of the same class on the image, in {}. Delete the "
                    "copies.",
                    positions.repeated.count, positions.repeated.count == 1 ? " is" : "es are each",
                    positions.repeated.text()));
  return advice;
}

Sentences repeated_image_advice(std::span<const std::pair<std::string, const Dataset*>> splits) {
  struct Found {
    size_t images = 0;
    fs::path one, other;
  };
  std::map<std::pair<size_t, size_t>, Found> found;
  for (const std::vector<ImageFile>& group : equal_files(splits)) {
    // Each file counts once for every split that has an equal file before it.
    for (size_t j = 1; j < group.size(); ++j) {
      std::vector<bool> paired(splits.size());
      for (size_t i = 0; i < j; ++i) {
        if (paired[group[i].split]) continue;
        paired[group[i].split] = true;
        Found& pair = found[{group[i].split, group[j].split}];
        if (pair.images++ == 0) pair.one = group[i].path, pair.other = group[j].path;
      }
    }
  }
  Sentences advice;
  for (const auto& [pair, f] : found) {
    const auto& [one, other] = pair;
    const std::string first = printable(splits[one].first), second = printable(splits[other].first);
    const std::string files = printable(
        f.one == f.other ? f.one.string() : fmt::format("{} and {}", f.one.string(), f.other.string()));
    if (one == other)
      advice.push_back(fmt::format(
          "{} image{} of {} {} the same as another one of that split, such as {}; delete the copies.",
          f.images, f.images == 1 ? "" : "s", first, f.images == 1 ? "is" : "are", files));
    else
      advice.push_back(fmt::format(
          "{} image{} of {} {} also in {}, such as {}: results on {} are better than those on "
          "new images. Keep "
          "each image in one split only.",
          f.images, f.images == 1 ? "" : "s", second, f.images == 1 ? "is" : "are", first, files, second));
  }
  return advice;
}

}  // namespace rcnn
