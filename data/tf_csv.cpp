// TensorFlow's table of boxes: filename,width,height,class,xmin,ymin,xmax,ymax, one line per object. A line
// with nothing but the name of an image is an image without objects.
#include <fmt/format.h>

#include "data/csv.h"
#include "data/files.h"
#include "data/label_forms.h"

namespace rcnn {
namespace {

int side(const CsvRow& row, std::string_view column) {
  const std::optional<double> value = row.number(column);
  return value && *value >= 1 && *value < 1e9 ? static_cast<int>(*value) : 0;
}

}  // namespace

bool is_tf_csv_file(const std::filesystem::path& file) {
  return read_csv_header(file).has_all({"filename", "class", "xmin", "ymin", "xmax", "ymax"});
}

LabelledFile read_tf_csv(const std::filesystem::path& file) {
  LabelCollector labels(file);
  for_each_csv_row(file, [&](const CsvRow& row) {
    const std::string what = fmt::format("line {}", row.line);
    if (row["filename"].empty()) return labels.report(what, "has no filename; it is skipped");
    Annotation& image = labels.image(std::string(row["filename"]), {side(row, "width"), side(row, "height")},
                                     row.columns.has_all({"width", "height"}));
    if (row["class"].empty() && row["xmin"].empty() && row["xmax"].empty()) return;
    const auto x1 = row.number("xmin"), y1 = row.number("ymin"), x2 = row.number("xmax"),
               y2 = row.number("ymax");
    if (x1 && y1 && x2 && y2)
      labels.add(image, row["class"], {*x1, *y1, *x2, *y2}, what);
    else
      labels.report(what, "lacks a coordinate, or has one that is not a number; the object is skipped");
  });
  return labels.take();
}

}  // namespace rcnn
