#include "data/convert.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string_view>
#include <system_error>

#include "core/error.h"
#include "core/files/look.h"
#include "core/text.h"
#include "data/coco_places.h"
#include "data/write_forms.h"
#include "data/yolo.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

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

/// A name for each image: its own, as far as that is plain, short enough for a number behind it, and no other
/// image has it, in any case or with another extension.
ImageNames name_images(const std::vector<DataPart>& parts, size_t& renamed) {
  ImageNames names;
  std::set<std::string> taken;
  for (const DataPart& part : parts)
    for (const Sample& sample : part.data.samples) {
      if (names.contains(sample.image)) continue;
      constexpr size_t kMaxName = 255;  // bytes, of every usual file system
      const std::string extension = sample.image.extension().string();
      // The annotation has the name, too, with an extension of four letters.
      const size_t room = kMaxName - std::max(extension.size(), std::string_view(".xml").size());
      const std::string stem = plain_name(sample.image.stem().string());
      const auto fitting = [&](const std::string& ending) {
        std::string start = cut_to(stem, room - ending.size());
        return start.substr(0, start.find_last_not_of(" .") + 1) + ending;
      };
      std::string name = fitting("");
      for (int number = 2; !taken.insert(lower_case(name)).second; ++number)
        name = fitting(fmt::format("_{}", number));
      name += extension;
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

/// Throws InputError for an image that a split has twice, and for one that a form with a single annotation
/// per image cannot hold, because it has other objects in another split.
void check_images(const std::vector<DataPart>& parts, DataForm form) {
  std::map<fs::path, std::pair<const Sample*, std::string>> first;  // with the name of the split
  for (const DataPart& part : parts) {
    std::set<fs::path> in_split;
    for (const Sample& sample : part.data.samples) {
      check_input(in_split.insert(sample.image).second,
                  "{} has two entries{}; one of them must be removed, or both be joined, first.",
                  sample.image.string(), part.split.empty() ? "" : " in the split " + part.split);
      if (form != DataForm::voc) continue;
      const auto [other, is_new] = first.try_emplace(sample.image, &sample, part.split);
      const std::vector<Object>& objects = other->second.first->objects;
      const auto is_equal = [](const Object& a, const Object& b) {
        return is_same(a, b) && a.difficult == b.difficult;
      };
      check_input(is_new || std::equal(objects.begin(), objects.end(), sample.objects.begin(),
                                       sample.objects.end(), is_equal),
                  "{} lies in the splits {} and {} with different objects, and VOC has one annotation per "
                  "image; one of the two must be mended first, or choose another form.",
                  sample.image.string(), other->second.second, part.split);
    }
  }
}

/// The classes without an object in any split.
std::vector<std::string> classes_without_objects(const std::vector<DataPart>& parts) {
  std::vector<std::string> unused;
  const std::vector<std::string>& classes = parts.front().data.classes;
  std::vector<size_t> counts(classes.size());
  for (const DataPart& part : parts) {
    const std::vector<size_t> of_part = count_boxes_by_class(part.data);
    for (size_t c = 0; c < counts.size(); ++c) counts[c] += of_part[c];
  }
  for (size_t c = 0; c < counts.size(); ++c)
    if (counts[c] == 0) unused.push_back(classes[c]);
  return unused;
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
    const std::string split = part.split.empty() && form == DataForm::yolo ? "train"
                              : folder.splits.empty()                      ? ""
                                                                           : part.split;
    check(split.empty() || folder.has(split),
          "the split '{}' is not found again, because a list of that name is read as something else; choose "
          "another name.",
          split);
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

/// Throws InputError for a split that a reader of COCO files would take for another one, by a word of its
/// name.
void check_coco_names(std::span<const DataPart> parts) {
  for (const DataPart& part : parts) {
    const std::string read = split_in_name(part.split);
    check_input(
        read.empty() || read == part.split,
        "The split '{}' cannot be written as COCO, where a file of that name is read as the split {}; "
        "choose another form.",
        part.split, read);
  }
}

/// Throws InputError for a split whose list a reader of VOC would take for one of a single class: b_a beside
/// a, as cat_train beside train.
void check_voc_names(std::span<const DataPart> parts) {
  for (const DataPart& part : parts)
    for (const DataPart& other : parts)
      check_input(
          other.split.empty() || !part.split.ends_with("_" + other.split),
          "The split '{}' cannot be written as VOC beside the split '{}', because {}.txt is then read as "
          "the list of a single class; choose another name or form.",
          part.split, other.split, part.split);
}

/// Throws InputError for a split whose name is a key of data.yaml that means something else, or no text.
void check_yolo_names(std::span<const DataPart> parts) {
  for (const DataPart& part : parts) {
    check_input(
        !is_yolo_key(part.split),
        "The split '{}' cannot be written as YOLO, where data.yaml has something else under that name; "
        "choose another name or form.",
        part.split);
    check_input(
        is_utf8(part.split),
        "The split '{}' cannot be written as YOLO, because its name is not UTF-8; choose another name.",
        escaped(part.split));
  }
}

/// The folder without a slash at its end, so that `.part` can follow.
fs::path without_slash(const fs::path& out) {
  const fs::path plain = out.lexically_normal();
  return plain.has_filename() ? plain : plain.parent_path();
}

fs::path unfinished(const fs::path& out) { return without_slash(out).string() + ".part"; }

}  // namespace

std::string cut_to(const std::string& text, size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80) --bytes;
  return text.substr(0, bytes);
}

void check_outside(const fs::path& out, const DataFolder& folder) {
  const fs::path root = is_folder(folder.root) ? folder.root : folder.root.parent_path();
  check_input(!is_inside(out, root.empty() ? "." : root),
              "{} lies in the folder of the data, {}, and would become a part of it; give another folder.",
              out.string(), root.string());
}

bool is_image_folder_of_data(const fs::path& folder) {
  std::error_code failed;
  fs::path place = fs::weakly_canonical(folder, failed);
  const auto is = [&](const fs::path& path) { return fs::is_directory(path, failed); };
  for (int level = 0; !failed && level < 2 && place.has_relative_path();
       ++level, place = place.parent_path()) {
    const std::string name = place.filename().string();
    const fs::path around = place.parent_path();
    if (name == "JPEGImages" && is(around / "Annotations")) return true;
    if (name == "images" &&
        (is(around / "labels") || is(around / "annotations") || is(around / "Annotations")))
      return true;
  }
  return false;
}

void check_new_folder(const fs::path& out, std::span<const DataFolder> data) {
  check_input(!out.empty(), "The name of the folder to write is empty.");
  check_input(!is_there(out) || (is_folder(out) && entries_of(out).empty()),
              "{} exists and is not an empty folder; give the name of a new one.",
              without_slash(out).string());
  check_input(!is_there(unfinished(out)), "{} exists, left by a run that was ended; remove it first.",
              unfinished(out).string());
  for (const DataFolder& folder : data) check_outside(without_slash(out), folder);
}

void check_split_names(std::span<const DataPart> parts) {
  for (const DataPart& part : parts) {
    const std::string& name = part.split;
    const bool odd = name.starts_with('.') || std::any_of(name.begin(), name.end(), [](char c) {
                       return c == '/' || c == '\\' || static_cast<unsigned char>(c) < 0x20;
                     });
    check_input(!odd, "The data has a split '{}', which cannot be the name of a file; give it another one.",
                name);
  }
}

Converted write_parts(std::vector<DataPart> parts, const fs::path& out, const ConvertOptions& options) {
  const fs::path clean = without_slash(out), part = unfinished(out);
  check_split_names(parts);
  if (options.form == DataForm::coco) check_coco_names(parts);
  if (options.form == DataForm::voc) check_voc_names(parts);
  if (options.form == DataForm::yolo) check_yolo_names(parts);
  Converted converted;
  converted.parts = std::move(parts);
  const ImageNames names = name_images(converted.parts, converted.renamed);
  suit_to_form(converted, options.form);
  check_images(converted.parts, options.form);
  if (options.form == DataForm::voc) converted.classes_left_out = classes_without_objects(converted.parts);
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

Converted convert_data(const DataFolder& folder, const fs::path& out, const ConvertOptions& options) {
  check_new_folder(out, {&folder, 1});
  return write_parts(read_parts(folder), out, options);
}

}  // namespace rcnn
