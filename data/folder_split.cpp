// Splits that a folder does not come with: made at random, written as lists of ids, and read back.
#include <algorithm>
#include <cmath>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "core/error.h"
#include "core/files/atomic_file.h"
#include "core/rng.h"
#include "core/text.h"
#include "data/equal_files.h"
#include "data/files.h"
#include "data/folder.h"
#include "data/hash.h"

namespace rcnn {
namespace {

/// The indices of the samples in an order that depends only on the seed and their ids.
std::vector<size_t> random_order(const std::vector<Sample>& samples, uint64_t seed) {
  std::vector<std::tuple<uint32_t, std::string, size_t>> keys;
  for (size_t i = 0; i < samples.size(); ++i) {
    const uint64_t hash = hash_of(samples[i].id);
    keys.emplace_back(
        philox(seed, Purpose::split, static_cast<uint32_t>(hash), static_cast<uint32_t>(hash >> 32), 0),
        samples[i].id, i);
  }
  std::sort(keys.begin(), keys.end());
  std::vector<size_t> order;
  for (const auto& key : keys) order.push_back(std::get<size_t>(key));
  return order;
}

/// The classes of which a sample has objects to train on, each once.
std::vector<int> labels_in(const Sample& sample) {
  std::vector<int> labels;
  for (const Object& object : sample.objects)
    if (!is_ignored(object)) labels.push_back(object.label);
  std::sort(labels.begin(), labels.end());
  labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
  return labels;
}

/// The samples in groups that must not be separated, because their files have the same bytes, in the order of
/// their first ones in `order`.
std::vector<std::vector<size_t>> group_equal(const std::vector<Sample>& samples,
                                             const std::vector<size_t>& order) {
  std::vector<std::filesystem::path> files;
  for (const Sample& sample : samples) files.push_back(sample.image);
  std::vector<std::vector<size_t>> equal = find_equal_files(files);
  std::vector<size_t> group_of(samples.size(), equal.size());
  for (size_t g = 0; g < equal.size(); ++g)
    for (const size_t i : equal[g]) group_of[i] = g;
  std::vector<std::vector<size_t>> groups;
  for (const size_t i : order)
    if (group_of[i] == equal.size())
      groups.push_back({i});
    else if (std::vector<size_t> group = std::exchange(equal[group_of[i]], {}); !group.empty())
      groups.push_back(std::move(group));
  return groups;
}

/// Chooses the samples of the second part, group by group.
class SecondPart {
 public:
  explicit SecondPart(const std::vector<Sample>& samples) : samples_(samples), chosen_(samples.size()) {
    for (const Sample& sample : samples)
      for (const int label : labels_in(sample)) ++images_with_[label];
  }

  /// Whether the first part would be left without a class.
  bool has_last(const std::vector<size_t>& group) const {
    std::unordered_map<int, int> with;
    for (const size_t i : group)
      for (const int label : labels_in(samples_[i])) ++with[label];
    return std::any_of(with.begin(), with.end(),
                       [&](const auto& entry) { return images_with_.at(entry.first) == entry.second; });
  }

  bool has(const std::vector<size_t>& group) const { return chosen_[group.front()]; }

  void take(const std::vector<size_t>& group) {
    for (const size_t i : group) {
      for (const int label : labels_in(samples_[i])) --images_with_[label];
      chosen_[i] = true;
    }
    count_ += group.size();
  }

  size_t count() const { return count_; }
  const std::vector<bool>& chosen() const { return chosen_; }

 private:
  const std::vector<Sample>& samples_;
  std::vector<bool> chosen_;
  std::unordered_map<int, int> images_with_;  // in the first part, by class
  size_t count_ = 0;
};

/// Which samples go to the second part: the first groups in the order for which there is room. A group that
/// has the last samples of the first part with a class goes only if there are no others. If no group fits,
/// the smallest one goes, and of images that are all the same, some.
std::vector<bool> choose_second(const std::vector<Sample>& samples, const std::vector<size_t>& order,
                                size_t wanted) {
  std::vector<std::vector<size_t>> groups = group_equal(samples, order);
  if (groups.size() == 1) {
    groups.clear();
    for (const size_t i : order) groups.push_back({i});
  }
  SecondPart second(samples);
  for (const bool spare_last : {true, false})
    for (const std::vector<size_t>& group : groups)
      if (!second.has(group) && second.count() + group.size() <= wanted &&
          !(spare_last && second.has_last(group)))
        second.take(group);
  if (wanted > 0 && second.count() == 0)
    second.take(*std::min_element(groups.begin(), groups.end(),
                                  [](const auto& a, const auto& b) { return a.size() < b.size(); }));
  return second.chosen();
}

Dataset without_samples(const Dataset& dataset) { return {dataset.classes, {}, {}, dataset.category_ids}; }

}  // namespace

std::pair<Dataset, Dataset> random_split(const Dataset& dataset, double share, uint64_t seed) {
  check_input(share >= 0 && share <= 1, "The share of the images is {}; expected 0 to 1.", share);
  const size_t n = dataset.samples.size();
  auto wanted = static_cast<size_t>(std::llround(share * static_cast<double>(n)));
  if (n >= 2) wanted = std::clamp<size_t>(wanted, 1, n - 1);
  if (n == 1) wanted = 0;
  const std::vector<bool> in_second =
      choose_second(dataset.samples, random_order(dataset.samples, seed), wanted);
  std::pair<Dataset, Dataset> parts{without_samples(dataset), without_samples(dataset)};
  for (size_t i = 0; i < n; ++i)
    (in_second[i] ? parts.second : parts.first).samples.push_back(dataset.samples[i]);
  return parts;
}

Dataset take_samples(const Dataset& dataset, const std::vector<std::string>& ids,
                     const std::filesystem::path& list) {
  std::unordered_map<std::string, const Sample*> by_id;
  for (const Sample& sample : dataset.samples) by_id.emplace(sample.id, &sample);
  Dataset taken = without_samples(dataset);
  for (const std::string& id : ids) {
    auto found = by_id.find(id);
    if (found == by_id.end()) found = by_id.find(escaped(id));  // a list that this program did not write
    check_input(found != by_id.end(),
                "{} lists the image '{}', which is not among the {} images of the data.", list.string(), id,
                dataset.samples.size());
    taken.samples.push_back(*found->second);
  }
  return taken;
}

std::vector<std::string> read_id_list(const std::filesystem::path& path) {
  std::vector<std::string> ids = read_lines(path);
  check_input(!ids.empty(), "{} lists no image.", path.string());
  return ids;
}

void write_id_list(const std::filesystem::path& path, const Dataset& dataset) {
  std::string text;
  for (const Sample& sample : dataset.samples) text += sample.id + "\n";
  write_atomically(path, text);
}

}  // namespace rcnn
