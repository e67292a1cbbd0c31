// A whole folder of labelled images: what `rcnn check` and `rcnn data` read. The bytes are those of several
// files, one after the other:
//
//   @ JPEGImages/a.png      a line with the path of a file, below the folder
//   40 30                   its content; of an image the width and height, for which a PNG is written
//   @ Annotations/a.xml
//   <annotation>...
#include <array>
#include <cstdio>
#include <fstream>
#include <map>
#include <set>

#include "core/text.h"
#include "data/convert.h"
#include "data/faults.h"
#include "data/files.h"
#include "data/image.h"
#include "data/image_folder.h"
#include "tests/fuzz/targets.h"

namespace rcnn::fuzz {
namespace {

namespace fs = std::filesystem;

/// A new folder, which is removed with the object.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "rcnn-fuzz-XXXXXX").string();
    check(::mkdtemp(name.data()) != nullptr, "a temporary folder cannot be created");
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// The PNG that the content of an image's file asks for; the content itself if it gives no size.
std::string image_of(const std::string& content) {
  int width = 0, height = 0;
  constexpr int kMaxSide = 64;
  if (std::sscanf(content.c_str(), "%3d %3d", &width, &height) != 2 || width < 1 || height < 1 ||
      width > kMaxSide || height > kMaxSide)
    return content;
  const std::vector<uint8_t> png = encode_png(Image(width, height));
  return {png.begin(), png.end()};
}

void write(const fs::path& root, const std::string& name, const std::string& content) {
  const fs::path path = fs::path(name).lexically_normal();
  if (path.empty() || !path.has_filename() || path.is_absolute() || *path.begin() == ".." ||
      name.find('\0') != std::string::npos)
    return;
  std::error_code failed;
  fs::create_directories((root / path).parent_path(), failed);
  std::ofstream(root / path, std::ios::binary) << (has_image_extension(path) ? image_of(content) : content);
}

void unpack(const fs::path& root, const std::string& bytes) {
  constexpr int kMaxFiles = 24;
  std::string name, content;
  int files = 0;
  for (size_t begin = 0; begin <= bytes.size();) {
    const size_t end = std::min(bytes.find('\n', begin), bytes.size());
    const std::string line = bytes.substr(begin, end - begin);
    const bool starts = line.starts_with("@ ");
    if (!starts) content += line + (end < bytes.size() ? "\n" : "");
    if ((starts || end == bytes.size()) && !name.empty() && files++ < kMaxFiles) write(root, name, content);
    if (starts) name = line.substr(2), content.clear();
    begin = end + 1;
  }
}

void check_dataset(const Dataset& data) {
  check(!data.classes.empty(), "there are no classes");
  std::set<std::string> names, ids;
  for (const std::string& name : data.classes) {
    check(!name.empty() && is_utf8(name), "a class has no name, or one that is not UTF-8");
    check(names.insert(name).second, "two classes have one name");
  }
  for (const Sample& sample : data.samples) {
    check(ids.insert(sample.id).second, "two images have one id");
    check(is_utf8(sample.id), "the id of an image is not UTF-8");
    check(fs::is_regular_file(sample.image), "an image does not exist");
    check(sample.width > 0 && sample.height > 0, "an image has no size");
    for (const Object& object : sample.objects) {
      const Box& box = object.box;
      check(object.label >= 1 && static_cast<size_t>(object.label) <= data.classes.size(),
            "an object has a class that the data lacks");
      check(box.x1 >= 0 && box.y1 >= 0 && box.x1 < box.x2 && box.y1 < box.y2 &&
                box.x2 <= static_cast<float>(sample.width) && box.y2 <= static_cast<float>(sample.height),
            "a box is empty, not finite or not inside its image");
    }
  }
  for (const Fault& fault : data.faults) check(!fault.what.empty(), "a fault says nothing");
  for (const char c : list_faults(data.faults, {"", "", true, true}))
    check(c == '\n' || static_cast<unsigned char>(c) >= 0x20, "a fault is shown with a control character");
}

}  // namespace

void data_folder(const fs::path& file) {
  const std::vector<uint8_t> bytes = read_file(file);
  const Folder folder;
  const fs::path root = folder.path() / "in";
  fs::create_directory(root);
  unpack(root, {bytes.begin(), bytes.end()});
  const DataFolder found = find_data(root);
  for (const std::string& note : found.notes) check(!note.empty(), "a note says nothing");
  std::vector<DataPart> parts = read_parts(found);
  for (const DataPart& part : parts) {
    check(part.data.classes == parts.front().data.classes, "two splits have other classes");
    check_dataset(part.data);
  }
  // What is written must be what is read back; write_parts throws an Error otherwise, which is a finding.
  constexpr std::array kForms = {DataForm::voc, DataForm::coco, DataForm::yolo};
  write_parts(std::move(parts), folder.path() / "out", {kForms[bytes.size() % kForms.size()], false});
}

}  // namespace rcnn::fuzz
