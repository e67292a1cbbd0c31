// Recognises annotations that are not read, so that an error can name them.
#include <array>

#include "core/error.h"
#include "core/files/look.h"
#include "core/text.h"
#include "data/csv.h"
#include "data/files.h"
#include "data/json_file.h"
#include "data/labelled.h"
#include "data/xml.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;
using simdjson::dom::array;
using simdjson::dom::element;

std::string unread_json(const fs::path& file) {
  const JsonFile document(file);
  const element& root = document.root();
  const auto has = [](const element& value, std::initializer_list<const char*> keys) {
    for (const char* key : keys)
      if (value.at_key(key).error() != simdjson::SUCCESS) return false;
    return true;
  };
  if (array list; root.get(list) == simdjson::SUCCESS && list.size() > 0) {
    const element first = list.at(0);
    if (has(first, {"image", "annotations"})) return "Create ML's JSON";
    if (has(first, {"data"}) && (has(first, {"annotations"}) || has(first, {"completions"})))
      return "Label Studio's own JSON";
    if (has(first, {"name", "labels"})) return "BDD100K's JSON";
    if (has(first, {"image_id", "bbox"})) return "a list of detections in COCO's results format";
  }
  if (has(root, {"asset", "regions"}) || has(root, {"assets", "tags"})) return "VoTT's JSON";
  if (has(root, {"size", "objects"})) return "Supervisely's JSON";
  if (has(root, {"file", "config", "metadata"})) return "the JSON of VIA 3";
  if (has(root, {"name", "frames"})) return "BDD100K's JSON";
  return {};
}

/// What a file is, as part of a sentence; empty if nothing is known.
std::string unread_form(const fs::path& file) try {
  const std::string extension = lower_case(file.extension().string());
  if (extension == ".tfrecord" || extension == ".record") return "a TFRecord";
  if (extension == ".json") return unread_json(file);
  if (extension == ".xml") {
    const pugi::xml_document document = parse_xml(read_file(file), file.string());
    const pugi::xml_node dataset = document.child("dataset");
    return dataset.child("images").child("image").child("box") ? "the XML of dlib's imglab" : "";
  }
  if (extension == ".csv") {
    const CsvColumns columns = read_csv_header(file);
    if (columns.has_all({"imageid", "labelname", "confidence"})) return "Open Images' labels of whole images";
    if (columns.has_all({"filename", "region_shape_attributes", "region_attributes"}))
      return "VIA's CSV (save its JSON instead)";
    return "a table without the columns filename, class, xmin, ymin, xmax and ymax";
  }
  return {};
} catch (const InputError&) {
  return {};
}

}  // namespace

std::string name_unread_form(const fs::path& folder) {
  constexpr int kMaxTried = 200;
  int tried = 0;
  std::string sentence;
  walk(folder, [&](const fs::directory_entry& entry) {
    if (!is_file(entry)) return Visit::on;
    if (++tried > kMaxTried) return Visit::stop;
    const std::string form = unread_form(entry.path());
    if (form.empty()) return Visit::on;
    sentence = fmt::format("{} is {}, which is not read; export the data as COCO, Pascal VOC or YOLO.",
                           entry.path().string(), form);
    return Visit::stop;
  });
  return sentence;
}

}  // namespace rcnn
