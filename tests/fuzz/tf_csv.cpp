#include "tests/fuzz/label_forms.h"

void rcnn::fuzz::tf_csv(const std::filesystem::path& file) { check_form(file, is_tf_csv_file, read_tf_csv); }
