#include "data/voc_lists.h"

#include <algorithm>
#include <string_view>
#include <unordered_set>

#include "core/error.h"
#include "core/files/look.h"
#include "core/text.h"
#include "data/annotation.h"
#include "data/coco_places.h"
#include "data/files.h"
#include "data/image_folder.h"
#include "data/names_left_out.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

/// The line without the second column of VOC's lists of single classes: 1, -1 or 0. Names may contain spaces,
/// too.
std::string_view without_flag(std::string_view line) {
  const size_t space = line.find_last_of(" \t");
  if (space == std::string_view::npos) return line;
  const std::string_view last = line.substr(space + 1);
  return last == "1" || last == "-1" || last == "0" || last == "+1" ? trim(line.substr(0, space)) : line;
}

std::string without_image_extension(std::string_view name) {
  fs::path path = name;
  return has_image_extension(path) ? path.replace_extension().string() : std::string(name);
}

/// The id that a line means: of the ways to read it, the first that names an annotation.
std::string id_of_line(const std::string& line, const fs::path& annotations) {
  const std::string plain(without_flag(line)), stem = without_image_extension(plain);
  std::string part = stem.substr(stem.find_last_of("/\\") + 1);
  for (const std::string& id : {line, plain, stem, part, unescaped(stem)})
    if (!id.empty() && !find_annotation(annotations, id).empty()) return id;
  return stem;
}

std::vector<std::string> read_list(const fs::path& path, const fs::path& annotations) {
  std::vector<std::string> ids;
  for (const std::string& line : read_lines(path)) ids.push_back(id_of_line(line, annotations));
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
          {list, fmt::format("{} lists {} more than once; the repetition is skipped.", list.string(), id),
           FaultKind::repeated});
  }
  return unique;
}

fs::path list_folder(const fs::path& root) {
  return is_folder(root / "ImageSets/Main") ? root / "ImageSets/Main" : root / "ImageSets";
}

/// Why a list cannot be that of a split; empty if it can.
std::string reason_to_ignore(const fs::path& list, const fs::path& annotations) {
  const std::vector<std::string> lines = read_lines(list);
  if (lines.empty()) return "lists no image";
  const auto is_annotated = [&](const std::string& line) {
    return !find_annotation(annotations, id_of_line(line, annotations)).empty();
  };
  if (std::any_of(lines.begin(), lines.end(), is_annotated)) return "";
  return fmt::format("lists {} image{} of which none has an annotation", lines.size(),
                     lines.size() == 1 ? "" : "s");
}

bool has_all_annotated(const fs::path& list, const fs::path& annotations) {
  std::unordered_set<std::string> listed;
  for (const std::string& line : read_lines(list)) listed.insert(id_of_line(line, annotations));
  const std::vector<std::string> ids = find_annotated(annotations);
  return std::all_of(ids.begin(), ids.end(), [&](const std::string& id) { return listed.contains(id); });
}

}  // namespace

std::vector<std::string> find_annotated(const fs::path& annotations) {
  std::vector<std::string> ids;
  walk_files(annotations, [&](const fs::path& file) {
    if (has_xml_extension(file))
      ids.push_back(fs::path(file).replace_extension().lexically_relative(annotations).generic_string());
    return true;
  });
  std::sort(ids.begin(), ids.end());
  return ids;
}

VocLists find_voc_lists(const fs::path& root) {
  const fs::path folder = list_folder(root), annotations = root / "Annotations";
  std::vector<std::string> names;
  if (is_folder(folder))
    for (const fs::directory_entry& entry : entries_of(folder))
      if (entry.path().extension() == ".txt" && !entry.path().filename().string().starts_with('.'))
        names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  const auto is_of_one_class = [&](const std::string& name) {
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string& split) { return name.ends_with("_" + split); });
  };
  VocLists lists;
  for (const std::string& name : names) {
    if (is_of_one_class(name)) continue;
    const fs::path list = folder / (name + ".txt");
    if (const std::string reason = reason_to_ignore(list, annotations); !reason.empty())
      lists.notes.push_back(fmt::format("{} {}; it is ignored.", list.string(), reason));
    else
      lists.names.emplace(usual_split(name).empty() ? name : usual_split(name), name);
  }
  if (lists.names.size() == 1 && lists.names.contains("default") &&
      has_all_annotated(folder / "default.txt", annotations)) {
    lists.notes.push_back(
        fmt::format("{} is the only list and has all annotated images, so it makes no split; it is ignored.",
                    (folder / "default.txt").string()));
    lists.names.clear();
  }
  return lists;
}

std::vector<std::string> note_unlisted(const fs::path& root, const VocLists& lists) {
  if (lists.names.empty()) return {};
  const fs::path annotations = root / "Annotations";
  const bool has_train = lists.names.contains("train");
  std::unordered_set<std::string> in_splits, in_trainval;
  std::vector<std::string> names;
  for (const auto& [split, name] : lists.names) {
    const bool repeats = split == "trainval" && has_train;
    for (const std::string& line : read_lines(list_folder(root) / (name + ".txt")))
      (repeats ? in_trainval : in_splits)
          .insert(fs::path(id_of_line(line, annotations)).lexically_normal().generic_string());
    names.push_back(name + ".txt");
  }
  NamesLeftOut nowhere, only_trainval;
  for (const std::string& id : find_annotated(annotations))
    if (!in_splits.contains(id)) (in_trainval.contains(id) ? only_trainval : nowhere).add(id);
  std::vector<std::string> notes;
  if (nowhere.count > 0)
    notes.push_back(fmt::format("{}: {} in no list ({}) and {} left out.", root.string(),
                                nowhere.text("annotated image"), fmt::join(names, ", "),
                                nowhere.count == 1 ? "is" : "are"));
  if (only_trainval.count > 0)
    notes.push_back(fmt::format(
        "{}: {} in trainval.txt, but not in train.txt or any other list, so only the split trainval has {}.",
        root.string(), only_trainval.text("annotated image"), only_trainval.count == 1 ? "it" : "them"));
  return notes;
}

fs::path voc_list_path(const fs::path& root, const std::string& split) {
  return list_folder(root) / (split + ".txt");
}

std::vector<std::string> ids_of_split(const fs::path& root, const std::string& split,
                                      std::vector<Fault>& faults) {
  const fs::path annotations = root / "Annotations";
  if (split.empty()) return find_annotated(annotations);
  const fs::path list = voc_list_path(root, split), train = voc_list_path(root, "train");
  const fs::path val = voc_list_path(root, is_there(voc_list_path(root, "val")) ? "val" : "valid");
  if (split != "trainval" || is_there(list) || !is_there(train) || !is_there(val))
    return without_duplicates(read_list(list, annotations), list, faults);

  std::vector<std::string> ids = without_duplicates(read_list(train, annotations), train, faults);
  const std::unordered_set<std::string> in_train(ids.begin(), ids.end());
  for (std::string& id : without_duplicates(read_list(val, annotations), val, faults))
    if (!in_train.contains(id)) ids.push_back(std::move(id));
  return ids;
}

}  // namespace rcnn
