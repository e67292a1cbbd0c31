#include "data/voc.h"

#include <algorithm>
#include <optional>
#include <pugixml.hpp>
#include <sstream>
#include <string_view>
#include <unordered_set>

#include "core/error.h"
#include "core/files/atomic_file.h"
#include "core/files/output.h"
#include "data/annotation.h"
#include "data/files.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

/// The id in a line of a list. File names may contain spaces, so only the second column of VOC's lists of
/// single classes is removed, and only if no annotation has the whole line as its name.
std::string id_of_line(std::string_view line, const fs::path& annotations) {
  const size_t space = line.find_last_of(" \t");
  if (space == std::string_view::npos) return std::string(line);
  const std::string_view last = line.substr(space + 1);
  const bool is_flag = last == "1" || last == "-1" || last == "0" || last == "+1";
  if (!is_flag || fs::exists(annotations / (std::string(line) + ".xml"))) return std::string(line);
  return std::string(trim(line.substr(0, space)));
}

std::vector<std::string> read_list(const fs::path& path, const fs::path& annotations) {
  std::vector<std::string> ids;
  for (const std::string& line : read_lines(path)) ids.push_back(id_of_line(line, annotations));
  check_input(!ids.empty(), "{} lists no image.", path.string());
  return ids;
}

/// The ids of all annotations.
std::vector<std::string> find_annotated(const fs::path& annotations) {
  std::vector<std::string> ids;
  for (const fs::directory_entry& entry : fs::directory_iterator(annotations))
    if (entry.path().extension() == ".xml" && !entry.path().filename().string().starts_with('.'))
      ids.push_back(entry.path().stem().string());
  std::sort(ids.begin(), ids.end());
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
std::vector<std::string> ids_of_split(const fs::path& root, const std::string& split,
                                      std::vector<Fault>& faults) {
  const fs::path lists = root / "ImageSets" / "Main", annotations = root / "Annotations";
  if (split.empty()) return find_annotated(annotations);
  const fs::path list = lists / (split + ".txt"), train = lists / "train.txt";
  const fs::path val = lists / (fs::exists(lists / "val.txt") ? "val.txt" : "valid.txt");
  if (split != "trainval" || fs::exists(list) || !fs::exists(train) || !fs::exists(val))
    return without_duplicates(read_list(list, annotations), list, faults);

  std::vector<std::string> ids = without_duplicates(read_list(train, annotations), train, faults);
  const std::unordered_set<std::string> in_train(ids.begin(), ids.end());
  for (std::string& id : without_duplicates(read_list(val, annotations), val, faults))
    if (!in_train.contains(id)) ids.push_back(std::move(id));
  return ids;
}

/// The image header and annotation of one id, or nothing, with the reason among the faults.
std::optional<AnnotatedImage> read_image_of(const fs::path& root, const std::string& id,
                                            const ImageFolder& images, std::vector<Fault>& faults) {
  AnnotatedImage read;
  read.id = id;
  read.image = images.find(id);
  const fs::path xml = root / "Annotations" / (id + ".xml");
  fs::path file = xml;  // the file that a failure below concerns
  try {
    if (!read.image.empty() || fs::exists(xml)) {
      std::optional<Annotation> annotation = read_annotation(xml, faults);
      if (!annotation) return std::nullopt;
      read.annotation = std::move(*annotation);
      read.image = images.find_described(read.annotation);
    }
    file = read.image;
    if (read.image.empty()) {
      file = root / "JPEGImages" / (id + ".jpg");
      faults.push_back(
          {file,
           fmt::format("{} does not exist, nor does a .jpeg or .png with that name; the image is skipped.",
                       file.string())});
      return std::nullopt;
    }
    read.info = read_image_info(file);
  } catch (const InputError& error) {
    faults.push_back({file, error.what()});
    return std::nullopt;
  }
  return read;
}

void check_folders(const fs::path& root, bool has_lists) {
  check_input(fs::is_directory(root), "{} is not a folder; expected one in the layout of Pascal VOC.",
              root.string());
  for (const char* part : {"JPEGImages", "Annotations", "ImageSets/Main"})
    check_input(fs::is_directory(root / part) || (!has_lists && part == std::string_view("ImageSets/Main")),
                "{} lacks the folder {}; expected the layout of Pascal VOC.", root.string(), part);
}

}  // namespace

Dataset read_voc(const fs::path& root, const std::string& split, const std::vector<std::string>& classes) {
  check_folders(root, !split.empty());
  const ImageFolder folder(root / "JPEGImages");
  std::vector<Fault> faults;
  std::vector<AnnotatedImage> images;
  for (const std::string& id : ids_of_split(root, split, faults))
    if (std::optional<AnnotatedImage> image = read_image_of(root, id, folder, faults))
      images.push_back(std::move(*image));
  return make_dataset(
      std::move(images), classes, std::move(faults), root,
      split.empty() ? "the annotated images" : fmt::format("the images of the split '{}'", split));
}

void write_voc_annotation(const fs::path& path, const Sample& sample, const std::vector<std::string>& classes,
                          const std::string& image_file_name) {
  pugi::xml_document document;
  pugi::xml_node root = document.append_child("annotation");
  root.append_child(pugi::node_comment).set_value(fmt::format(" {} ", kWrittenHere).c_str());
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
