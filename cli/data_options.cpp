#include "cli/data_options.h"

#include "data/orientation.h"

namespace rcnn {

void DataOptions::add(CLI::App& app) {
  app.add_flag("--rescale-boxes", rescale_boxes,
               "scale the boxes of images that have another size than their annotations say");
  app.add_option("--exif-boxes", exif_boxes,
                 "image on which boxes were drawn if its EXIF entry turns it: as seen, as stored, or as the "
                 "sizes tell [auto]")
      ->check(CLI::IsMember({"auto", "seen", "stored"}));
}

DataFolder DataOptions::find(const std::string& path) const {
  DataFolder folder = find_data(path);
  folder.options.rescale_boxes = rescale_boxes;
  folder.options.exif_boxes = parse_exif_boxes(exif_boxes);
  return folder;
}

}  // namespace rcnn
