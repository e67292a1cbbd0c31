#include "data/convert.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <system_error>

#include "core/error.h"
#include "core/files/look.h"
#include "core/text.h"
#include "data/write_forms.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

/// The splits to convert. VOC's trainval is left out if there is train, because it repeats those images.
std::vector<std::string> splits_of(const DataFolder& folder) {
  std::vector<std::string> splits = folder.splits;
  if (folder.has("train")) std::erase(splits, "trainval");
  if (splits.empty()) splits.emplace_back();
  return splits;
}

/// Reads all splits with the classes of all of them: those of the first, then what the others add.
std::vector<DataPart> read_parts(const DataFolder& folder) {
  std::vector<DataPart> parts;
  std::vector<std::string> classes;
  for (const std::string& split : splits_of(folder)) {
    parts.push_back({split, read_split(folder, split)});
    for (const std::string& name : parts.back().data.classes)
      if (std::find(classes.begin(), classes.end(), name) == classes.end()) classes.push_back(name);
  }
  for (DataPart& part : parts)
    if (part.data.classes != classes) part.data = read_split(folder, part.split, classes);
  // Categories keep their numbers, unless a split has not all of them and made some up.
  if (std::any_of(parts.begin(), parts.end(), [&](const DataPart& part) {
        return part.data.category_ids != parts.front().data.category_ids;
      }))
    for (DataPart& part : parts) part.data.category_ids.clear();
  return parts;
}

/// A name that every list, XML and JSON can hold: UTF-8 without control characters or backslashes, without
/// spaces at its ends or before what a list of VOC could take for a second column.
std::string plain_name(std::string stem) {
  std::string plain;
  for (size_t bad; (bad = find_not_utf8(stem)) != std::string::npos;) stem[bad] = '_';
  for (const char c : stem) plain += static_cast<unsigned char>(c) < 0x20 || c == 0x7F || c == '\\' ? '_' : c;
  const size_t space = plain.rfind(' ');
  if (space != std::string::npos && plain.find_first_not_of("-01", space + 1) == std::string::npos)
    plain[space] = '_';
  if (plain.empty() || plain.front() == ' ' || plain.front() == '.') plain = '_' + plain;
  if (plain.back() == ' ' || plain.back() == '.') plain += "_";
  return plain;
}

/// A name for each image: its own, as far as that is plain and no other image has it, in any case or with
/// another extension.
ImageNames name_images(const std::vector<DataPart>& parts, size_t& renamed) {
  ImageNames names;
  std::set<std::string> taken;
  for (const DataPart& part : parts)
    for (const Sample& sample : part.data.samples) {
      if (names.contains(sample.image)) continue;
      const std::string stem = plain_name(sample.image.stem().string());
      std::string name = stem;
      for (int number = 2; !taken.insert(lower_case(name)).second; ++number)
        name = fmt::format("{}_{}", stem, number);
      name += sample.image.extension().string();
      if (name != sample.image.filename()) ++renamed;
      names.emplace(sample.image, std::move(name));
    }
  return names;
}

/// Leaves out, or changes, what the form has no place for.
void suit_to_form(Converted& converted, DataForm form) {
  const auto too_small = [](const Object& object) {
    return !(object.box.x2 - object.box.x1 > 1 && object.box.y2 - object.box.y1 > 1);
  };
  for (DataPart& part : converted.parts)
    for (Sample& sample : part.data.samples) {
      if (form == DataForm::yolo) converted.ignored_left_out += std::erase_if(sample.objects, is_ignored);
      if (form != DataForm::voc) continue;
      converted.small_left_out += std::erase_if(sample.objects, too_small);
      for (Object& object : sample.objects)
        if (object.crowd) {
          object.crowd = false;
          object.difficult = true;
          ++converted.crowds;
        }
    }
}

/// Throws Error unless both are the same: class, kind and box, to a thousandth of a pixel.
void compare(const Sample& wrote, const Dataset& wrote_in, const Sample& read, const Dataset& read_in,
             const std::string& name) {
  const auto text = [](const Box& box) { return fmt::format("{} {} {} {}", box.x1, box.y1, box.x2, box.y2); };
  check(wrote.objects.size() == read.objects.size(), "{} was written with {} objects, but {} were read back.",
        name, wrote.objects.size(), read.objects.size());
  for (size_t i = 0; i < wrote.objects.size(); ++i) {
    const Object &a = wrote.objects[i], &b = read.objects[i];
    const auto near = [](float x, float y) { return std::abs(x - y) <= 1e-3f; };
    check(near(a.box.x1, b.box.x1) && near(a.box.y1, b.box.y1) && near(a.box.x2, b.box.x2) &&
              near(a.box.y2, b.box.y2),
          "{}: the box {} was written, but {} was read back.", name, text(a.box), text(b.box));
    const std::string &class_a = wrote_in.classes.at(static_cast<size_t>(a.label - 1)),
                      &class_b = read_in.classes.at(static_cast<size_t>(b.label - 1));
    check(class_a == class_b && a.difficult == b.difficult && a.crowd == b.crowd,
          "{}: an object of the class {} was written, but one of the class {}, or of another kind, was read "
          "back.",
          name, class_a, class_b);
  }
}

/// Reads what was written and compares it.
void read_back(const fs::path& root, const Converted& converted, const ImageNames& names, DataForm form) {
  const DataFolder folder = find_data(root);
  for (const DataPart& part : converted.parts) {
    const std::string split = part.split.empty() && form == DataForm::yolo ? "train" : part.split;
    const Dataset read = read_split(folder, split, part.data.classes);
    std::map<std::string, const Sample*> by_name;
    for (const Sample& sample : read.samples) by_name.emplace(sample.image.filename().string(), &sample);
    check(by_name.size() == part.data.samples.size() && read.samples.size() == by_name.size(),
          "{} images were written, but {} were read back.", part.data.samples.size(), read.samples.size());
    for (const Sample& sample : part.data.samples) {
      const std::string& name = names.at(sample.image);
      const auto found = by_name.find(name);
      check(found != by_name.end(), "{} was written, but not read back.", name);
      compare(sample, part.data, *found->second, read, name);
    }
  }
}

bool is_inside(const fs::path& path, const fs::path& folder) {
  std::error_code failed;
  const fs::path whole = fs::weakly_canonical(path, failed);
  check_input(!failed, "{} cannot be used: {}.", path.string(), failed.message());
  const fs::path around = fs::weakly_canonical(folder, failed);
  check_input(!failed, "{} cannot be used: {}.", folder.string(), failed.message());
  const fs::path below = whole.lexically_relative(around);
  return !below.empty() && *below.begin() != "..";
}

/// Throws InputError unless the folder may be written.
void check_out(const fs::path& out, const fs::path& part, const DataFolder& folder) {
  check_input(!is_there(out) || (is_folder(out) && entries_of(out).empty()),
              "{} exists and is not an empty folder; give the name of a new one.", out.string());
  check_input(!is_there(part), "{} exists, left by a run that was ended; remove it first.", part.string());
  const fs::path root = is_folder(folder.root) ? folder.root : folder.root.parent_path();
  check_input(!is_inside(out, root.empty() ? "." : root),
              "{} lies in the folder of the data, {}, and would become a part of it; give another folder.",
              out.string(), root.string());
}

}  // namespace

Converted convert_data(const DataFolder& folder, const fs::path& out, const ConvertOptions& options) {
  const fs::path clean = out.has_filename() ? out : out.parent_path(), part = clean.string() + ".part";
  check_out(clean, part, folder);
  Converted converted;
  converted.parts = read_parts(folder);
  const ImageNames names = name_images(converted.parts, converted.renamed);
  suit_to_form(converted, options.form);
  try {
    make_folders(part);
    const auto write = options.form == DataForm::voc    ? write_voc
                       : options.form == DataForm::coco ? write_coco
                                                        : write_yolo;
    write(part, converted.parts, names, options.link);
    read_back(part, converted, names, options.form);
    fs::rename(part, clean);  // also onto an empty folder
  } catch (const std::exception& error) {
    std::error_code ignored;
    fs::remove_all(part, ignored);
    throw Error(fmt::format("{} was not written: {}", clean.string(), error.what()));
  }
  return converted;
}

}  // namespace rcnn
