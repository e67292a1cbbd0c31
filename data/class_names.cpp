#include "data/class_names.h"

#include <map>

#include "data/name_key.h"

namespace rcnn {

std::vector<std::vector<size_t>> similar_names(const std::vector<std::string>& names) {
  std::map<std::string, std::vector<size_t>> by_letters;
  for (size_t i = 0; i < names.size(); ++i) {
    std::string letters = name_key(names[i]);
    std::erase_if(letters, [](char c) { return c == ' ' || c == '-' || c == '_'; });
    by_letters[letters].push_back(i);
  }
  std::vector<std::vector<size_t>> similar;
  for (auto& [letters, positions] : by_letters)
    if (positions.size() > 1) similar.push_back(std::move(positions));
  std::sort(similar.begin(), similar.end());
  return similar;
}

}  // namespace rcnn
