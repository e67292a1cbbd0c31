#include "data/divide.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <tuple>

#include "core/error.h"
#include "core/rng.h"
#include "core/text.h"
#include "data/coco_places.h"
#include "data/files.h"
#include "data/hash.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

// ---- what belongs together
// ----------------------------------------------------------------------------------

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// The name without ".rf." and a digest, by which Roboflow distinguishes the versions of a photograph; empty
/// if it has none.
std::string before_digest(const std::string& stem) {
  const size_t at = stem.rfind(".rf.");
  const bool digest = at != std::string::npos && stem.size() == at + 4 + 32 &&
                      stem.find_first_not_of("0123456789abcdef", at + 4) == std::string::npos;
  return digest ? stem.substr(0, at) : std::string();
}

/// The folder and the name up to the number at its end.
std::string sequence_of(const Sample& sample) {
  const std::string stem = sample.image.stem().string(), version = before_digest(stem);
  std::string name = version.empty() ? stem : version;
  for (const char* extension : {"_jpg", "_jpeg", "_png", "_bmp"})  // Roboflow keeps it in this form
    if (!version.empty() && name.ends_with(extension))
      name.resize(name.size() - std::string_view(extension).size());
  while (!name.empty() && is_digit(name.back())) name.pop_back();
  return (sample.image.parent_path() / name).generic_string();
}

/// Sets of images, each named by one of its members.
class Sets {
 public:
  explicit Sets(size_t count) : of_(count) { std::iota(of_.begin(), of_.end(), size_t{0}); }
  size_t find(size_t i) {
    while (of_[i] != i) i = of_[i] = of_[of_[i]];
    return i;
  }
  void join(size_t i, size_t k) { of_[find(i)] = find(k); }

 private:
  std::vector<size_t> of_;
};

/// Joins the images for which `key` is the same text, unless it is empty. Returns how many have it in common
/// with another one.
template <class Key>
size_t join_by(Sets& sets, const std::vector<Sample>& samples, const Key& key) {
  std::map<std::string, std::vector<size_t>> found;
  for (size_t i = 0; i < samples.size(); ++i)
    if (const std::string text = key(samples[i]); !text.empty()) found[text].push_back(i);
  size_t joined = 0;
  for (const auto& [text, members] : found) {
    if (members.size() < 2) continue;
    joined += members.size();
    for (const size_t i : members) sets.join(i, members[0]);
  }
  return joined;
}

/// What decides the place of an image in the random order, then what decides between equal names.
using OrderKey = std::tuple<uint32_t, std::string, std::string, std::string>;

OrderKey order_key(const Sample& sample, uint64_t seed) {
  const std::string stem = sample.image.stem().string();
  const uint64_t hash = hash_of(stem);
  // Index 1: random_split (data/folder.h) has index 0 of this purpose.
  return {philox(seed, Purpose::split, static_cast<uint32_t>(hash), static_cast<uint32_t>(hash >> 32), 1),
          stem, sample.id, sample.image.generic_string()};
}

/// Images that go to one split.
struct Group {
  OrderKey key;
  std::vector<size_t> members;
  std::map<int, size_t> images_with;  // by class; 0: without objects to train on
};

void count_classes(const Sample& sample, std::map<int, size_t>& images_with) {
  std::set<int> labels;
  for (const Object& object : sample.objects)
    if (!is_ignored(object)) labels.insert(object.label);
  if (labels.empty()) labels.insert(0);
  for (const int label : labels) ++images_with[label];
}

/// The groups in random order.
std::vector<Group> find_groups(const Dataset& dataset, uint64_t seed, Together together, Division& division) {
  const std::vector<Sample>& samples = dataset.samples;
  Sets sets(samples.size());
  std::vector<fs::path> files;
  for (const Sample& sample : samples) files.push_back(sample.image);
  const std::vector<size_t> same = find_same_files(files);
  for (size_t i = 0; i < same.size(); ++i) {
    sets.join(i, same[i]);
    division.copies += same[i] != i ? 1 : 0;
  }
  division.versions = join_by(
      sets, samples, [](const Sample& sample) { return before_digest(sample.image.stem().string()); });
  if (together == Together::folders)
    join_by(sets, samples, [](const Sample& sample) { return sample.image.parent_path().generic_string(); });
  if (together == Together::sequences) join_by(sets, samples, sequence_of);

  std::map<size_t, Group> by_set;
  for (size_t i = 0; i < samples.size(); ++i) {
    Group& group = by_set[sets.find(i)];
    OrderKey key = order_key(samples[i], seed);
    if (group.members.empty() || key < group.key) group.key = std::move(key);
    group.members.push_back(i);
    count_classes(samples[i], group.images_with);
  }
  std::vector<Group> groups;
  for (auto& [set, group] : by_set) groups.push_back(std::move(group));
  std::sort(groups.begin(), groups.end(), [](const Group& a, const Group& b) { return a.key < b.key; });
  division.groups = groups.size();
  return groups;
}

// ---- the division
// ---------------------------------------------------------------------------------------------

/// The number of images of each split: its share, rounded such that they sum to `count`, and at least one.
std::vector<int64_t> wanted_images(const std::vector<SplitShare>& shares, size_t count) {
  std::vector<int64_t> wanted;
  std::vector<std::pair<double, size_t>> remainders;
  for (size_t p = 0; p < shares.size(); ++p) {
    const double exact = shares[p].share * static_cast<double>(count);
    wanted.push_back(static_cast<int64_t>(exact + 1e-6));
    remainders.emplace_back(static_cast<double>(wanted[p]) - exact, p);
  }
  std::sort(remainders.begin(), remainders.end());
  int64_t left = static_cast<int64_t>(count) - std::accumulate(wanted.begin(), wanted.end(), int64_t{0});
  for (size_t k = 0; left > 0; k = (k + 1) % remainders.size(), --left) ++wanted[remainders[k].second];
  for (int64_t& images : wanted)
    if (images == 0) {
      images = 1;
      --*std::max_element(wanted.begin(), wanted.end());
    }
  return wanted;
}

/// The splits while they are filled.
class Filling {
 public:
  Filling(const std::vector<SplitShare>& shares, const std::vector<Group>& groups, size_t images)
      : room_(wanted_images(shares, images)), empty_(shares.size()), groups_left_(groups.size()) {
    std::map<int, size_t> total;
    for (const Group& group : groups)
      for (const auto& [label, count] : group.images_with) total[label] += count;
    for (const SplitShare& share : shares) {
      std::map<int, double>& lacks = lacks_.emplace_back();
      for (const auto& [label, count] : total) lacks[label] = share.share * static_cast<double>(count);
    }
    filled_.resize(shares.size());
  }

  /// Puts the group into the split that lacks most images with this class, and returns its number.
  size_t place(const Group& group, int label) {
    const auto size = static_cast<int64_t>(group.members.size());
    const bool must_fill = groups_left_ <= empty_;  // the last groups go to splits that have none yet
    std::vector<size_t> open, roomy;
    for (size_t p = 0; p < room_.size(); ++p) {
      if (must_fill && filled_[p]) continue;
      open.push_back(p);
      if (room_[p] >= size) roomy.push_back(p);
    }
    const auto by_room = [&](size_t a, size_t b) { return room_[a] < room_[b]; };
    const auto by_class = [&](size_t a, size_t b) {
      const double difference = lacks_[a].at(label) - lacks_[b].at(label);
      return std::abs(difference) < 1e-9 ? by_room(a, b) : difference < 0;
    };
    const size_t chosen = roomy.empty() ? *std::max_element(open.begin(), open.end(), by_room)
                                        : *std::max_element(roomy.begin(), roomy.end(), by_class);
    room_[chosen] -= size;
    for (const auto& [other, count] : group.images_with)
      lacks_[chosen].at(other) -= static_cast<double>(count);
    empty_ -= filled_[chosen] ? 0 : 1;
    filled_[chosen] = true;
    --groups_left_;
    return chosen;
  }

 private:
  std::vector<int64_t> room_;                 // for images, by split
  std::vector<std::map<int, double>> lacks_;  // images by class, by split
  std::vector<bool> filled_;
  size_t empty_, groups_left_;
};

/// The split of each group.
std::vector<size_t> stratify(const std::vector<Group>& groups, const std::vector<SplitShare>& shares,
                             const Dataset& dataset) {
  Filling filling(shares, groups, dataset.samples.size());
  std::map<int, std::vector<size_t>> with;  // groups by class
  std::map<int, size_t> left;               // images not placed yet, by class
  for (size_t g = 0; g < groups.size(); ++g)
    for (const auto& [label, count] : groups[g].images_with) {
      with[label].push_back(g);
      left[label] += count;
    }
  // Large groups come first, as long as every split has room for them.
  for (auto& [label, groups_with] : with)
    std::stable_sort(groups_with.begin(), groups_with.end(),
                     [&](size_t a, size_t b) { return groups[a].members.size() > groups[b].members.size(); });
  // Names decide between classes that are equally rare, so that the order of the classes does not matter.
  const auto rarity = [&](int label) {
    return std::pair(left.at(label), label == 0 ? "" : dataset.classes.at(static_cast<size_t>(label - 1)));
  };
  std::vector<size_t> chosen(groups.size(), shares.size());
  while (!with.empty()) {
    auto rarest = with.begin();
    for (auto entry = with.begin(); entry != with.end(); ++entry)
      if (rarity(entry->first) < rarity(rarest->first)) rarest = entry;
    for (const size_t g : rarest->second) {
      if (chosen[g] != shares.size()) continue;
      chosen[g] = filling.place(groups[g], rarest->first);
      for (const auto& [label, count] : groups[g].images_with) left.at(label) -= count;
    }
    with.erase(rarest);
  }
  return chosen;
}

// ---- shares
// -----------------------------------------------------------------------------------------------------

SplitShare parse_share(std::string_view item, const std::string& text) {
  const size_t equals = item.find('=');
  SplitShare share;
  const std::string_view number = equals == std::string_view::npos ? "" : trim(item.substr(equals + 1));
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), share.share);
  check_input(!number.empty() && error == std::errc() && end == number.data() + number.size() &&
                  std::isfinite(share.share) && share.share > 0,
              "'{}' of the parts {} is not a name with a positive share; expected train=.8,val=.1,test=.1 or "
              "the like.",
              item, text);
  const std::string name(trim(item.substr(0, equals)));
  const bool is_plain = std::all_of(name.begin(), name.end(), [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
  });
  check_input(!name.empty() && is_plain,
              "'{}' is not the name of a split; expected letters, digits, - and _ only.", name);
  share.split = usual_split(name).empty() ? name : usual_split(name);
  const std::string other = split_in_name(share.split);
  check_input(other.empty() || other == share.split,
              "A split named {} would be read as {}; give another name.", name, other);
  return share;
}

}  // namespace

std::vector<SplitShare> parse_shares(const std::string& text) {
  std::vector<SplitShare> shares;
  std::set<std::string> names;
  double sum = 0;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    shares.push_back(parse_share(trim(std::string_view(text).substr(begin, end - begin)), text));
    check_input(names.insert(lower_case(shares.back().split)).second, "The parts {} name the split {} twice.",
                text, shares.back().split);
    sum += shares.back().share;
    begin = end + 1;
  }
  const bool percent = std::abs(sum - 100) < 0.1;
  check_input(percent || std::abs(sum - 1) < 1e-3,
              "The shares of the parts {} sum to {}; expected 1, or 100 if they are percentages.", text, sum);
  check_input(!names.contains("trainval") || !names.contains("train"),
              "The parts {} name both train and trainval, which stands for train and val together.", text);
  for (SplitShare& share : shares) share.share /= sum;
  return shares;
}

Division divide(const Dataset& dataset, const std::vector<SplitShare>& shares, uint64_t seed,
                Together together) {
  Division division;
  const std::vector<Group> groups = find_groups(dataset, seed, together, division);
  check_input(groups.size() >= shares.size(),
              "The {} image{} form {} group{} that must not be divided; {} splits need at least as many.",
              dataset.samples.size(), dataset.samples.size() == 1 ? "" : "s", groups.size(),
              groups.size() == 1 ? "" : "s", shares.size());
  std::vector<size_t> part_of(dataset.samples.size());
  const std::vector<size_t> chosen = stratify(groups, shares, dataset);
  for (size_t g = 0; g < groups.size(); ++g)
    for (const size_t i : groups[g].members) part_of[i] = chosen[g];
  for (const SplitShare& share : shares)
    division.parts.push_back({share.split, {dataset.classes, {}, {}, dataset.category_ids}});
  for (size_t i = 0; i < part_of.size(); ++i)
    division.parts[part_of[i]].data.samples.push_back(dataset.samples[i]);
  return division;
}

}  // namespace rcnn
