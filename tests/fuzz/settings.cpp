#include "train/settings_file.h"

#include "tests/fuzz/targets.h"

void rcnn::fuzz::settings(const std::filesystem::path& file) { read_settings(file); }
