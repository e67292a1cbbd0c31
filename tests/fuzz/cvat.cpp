#include "tests/fuzz/label_forms.h"

void rcnn::fuzz::cvat(const std::filesystem::path& file) { check_form(file, is_cvat_file, read_cvat); }
