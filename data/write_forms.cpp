#include "data/write_forms.h"

#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <system_error>

#include "core/error.h"
#include "core/files/atomic_file.h"
#include "core/files/look.h"
#include "core/files/output.h"
#include "core/files/source_file.h"
#include "data/coco_places.h"
#include "data/voc.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;

std::string stem_of(const std::string& name) { return fs::path(name).stem().string(); }

/// Whether every image has a number of its own.
bool has_numbers(const Dataset& data) {
  std::set<int64_t> numbers;
  for (const Sample& sample : data.samples)
    if (!sample.coco_id || !numbers.insert(*sample.coco_id).second) return false;
  return true;
}

ordered_json coco_of(const Dataset& data, const ImageNames& names) {
  ordered_json file = {{"info", {{"description", kWrittenHere}}},
                       {"images", json::array()},
                       {"categories", json::array()},
                       {"annotations", json::array()}};
  const auto category = [&](int label) {
    const auto index = static_cast<size_t>(label - 1);
    return data.category_ids.empty() ? int64_t{label} : data.category_ids.at(index);
  };
  for (size_t i = 0; i < data.classes.size(); ++i)
    file["categories"].push_back({{"id", category(static_cast<int>(i) + 1)}, {"name", data.classes[i]}});
  const bool numbered = has_numbers(data);
  int64_t image_id = 0, annotation_id = 0;
  for (const Sample& sample : data.samples) {
    image_id = numbered ? *sample.coco_id : image_id + 1;
    file["images"].push_back({{"id", image_id},
                              {"file_name", names.at(sample.image)},
                              {"width", sample.width},
                              {"height", sample.height}});
    for (const Object& object : sample.objects) {
      const double x = object.box.x1, y = object.box.y1, w = double{object.box.x2} - x,
                   h = double{object.box.y2} - y;
      ordered_json entry = {{"id", ++annotation_id},
                            {"image_id", image_id},
                            {"category_id", category(object.label)},
                            {"bbox", {x, y, w, h}},
                            {"area", object.area > 0 ? object.area : w * h},
                            {"iscrowd", object.crowd ? 1 : 0}};
      if (object.difficult) {
        entry["difficult"] = 1;  // for this program
        entry["ignore"] = 1;     // for mmdetection; COCO's evaluator overwrites it
      }
      file["annotations"].push_back(std::move(entry));
    }
  }
  return file;
}

std::string yolo_labels(const Sample& sample) {
  std::string text;
  const double width = sample.width, height = sample.height;
  for (const Object& object : sample.objects) {
    const double x1 = object.box.x1, y1 = object.box.y1, x2 = object.box.x2, y2 = object.box.y2;
    text += fmt::format("{} {} {} {} {}\n", object.label - 1, (x1 + x2) / 2 / width, (y1 + y2) / 2 / height,
                        (x2 - x1) / width, (y2 - y1) / height);
  }
  return text;
}

}  // namespace

void place_image(const fs::path& from, const fs::path& to, bool link) {
  std::error_code no_link;
  if (link) {
    const fs::path itself = fs::canonical(from, no_link);  // not a link to it
    if (!no_link) fs::create_hard_link(itself, to, no_link);
    if (!no_link) return;
  }
  // Not with the standard library's function, which says "Input/output error" where the disk is full.
  constexpr size_t kPiece = size_t{1} << 20;
  const SourceFile source(from);
  write_atomically(
      to,
      [&](FileWriter& writer) {
        std::vector<std::byte> piece(kPiece);
        for (uint64_t at = 0; at < source.size();) {
          const size_t bytes = source.read_up_to(at, piece.data(), piece.size());
          if (bytes == 0) break;
          writer.write(std::span(piece).first(bytes));
          at += bytes;
        }
        check(writer.size() == source.size(), "{} became shorter while it was copied.", from.string());
      },
      Sync::no);
}

void write_voc(const fs::path& root, const std::vector<DataPart>& parts, const ImageNames& names, bool link) {
  for (const char* part : {"JPEGImages", "Annotations", "ImageSets/Main"}) make_folders(root / part);
  std::set<std::string> written;
  for (const DataPart& part : parts) {
    std::string list;
    for (const Sample& sample : part.data.samples) {
      const std::string& name = names.at(sample.image);
      list += stem_of(name) + "\n";
      if (!written.insert(name).second) continue;  // it is in several splits
      place_image(sample.image, root / "JPEGImages" / name, link);
      write_voc_annotation(root / "Annotations" / (stem_of(name) + ".xml"), sample, part.data.classes, name);
    }
    if (!part.split.empty())
      write_atomically(root / "ImageSets/Main" / (part.split + ".txt"), list, Sync::no);
  }
}

void write_coco(const fs::path& root, const std::vector<DataPart>& parts, const ImageNames& names,
                bool link) {
  make_folders(root / "annotations");
  for (const DataPart& part : parts) {
    const fs::path images = root / "images" / part.split;
    make_folders(images);
    for (const Sample& sample : part.data.samples) {
      const std::string& name = names.at(sample.image);
      place_image(sample.image, images / name, link);
    }
    // A name that is none of the usual ones is that of a split only if it is the whole name.
    const std::string file = part.split.empty()                ? "instances.json"
                             : usual_split(part.split).empty() ? part.split + ".json"
                                                               : "instances_" + part.split + ".json";
    write_atomically(root / "annotations" / file, coco_of(part.data, names).dump() + "\n", Sync::no);
  }
}

void write_yolo(const fs::path& root, const std::vector<DataPart>& parts, const ImageNames& names,
                bool link) {
  std::string yaml = fmt::format("# {}\n", kWrittenHere);
  for (const DataPart& part : parts) {
    const std::string split = part.split.empty() ? "train" : part.split;
    const fs::path images = root / "images" / split, labels = root / "labels" / split;
    make_folders(images);
    make_folders(labels);
    for (const Sample& sample : part.data.samples) {
      const std::string& name = names.at(sample.image);
      place_image(sample.image, images / name, link);
      write_atomically(labels / (stem_of(name) + ".txt"), yolo_labels(sample), Sync::no);
    }
    // A text in JSON's quotes is one in YAML, too. The usual names need none.
    const bool is_plain = !usual_split(split).empty();
    yaml += fmt::format("{}: {}\n", is_plain ? split : json(split).dump(),
                        is_plain ? "images/" + split : json("images/" + split).dump());
  }
  const std::vector<std::string>& classes = parts.front().data.classes;
  yaml += fmt::format("nc: {}\nnames:\n", classes.size());
  for (size_t i = 0; i < classes.size(); ++i) yaml += fmt::format("  {}: {}\n", i, json(classes[i]).dump());
  write_atomically(root / "data.yaml", yaml, Sync::no);
}

}  // namespace rcnn
