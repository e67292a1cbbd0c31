#include "data/voc.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <pugixml.hpp>
#include <set>
#include <sstream>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "core/atomic_file.h"
#include "core/error.h"
#include "data/clip.h"
#include "data/files.h"
#include "data/image.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

/// An object whose class has a name but no number yet.
struct NamedObject {
  Object object;
  std::string name;
};

using ImagesById = std::unordered_map<std::string, fs::path>;

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

/// The id in a line of a list. File names may contain spaces, so only the column that VOC's own lists of one
/// class carry is taken off, and only where no annotation has the whole line for its name.
std::string id_of_line(std::string_view line, const fs::path& annotations) {
  const size_t space = line.find_last_of(" \t");
  if (space == std::string_view::npos) return std::string(line);
  const std::string_view last = line.substr(space + 1);
  const bool is_flag = last == "1" || last == "-1" || last == "0" || last == "+1";
  if (!is_flag || fs::exists(annotations / (std::string(line) + ".xml"))) return std::string(line);
  return std::string(trim(line.substr(0, space)));
}

std::vector<std::string> read_list(const fs::path& path, const fs::path& annotations) {
  const std::vector<uint8_t> bytes = read_file(path);
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);  // the byte order mark of some editors
  std::vector<std::string> ids;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trim(text.substr(0, end));
    if (!line.empty()) ids.push_back(id_of_line(line, annotations));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  check_input(!ids.empty(), "{} lists no image.", path.string());
  return ids;
}

std::vector<std::string> without_duplicates(const std::vector<std::string>& ids, const fs::path& list,
                                            std::vector<Fault>& faults) {
  std::vector<std::string> unique;
  std::unordered_set<std::string> seen;
  for (const std::string& id : ids) {
    if (seen.insert(id).second)
      unique.push_back(id);
    else
      faults.push_back(
          {list, fmt::format("{} lists {} more than once; the repetition is skipped.", list.string(), id)});
  }
  return unique;
}

/// The ids of a split, each once, in the order of its list.
std::vector<std::string> read_split(const fs::path& root, const std::string& split,
                                    std::vector<Fault>& faults) {
  const fs::path lists = root / "ImageSets" / "Main", annotations = root / "Annotations";
  const fs::path list = lists / (split + ".txt"), train = lists / "train.txt", val = lists / "val.txt";
  if (split != "trainval" || fs::exists(list) || !fs::exists(train) || !fs::exists(val))
    return without_duplicates(read_list(list, annotations), list, faults);

  std::vector<std::string> ids = without_duplicates(read_list(train, annotations), train, faults);
  const std::unordered_set<std::string> in_train(ids.begin(), ids.end());
  for (std::string& id : without_duplicates(read_list(val, annotations), val, faults))
    if (!in_train.contains(id)) ids.push_back(std::move(id));
  return ids;
}

/// Every image of the folder by its name without extension; of several with one name .jpg goes before .png.
ImagesById find_images(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  ImagesById images;
  for (const std::string_view wanted : {".jpg", ".jpeg", ".png"})
    for (const fs::path& file : files) {
      std::string extension = file.extension().string();
      for (char& c : extension)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
      if (extension == wanted) images.emplace(file.stem().string(), file);
    }
  return images;
}

/// Reads one annotation file. Every fault is reported under the file's name.
class AnnotationReader {
 public:
  AnnotationReader(const fs::path& file, ImageSize image, std::vector<Fault>& faults)
      : file_(file), image_(image), faults_(faults) {}

  /// The usable objects, or nothing where the file itself cannot be used.
  std::optional<std::vector<NamedObject>> read() {
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
    compare_size(root.child("size"));
    std::vector<NamedObject> objects;
    int number = 0;
    for (const pugi::xml_node node : root.children("object"))
      if (std::optional<NamedObject> object = read_object(node, ++number))
        objects.push_back(std::move(*object));
    return objects;
  }

 private:
  template <class... Args>
  void report(fmt::format_string<Args...> what, Args&&... args) {
    faults_.push_back(
        {file_, fmt::format("{} {}.", file_.string(), fmt::format(what, std::forward<Args>(args)...))});
  }

  void compare_size(pugi::xml_node size) {
    if (!size) return report("lacks a <size>; the image's {} x {} is used", image_.width, image_.height);
    const ImageSize said{size.child("width").text().as_int(), size.child("height").text().as_int()};
    if (said != image_)
      report("gives the size {} x {} where the image has {} x {}; the image's is used", said.width,
             said.height, image_.width, image_.height);
  }

  std::optional<NamedObject> read_object(pugi::xml_node node, int number) {
    NamedObject named;
    named.name = trim(node.child("name").text().get());
    if (named.name.empty()) {
      report("has no name for object {}; the object is skipped", number);
      return std::nullopt;
    }
    const std::optional<Box> box = read_box(node.child("bndbox"), number, named.name);
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
    report("has {} '{}' where a number is expected, in object {} ({}); the object is skipped", which, text,
           number, name);
    return std::nullopt;
  }

  std::optional<Box> read_box(pugi::xml_node bndbox, int number, const std::string& name) {
    float corners[4];
    const char* const names[4] = {"xmin", "ymin", "xmax", "ymax"};
    for (int i = 0; i < 4; ++i) {
      const std::optional<float> value = read_coordinate(bndbox, names[i], number, name);
      if (!value) return std::nullopt;
      corners[i] = *value;
    }
    const auto [xmin, ymin, xmax, ymax] = corners;
    const std::string where =
        fmt::format("object {} ({}): {} {} {} {}", number, name, xmin, ymin, xmax, ymax);
    if (xmin > xmax || ymin > ymax) {
      report("has a reversed box, {}; the object is skipped", where);
      return std::nullopt;
    }
    if (xmin == xmax || ymin == ymax) {
      report("has a box of zero area, {}; the object is skipped", where);
      return std::nullopt;
    }
    return clip_to_image({xmin - 1, ymin - 1, xmax, ymax}, image_, where,
                         [this](const std::string& fault) { report("{}", fault); });
  }

  const fs::path& file_;
  ImageSize image_;
  std::vector<Fault>& faults_;
};

struct NamedSample {
  Sample sample;
  fs::path annotation;
  std::vector<NamedObject> objects;
};

/// Image header and annotation of one id, or nothing, with the reason among the faults.
std::optional<NamedSample> read_sample(const fs::path& root, const std::string& id, const ImagesById& images,
                                       std::vector<Fault>& faults) {
  NamedSample read;
  read.annotation = root / "Annotations" / (id + ".xml");
  const auto found = images.find(id);
  if (found == images.end()) {
    const fs::path expected = root / "JPEGImages" / (id + ".jpg");
    faults.push_back(
        {expected,
         fmt::format("{} does not exist, nor does a .jpeg or .png of that name; the image is skipped.",
                     expected.string())});
    return std::nullopt;
  }
  read.sample.id = id;
  read.sample.image = found->second;
  fs::path file = found->second;  // the one that a failure below is about
  try {
    const ImageSize size = read_image_size(file);
    read.sample.width = size.width;
    read.sample.height = size.height;
    file = read.annotation;
    std::optional<std::vector<NamedObject>> objects = AnnotationReader(file, size, faults).read();
    if (!objects) return std::nullopt;
    read.objects = std::move(*objects);
  } catch (const InputError& error) {
    faults.push_back({file, error.what()});
    return std::nullopt;
  }
  return read;
}

std::vector<std::string> sorted_names(const std::vector<NamedSample>& samples) {
  std::set<std::string> names;
  for (const NamedSample& sample : samples)
    for (const NamedObject& object : sample.objects) names.insert(object.name);
  return {names.begin(), names.end()};
}

/// Gives the objects their labels; those of unknown classes are dropped and reported.
void label_objects(NamedSample& named, const std::map<std::string, int>& labels, const std::string& known,
                   std::vector<Fault>& faults) {
  for (NamedObject& object : named.objects) {
    const auto found = labels.find(object.name);
    if (found == labels.end()) {
      faults.push_back(
          {named.annotation,
           fmt::format(
               "{} has an object of the unknown class '{}'; the object is skipped (the classes are {}).",
               named.annotation.string(), object.name, known)});
      continue;
    }
    object.object.label = found->second;
    named.sample.objects.push_back(object.object);
  }
}

void check_folders(const fs::path& root) {
  check_input(fs::is_directory(root), "{} is not a folder; expected one in the form of Pascal VOC.",
              root.string());
  for (const char* part : {"JPEGImages", "Annotations", "ImageSets/Main"})
    check_input(fs::is_directory(root / part), "{} lacks the folder {}; expected the form of Pascal VOC.",
                root.string(), part);
}

}  // namespace

Dataset read_voc(const fs::path& root, const std::string& split, const std::vector<std::string>& classes) {
  check_folders(root);
  Dataset dataset;
  const ImagesById images = find_images(root / "JPEGImages");
  std::vector<NamedSample> samples;
  for (const std::string& id : read_split(root, split, dataset.faults))
    if (std::optional<NamedSample> sample = read_sample(root, id, images, dataset.faults))
      samples.push_back(std::move(*sample));
  check_input(!samples.empty(), "{}: none of the images of the split '{}' can be used; the first fault: {}",
              root.string(), split, dataset.faults.empty() ? "" : dataset.faults.front().what);

  dataset.classes = classes.empty() ? sorted_names(samples) : classes;
  check_input(!dataset.classes.empty(),
              "{}: the images of the split '{}' hold no object, so there is no class to learn.",
              root.string(), split);
  std::map<std::string, int> labels;
  for (const std::string& name : dataset.classes) labels.emplace(name, static_cast<int>(labels.size()) + 1);
  check_input(labels.size() == dataset.classes.size(), "The class names {} contain one twice.",
              fmt::join(dataset.classes, ", "));
  const std::string known = fmt::format("{}", fmt::join(dataset.classes, ", "));
  for (NamedSample& sample : samples) {
    label_objects(sample, labels, known, dataset.faults);
    dataset.samples.push_back(std::move(sample.sample));
  }
  return dataset;
}

void write_voc_annotation(const fs::path& path, const Sample& sample, const std::vector<std::string>& classes,
                          const std::string& image_file_name) {
  pugi::xml_document document;
  pugi::xml_node root = document.append_child("annotation");
  const auto add = [](pugi::xml_node parent, const char* name, const auto& value) {
    parent.append_child(name).text().set(fmt::format("{}", value).c_str());
  };
  add(root, "folder", "JPEGImages");
  add(root, "filename", image_file_name);
  pugi::xml_node size = root.append_child("size");
  add(size, "width", sample.width);
  add(size, "height", sample.height);
  add(size, "depth", 3);
  for (const Object& object : sample.objects) {
    check(object.label >= 1 && static_cast<size_t>(object.label) <= classes.size(),
          "write_voc_annotation: {} has an object with label {}; expected 1 to {}.", sample.id, object.label,
          classes.size());
    pugi::xml_node node = root.append_child("object");
    add(node, "name", classes[static_cast<size_t>(object.label - 1)]);
    add(node, "difficult", object.difficult ? 1 : 0);
    pugi::xml_node box = node.append_child("bndbox");
    add(box, "xmin", object.box.x1 + 1);
    add(box, "ymin", object.box.y1 + 1);
    add(box, "xmax", object.box.x2);
    add(box, "ymax", object.box.y2);
  }
  std::ostringstream xml;
  document.save(xml, "  ", pugi::format_default | pugi::format_no_declaration);
  const std::string text = xml.str();
  write_atomically(path, text, Sync::no);
}

}  // namespace rcnn
