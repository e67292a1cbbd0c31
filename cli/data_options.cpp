#include "cli/data_options.h"

#include "data/image.h"
#include "data/orientation.h"

namespace rcnn {

CLI::Option* add_max_megapixels(CLI::App& app) {
  return app
      .add_option_function<int64_t>(
          "--max-megapixels", [](const int64_t& megapixels) { set_max_megapixels(megapixels); },
          "skip larger images [200, and 25 for files of few bytes]")
      ->check(CLI::Range(1, 1000))
      ->type_name("NUMBER");
}

void DataOptions::add(CLI::App& app) {
  add_max_megapixels(app);
  app.add_flag("--rescale-boxes", rescale_boxes,
               "scale the boxes of images that have another size than their annotations say");
  app.add_option("--exif-boxes", exif_boxes,
                 "image on which boxes were drawn if its EXIF entry turns it: as seen, as stored, or as the "
                 "sizes tell [auto]")
      ->check(CLI::IsMember({"auto", "seen", "stored"}));
  app.add_flag("--allow-outside", allow_outside,
               "read images that annotations name outside of the folder of the data");
}

DataFolder DataOptions::find(const std::string& path) const {
  DataFolder folder = find_data(path);
  folder.options.rescale_boxes = rescale_boxes;
  folder.options.exif_boxes = parse_exif_boxes(exif_boxes);
  folder.options.allow_outside = allow_outside;
  return folder;
}

}  // namespace rcnn
