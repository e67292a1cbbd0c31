#include "tests/fuzz/label_forms.h"

void rcnn::fuzz::open_images(const std::filesystem::path& file) {
  check_form(file, is_open_images_file, read_open_images);
}
