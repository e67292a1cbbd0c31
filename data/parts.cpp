#include "data/parts.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <system_error>

#include "core/error.h"
#include "core/files/sha256.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> splits_of(const DataFolder& folder) {
  std::vector<std::string> splits = folder.splits;
  if (folder.has("train")) std::erase(splits, "trainval");
  if (splits.empty()) splits.emplace_back();
  return splits;
}

}  // namespace

std::vector<DataPart> read_parts(const DataFolder& folder) {
  std::vector<DataPart> parts;
  std::vector<std::string> classes;
  for (const std::string& split : splits_of(folder)) {
    parts.push_back({split, read_split(folder, split)});
    for (const std::string& name : parts.back().data.classes)
      if (std::find(classes.begin(), classes.end(), name) == classes.end()) classes.push_back(name);
  }
  for (DataPart& part : parts)
    if (part.data.classes != classes) part.data = read_split(folder, part.split, classes);
  // Categories keep their numbers, unless a split has not all of them and made some up.
  if (std::any_of(parts.begin(), parts.end(), [&](const DataPart& part) {
        return part.data.category_ids != parts.front().data.category_ids;
      }))
    for (DataPart& part : parts) part.data.category_ids.clear();
  return parts;
}

bool is_same(const Object& a, const Object& b) {
  const auto near = [](float x, float y) { return std::abs(x - y) <= 1e-3f; };
  return a.label == b.label && near(a.box.x1, b.box.x1) && near(a.box.y1, b.box.y1) &&
         near(a.box.x2, b.box.x2) && near(a.box.y2, b.box.y2);
}

Dataset pool_parts(std::span<const DataPart> parts) {
  Dataset pool;
  std::map<fs::path, std::pair<const Sample*, std::string>> taken;  // with the name of the split
  std::set<int64_t> numbers;
  for (const DataPart& part : parts) {
    pool.classes = part.data.classes;
    pool.category_ids = part.data.category_ids;
    pool.faults.insert(pool.faults.end(), part.data.faults.begin(), part.data.faults.end());
    for (const Sample& sample : part.data.samples) {
      const auto [first, is_new] = taken.try_emplace(sample.image, &sample, part.split);
      if (!is_new) {
        const std::vector<Object>& objects = first->second.first->objects;
        check_input(objects.size() == sample.objects.size() &&
                        std::equal(objects.begin(), objects.end(), sample.objects.begin(), is_same),
                    "{} lies in the splits {} and {} with different objects; one of the two must be mended "
                    "first.",
                    sample.image.string(), first->second.second, part.split);
        continue;
      }
      pool.samples.push_back(sample);
      if (sample.coco_id && !numbers.insert(*sample.coco_id).second) pool.samples.back().coco_id.reset();
    }
  }
  return pool;
}

std::vector<size_t> find_same_files(std::span<const fs::path> files) {
  std::map<uintmax_t, std::vector<size_t>> by_size;
  std::vector<size_t> first(files.size());
  for (size_t i = 0; i < files.size(); ++i) {
    first[i] = i;
    std::error_code failed;
    const uintmax_t size = fs::file_size(files[i], failed);
    if (!failed) by_size[size].push_back(i);
  }
  for (const auto& [size, equal] : by_size) {
    if (equal.size() < 2) continue;
    std::map<std::string, size_t> by_digest;
    for (const size_t i : equal) first[i] = by_digest.emplace(sha256_hex_of_file(files[i]), i).first->second;
  }
  return first;
}

}  // namespace rcnn
