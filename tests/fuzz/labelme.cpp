#include "tests/fuzz/label_forms.h"

void rcnn::fuzz::labelme(const std::filesystem::path& file) {
  check_form(file, is_labelme_file, read_labelme);
}
