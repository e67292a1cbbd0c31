// Open Images: ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,...,IsGroupOf,..., with coordinates
// from 0 to 1, and names of classes in class-descriptions-boxable.csv.
#include <fmt/format.h>

#include <map>

#include "core/files/look.h"
#include "data/csv.h"
#include "data/files.h"
#include "data/label_forms.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

/// The names of the classes by their codes (/m/01yrx), from any class-descriptions*.csv around the file.
std::map<std::string, std::string> read_descriptions(const fs::path& file) {
  std::map<std::string, std::string> names;
  const fs::path folder = file.parent_path().empty() ? fs::path(".") : file.parent_path();
  for (const fs::path& place : {folder, folder / "..", folder / "metadata", folder / "../metadata"}) {
    if (!names.empty() || !is_folder(place)) continue;
    for (const fs::directory_entry& entry : entries_of(place)) {
      const std::string name = entry.path().filename().string();
      if (!name.starts_with("class-descriptions") || !name.ends_with(".csv")) continue;
      // The older files have no header: the first line is a class, and the names of the columns say nothing.
      for (const std::string& line : read_lines(entry.path())) {
        const size_t comma = line.find(',');
        if (comma == std::string::npos || !line.starts_with('/')) continue;
        std::string_view text = trim(std::string_view(line).substr(comma + 1));
        if (text.size() >= 2 && text.front() == '"' && text.back() == '"')
          text = text.substr(1, text.size() - 2);
        names.emplace(line.substr(0, comma), text);
      }
    }
  }
  return names;
}

}  // namespace

bool is_open_images_file(const fs::path& file) {
  return read_csv_header(file).has_all({"imageid", "labelname", "xmin", "xmax", "ymin", "ymax"});
}

LabelledFile read_open_images(const fs::path& file) {
  LabelCollector labels(file);
  const std::map<std::string, std::string> names = read_descriptions(file);
  for_each_csv_row(file, [&](const CsvRow& row) {
    const std::string what = fmt::format("line {}", row.line);
    if (row["imageid"].empty()) return labels.report(what, "has no ImageID; it is skipped");
    Annotation& image = labels.image(std::string(row["imageid"]), {}, false);
    image.in_shares = true;
    const auto x1 = row.number("xmin"), y1 = row.number("ymin"), x2 = row.number("xmax"),
               y2 = row.number("ymax");
    if (!x1 || !y1 || !x2 || !y2)
      return labels.report(what,
                           "lacks a coordinate, or has one that is not a number; the object is skipped");
    const auto name = names.find(std::string(row["labelname"]));
    labels.add(image, name == names.end() ? row["labelname"] : std::string_view(name->second),
               {*x1, *y1, *x2, *y2}, what, row["isgroupof"] == "1");
  });
  return labels.take();
}

}  // namespace rcnn
