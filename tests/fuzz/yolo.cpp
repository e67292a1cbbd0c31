#include "data/yolo.h"

#include "tests/fuzz/label_forms.h"

void rcnn::fuzz::yolo(const std::filesystem::path& file) {
  YoloData data;
  data.names = {"a", "b", "c"};
  for (const bool has_keypoints : {false, true}) {
    data.has_keypoints = has_keypoints;
    std::vector<Fault> faults;
    check_objects(read_yolo_labels(file, data, {640, 480}, faults));
  }
  const YoloYaml yaml = read_yolo_yaml(file);
  check(!yaml.names.empty(), "there are no classes");
  for (const std::string& name : yaml.names)
    check(!name.empty() && is_utf8(name), "a class has no name, or one that is not UTF-8");
}
