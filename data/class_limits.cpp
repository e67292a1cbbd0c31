#include "data/class_limits.h"

#include "core/error.h"
#include "core/text.h"

namespace rcnn {

void check_class_count(const std::string& file, size_t count) {
  check_input(count <= kMaxClasses, "{} has {} classes; at most {} are read.", file, count, kMaxClasses);
}

void check_class_names(const std::string& file, const std::vector<std::string>& names) {
  check_class_count(file, names.size());
  for (const std::string& name : names) {
    check_input(!name.empty(), "{} has a class without a name.", file);
    check_input(name.size() <= kMaxClassName,
                "{} has a class whose name is {} bytes long; at most {} are read. It begins with '{}'.", file,
                name.size(), kMaxClassName, printable(name.substr(0, 40)));
  }
}

}  // namespace rcnn
