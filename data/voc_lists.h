// The lists of Pascal VOC: ImageSets/Main/<split>.txt, or ImageSets/<split>.txt, with one image per line.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace rcnn {

struct VocLists {
  std::map<std::string, std::string> names;  // the name of each list, by its split
  std::vector<std::string> notes;            // sentences about lists that are ignored
};

/// The lists of a folder, without those of single classes (cat_train.txt). Ignored with a note: lists without
/// a line, lists none of whose images has an annotation (such as that of a public test split), and a list
/// `default` of all annotated images, which CVAT writes if there are no splits.
VocLists find_voc_lists(const std::filesystem::path& root);

/// A sentence about the annotated images that none of these lists names, with their number and the first of
/// them; another one about those that only trainval.txt names although there is train.txt, because a command
/// that reads all splits reads train.txt in place of it. Nothing without lists.
std::vector<std::string> note_unlisted(const std::filesystem::path& root, const VocLists& lists);

/// The file of a list; it need not exist.
std::filesystem::path voc_list_path(const std::filesystem::path& root, const std::string& split);

/// The paths, without extension, of all annotations in a folder, at any depth, sorted.
std::vector<std::string> find_annotated(const std::filesystem::path& annotations);

/// The names, without extension, of the annotations of a split, each once, in the order of its list. Without
/// a `split`: of all annotations. A line may have the extension of an image, a folder, the second column of
/// the lists of single classes, or the form that `escaped` (core/text.h) gives a name. `trainval` needs no
/// list: it is train.txt followed by what val.txt (or valid.txt) adds. Throws InputError if the list is
/// missing or empty.
std::vector<std::string> ids_of_split(const std::filesystem::path& root, const std::string& split,
                                      std::vector<Fault>& faults);

}  // namespace rcnn
