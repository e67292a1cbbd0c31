#include "data/folder.h"

#include <algorithm>
#include <map>

#include "core/error.h"
#include "core/files/look.h"
#include "core/text.h"
#include "data/annotation.h"
#include "data/beside.h"
#include "data/coco.h"
#include "data/coco_places.h"
#include "data/image_folder.h"
#include "data/json_file.h"
#include "data/labelled.h"
#include "data/voc.h"
#include "data/voc_lists.h"
#include "data/yolo.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

bool is_voc(const fs::path& folder) {
  return is_folder(folder / "JPEGImages") && is_folder(folder / "Annotations") &&
         (is_folder(folder / "ImageSets") || holds_annotations(folder / "Annotations"));
}

/// The form of a folder that is neither `voc` nor `coco`.
std::string form_by_files(const fs::path& folder) {
  if (holds_annotations(folder)) return "beside";
  const std::vector<LabelledPlace> places = find_labelled(folder);
  if (!places.empty()) return places.front().form->name;
  return is_yolo(folder) ? "yolo" : "";
}

std::string form_without_splits(const fs::path& folder) {
  if (is_voc(folder)) return "voc";
  if (!find_coco_files(folder).empty()) return "coco";
  return form_by_files(folder);
}

/// The subfolders train/, valid/, ... that hold labelled images, by the names of their splits. `others`, if
/// given, receives those that hold none.
std::map<std::string, fs::path> split_folders(const fs::path& root, std::vector<fs::path>* others = nullptr) {
  std::vector<fs::path> folders;
  for (const fs::directory_entry& entry : entries_of(root))
    if (is_folder(entry) && !usual_split(entry.path().filename().string()).empty())
      folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  std::map<std::string, fs::path> found;
  for (const fs::path& folder : folders)
    if (!form_without_splits(folder).empty())
      found.emplace(usual_split(folder.filename().string()), folder);
    else if (others)
      others->push_back(folder);
  return found;
}

bool has_xml_right_inside(const fs::path& root) {
  const std::vector<fs::directory_entry> entries = entries_of(root);
  return std::any_of(entries.begin(), entries.end(),
                     [](const fs::directory_entry& entry) { return has_xml_extension(entry.path()); });
}

std::string form_of(const fs::path& root) {
  if (is_voc(root)) return "voc";
  if (!find_yolo_yaml(root).empty()) return "yolo";
  const std::map<std::string, fs::path> splits = split_folders(root);
  if (splits.contains("train")) return "splits";
  if (!find_coco_files(root).empty()) return "coco";
  if (!splits.empty() && !has_xml_right_inside(root)) return "splits";
  return form_by_files(root);
}

/// Whether a folder is a data set, with its images, of a form that shows in its folders or files: all but
/// `beside`.
bool is_data_set(const fs::path& folder) {
  if (is_voc(folder) || !find_coco_files(folder).empty() || is_yolo(folder)) return true;
  const std::vector<LabelledPlace> labelled = find_labelled(folder);
  if (!labelled.empty() && !labelled.front().form->one_image) return true;
  const std::map<std::string, fs::path> splits = split_folders(folder);
  return (splits.size() > 1 || splits.contains("train")) && holds_images(folder);
}

/// The data sets inside a folder that is none itself, down to three levels, by name.
std::vector<fs::path> find_inner(const fs::path& folder, int levels = 3) {
  std::vector<fs::path> folders, found;
  for (const fs::directory_entry& entry : entries_of(folder)) {
    const std::string name = entry.path().filename().string();
    if (is_folder(entry) && !name.starts_with('.') && name != "__MACOSX" && name != "lost+found")
      folders.push_back(entry.path());
  }
  for (const fs::path& inner : folders) {
    if (is_data_set(inner))
      found.push_back(inner);
    else if (levels > 1)
      for (fs::path& deeper : find_inner(inner, levels - 1)) found.push_back(std::move(deeper));
  }
  return found;
}

/// The single data set inside a folder that is none itself, such as VOC2007 in VOCdevkit; empty if there is
/// none. Throws InputError with the paths if there are several, or annotations beside it: the folder then
/// does not say which of them are meant, and reading all would train on test images.
fs::path enter_inner(const fs::path& root) {
  const std::vector<fs::path> inner = find_inner(root);
  if (inner.empty()) return {};
  std::vector<std::string> paths;
  for (const fs::path& path : inner) paths.push_back(path.string());
  check_input(inner.size() == 1, "{} holds {} data sets; give the path of one of them: {}", root.string(),
              inner.size(), fmt::join(paths, ", "));
  check_input(!holds_annotations(root, inner[0]),
              "{} holds the data set {} and other annotations outside of it; give the path of one of them.",
              root.string(), paths[0]);
  return inner[0];
}

[[noreturn]] void fail_unknown(const fs::path& root) {
  size_t images = 0, xml = 0, json = 0, text = 0;
  walk(root, [&](const fs::directory_entry& entry) {
    const fs::path extension = entry.path().extension();
    images += has_image_extension(entry.path()) ? 1 : 0;
    xml += has_xml_extension(entry.path()) ? 1 : 0;
    json += extension == ".json" ? 1 : 0;
    text += extension == ".txt" ? 1 : 0;
    return Visit::on;
  });
  const std::string unread = name_unread_form(root);
  throw InputError(fmt::format(
      "{} holds no labelled images in a known layout: {} image{}, {} XML, {} JSON and {} text "
      "files were found. Expected Pascal VOC (JPEGImages/, Annotations/ and, for splits, "
      "ImageSets/Main/), XML annotations in VOC's format beside the images, a COCO JSON file with its "
      "images, YOLO (data.yaml, images/ and labels/), CVAT's XML, VIA's or labelme's JSON, TensorFlow's or "
      "Open "
      "Images' CSV, or folders train/, valid/ and test/ of any of these.{}{}",
      root.string(), images, images == 1 ? "" : "s", xml, json, text, unread.empty() ? "" : " ", unread));
}

/// "train", "val", "test", then the others by name.
std::vector<std::string> in_order(std::vector<std::string> splits) {
  const auto rank = [](const std::string& split) {
    return split == "train" ? 0 : split == "val" ? 1 : split == "test" ? 2 : 3;
  };
  std::sort(splits.begin(), splits.end(), [&](const std::string& a, const std::string& b) {
    return std::pair(rank(a), a) < std::pair(rank(b), b);
  });
  return splits;
}

/// All splits as one dataset with the classes of the first. The ids of the samples get the name of their
/// split as a prefix, and COCO's numbers are dropped, because both may occur in several splits.
Dataset read_all(const DataFolder& folder, const std::vector<std::string>& classes) {
  Dataset all;
  for (const std::string& split : folder.splits) {
    Dataset part = read_split(folder, split, all.classes.empty() ? classes : all.classes);
    for (Sample& sample : part.samples) {
      sample.id = escaped(split) + "/" + sample.id;
      sample.coco_id.reset();
      all.samples.push_back(std::move(sample));
    }
    all.faults.insert(all.faults.end(), part.faults.begin(), part.faults.end());
    if (all.classes.empty()) {
      all.classes = std::move(part.classes);
      all.category_ids = std::move(part.category_ids);
    }
  }
  return all;
}

Dataset read_coco_split(const fs::path& root, const std::string& split,
                        const std::vector<std::string>& classes, const ReadOptions& options) {
  if (is_file(root)) return read_coco(root, find_coco_images(root), classes, options);
  for (const CocoPlace& place : find_coco_files(root))
    if (place.split == split) return read_coco(place.file, find_coco_images(place.file), classes, options);
  throw InputError(
      fmt::format("{}: the COCO file of the split '{}' no longer exists.", root.string(), split));
}

Dataset read_voc_split(const fs::path& root, const std::string& split,
                       const std::vector<std::string>& classes, const ReadOptions& options) {
  const std::map<std::string, std::string> lists = find_voc_lists(root).names;
  const auto list = lists.find(split);
  return read_voc(root, list == lists.end() ? split : list->second, classes, options);
}

Dataset read_beside_split(const fs::path& root, const std::string& split,
                          const std::vector<std::string>& classes, const ReadOptions& options) {
  std::vector<std::string> unused;
  const std::map<std::string, fs::path> lists = find_lists_beside(root, unused);
  const auto list = lists.find(split);
  return read_beside(root, classes, list == lists.end() ? fs::path() : list->second, options,
                     lists.empty() ? split : "");
}

Dataset read_labelled_split(const DataFolder& folder, const std::string& split,
                            const std::vector<std::string>& classes) {
  const fs::path& root = folder.root;
  if (is_file(root)) return read_labelled(root, {label_form_of(root), "", {root}}, classes, folder.options);
  const std::vector<LabelledPlace> places = find_labelled(root);
  for (const LabelledPlace& place : places)  // a file in train/ may be named after the split once more
    if (place.split == split || (split.empty() && places.size() == 1))
      return read_labelled(root, place, classes, folder.options);
  throw InputError(
      fmt::format("{}: the annotations of the split '{}' no longer exist.", root.string(), split));
}

bool is_label_form(const std::string& name) {
  return std::any_of(label_forms().begin(), label_forms().end(),
                     [&](const LabelForm& form) { return name == form.name; });
}

void describe_yolo(DataFolder& folder) {
  YoloData data = find_yolo(folder.root);
  for (const auto& [split, places] : data.splits)
    if (!split.empty()) folder.splits.push_back(split);
  folder.notes = std::move(data.notes);
}

/// What a single file of annotations holds.
DataFolder describe_file(const fs::path& file) {
  const std::string extension = lower_case(file.extension().string());
  if (extension == ".yaml" || extension == ".yml") {
    DataFolder folder{file, "yolo", {}};
    describe_yolo(folder);
    folder.splits = in_order(std::move(folder.splits));
    return folder;
  }
  if (const LabelForm* form = label_form_of(file)) return {file, form->name, {}};
  if (extension == ".json") JsonFile unused(file);  // says what is wrong with the JSON
  check_input(
      is_coco_file(file),
      "{} is not a COCO file (JSON with \"images\" and \"annotations\"), nor YOLO's data.yaml, nor the "
      "annotations of CVAT, VIA, TensorFlow or Open Images; expected one, or a folder.",
      file.string());
  return {file, "coco", {}};
}

}  // namespace

bool DataFolder::has(const std::string& split) const {
  const std::string name = usual_split(split).empty() ? split : usual_split(split);
  return std::find(splits.begin(), splits.end(), name) != splits.end();
}

DataFolder find_data(const fs::path& path) {
  check_input(is_there(path), "{} does not exist.", path.string());
  if (!is_folder(path)) return describe_file(path);
  DataFolder folder{path, form_of(path), {}};
  if (folder.form.empty() || (folder.form == "beside" && !has_xml_right_inside(path)))
    if (const fs::path inner = enter_inner(path); !inner.empty()) {
      folder = find_data(inner);
      folder.notes.insert(folder.notes.begin(), fmt::format("{} holds one data set, {}, which is used.",
                                                            path.string(), inner.string()));
      return folder;
    }
  if (folder.form.empty()) fail_unknown(path);
  if (folder.form == "voc") {
    VocLists lists = find_voc_lists(path);
    for (const auto& [split, list] : lists.names) folder.splits.push_back(split);
    folder.notes = std::move(lists.notes);
    for (std::string& note : note_unlisted(path, lists)) folder.notes.push_back(std::move(note));
  }
  if (folder.form == "beside") {
    const std::map<std::string, fs::path> lists = find_lists_beside(path, folder.notes);
    for (const auto& [split, list] : lists) folder.splits.push_back(split);
    if (std::string note = note_unlisted_beside(path, lists); !note.empty())
      folder.notes.push_back(std::move(note));
    if (folder.splits.empty()) folder.splits = find_split_folders_beside(path, folder.notes);
  }
  if (folder.form == "splits") {
    std::vector<fs::path> others;
    for (const auto& [split, subfolder] : split_folders(path, &others)) folder.splits.push_back(split);
    for (const fs::path& other : others)
      folder.notes.push_back(fmt::format("{} holds no labelled images; it is left out.", other.string()));
  }
  if (folder.form == "coco")
    for (const CocoPlace& place : find_coco_files(path))
      if (!place.split.empty()) folder.splits.push_back(place.split);
  if (folder.form == "yolo") describe_yolo(folder);
  if (is_label_form(folder.form))
    for (const LabelledPlace& place : find_labelled(path))
      if (!place.split.empty()) folder.splits.push_back(place.split);
  folder.splits = in_order(std::move(folder.splits));
  return folder;
}

Dataset read_split(const DataFolder& folder, const std::string& split,
                   const std::vector<std::string>& classes) {
  const fs::path& root = folder.root;
  // In addition to the splits there are VOC's trainval and the lists of single classes.
  const bool is_listed =
      folder.form == "voc" && (is_there(voc_list_path(root, split)) ||
                               (split == "trainval" && folder.has("train") && folder.has("val")));
  check_input(split.empty() || folder.has(split) || is_listed, "{} has no split '{}'; {}.", root.string(),
              split,
              folder.splits.empty() ? "its images are not divided into splits"
                                    : fmt::format("it has {}", fmt::join(folder.splits, ", ")));
  if (split.empty() && !folder.splits.empty() && folder.form != "voc" && folder.form != "beside")
    return read_all(folder, classes);
  const std::string name = usual_split(split).empty() ? split : usual_split(split);
  if (folder.form == "voc") return read_voc_split(root, name, classes, folder.options);
  if (folder.form == "coco") return read_coco_split(root, name, classes, folder.options);
  if (folder.form == "beside") return read_beside_split(root, name, classes, folder.options);
  if (folder.form == "yolo") return read_yolo(find_yolo(root), name, classes, folder.options);
  if (is_label_form(folder.form)) return read_labelled_split(folder, name, classes);
  const fs::path subfolder = split_folders(root).at(name);
  return read_split({subfolder, form_without_splits(subfolder), {}, {}, folder.options}, "", classes);
}

}  // namespace rcnn
