#include "tests/fuzz/label_forms.h"

void rcnn::fuzz::via(const std::filesystem::path& file) { check_form(file, is_via_file, read_via); }
