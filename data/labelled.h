// Folders with annotations in one of the forms of data/label_forms.h.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/label_forms.h"

namespace rcnn {

/// The annotations of one split.
struct LabelledPlace {
  const LabelForm* form = nullptr;
  std::string split;  // empty if nothing gives a split
  std::vector<std::filesystem::path> files;
};

/// The annotations of a folder: files right in it, in its annotations/, or in its data/ or labels/ if they
/// hold no image, one split per file, whose name
/// gives the split as in find_coco_files; or labelme's files at any depth, which are one unnamed split. Those
/// of other forms than the first are not listed.
std::vector<LabelledPlace> find_labelled(const std::filesystem::path& folder);

/// The form of a single file; nothing if it is none of them, or describes one image only.
const LabelForm* label_form_of(const std::filesystem::path& file);

/// The images with their boxes. The image of an annotation is the one below the folder (or, for files in
/// such a folder of annotations, below the folder around it) at the path that the annotation gives, or whose
/// path ends with it. If there is none, it is the one with that file name, with or without its extension,
/// unless another entry gives the path of that one. Of several, it is the one in a folder that is named after
/// the split. An entry that fits none or several is skipped: those that fit none are counted in one fault.
///
/// An id is the name of the image without extension, or its path if another has that name. Classes, faults
/// and errors are those of `read_voc`.
Dataset read_labelled(const std::filesystem::path& root, const LabelledPlace& place,
                      const std::vector<std::string>& classes = {}, const ReadOptions& options = {});

/// A sentence about files below a folder that are annotations of a known form that is not read, such as
/// CreateML's JSON; empty if there are none.
std::string name_unread_form(const std::filesystem::path& folder);

}  // namespace rcnn
