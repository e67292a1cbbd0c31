#include <set>

#include "data/folder.h"
#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

using Names = std::vector<std::string>;

/// Images with one object of class 1 each.
Dataset numbered(int count) {
  Dataset data;
  data.classes = {"a", "b", "c"};
  data.category_ids = {4, 9, 2};
  for (int i = 0; i < count; ++i)
    data.samples.push_back({fmt::format("image {}", i), {}, 10, 10, {{{1, 1, 2, 2}, 1}}});
  return data;
}

Names ids(const Dataset& data) {
  Names found;
  for (const Sample& sample : data.samples) found.push_back(sample.id);
  return found;
}

Names sorted(Names names) {
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

TEST_CASE("split: a share of the images, every image in one part, in the original order") {
  Dataset data = numbered(101);
  data.faults.push_back({"x", "x is wrong."});
  const auto [first, second] = random_split(data, 0.2, 7);
  CHECK(second.samples.size() == 20);
  CHECK(first.samples.size() == 81);
  CHECK(first.classes == data.classes);
  CHECK(second.category_ids == data.category_ids);
  CHECK(first.faults.empty());
  CHECK(second.faults.empty());
  Names all = ids(first);
  for (const std::string& id : ids(second)) all.push_back(id);
  CHECK(sorted(all) == sorted(ids(data)));
  size_t at = 0;
  for (const Sample& sample : data.samples)
    if (at < second.samples.size() && second.samples[at].id == sample.id) ++at;
  CHECK(at == second.samples.size());
}

TEST_CASE("split: the seed and the ids decide, not the order") {
  Dataset data = numbered(50);
  const Names once = ids(random_split(data, 0.3, 1).second);
  CHECK(once == ids(random_split(data, 0.3, 1).second));
  CHECK(once != ids(random_split(data, 0.3, 2).second));
  std::reverse(data.samples.begin(), data.samples.end());
  CHECK(sorted(once) == sorted(ids(random_split(data, 0.3, 1).second)));
  // All images are chosen about equally often: 300 of 1000 times, with a standard deviation of 14.5.
  std::vector<int> times(50);
  for (uint64_t seed = 0; seed < 1000; ++seed)
    for (const Sample& sample : random_split(data, 0.3, seed).second.samples)
      ++times[static_cast<size_t>(std::stoi(sample.id.substr(6)))];
  CHECK(*std::min_element(times.begin(), times.end()) > 300 - 5 * 14.5);
  CHECK(*std::max_element(times.begin(), times.end()) < 300 + 5 * 14.5);
}

TEST_CASE("split: at least one image in each part if there are two") {
  const auto sizes = [](int count, double share) {
    const auto [first, second] = random_split(numbered(count), share, 3);
    return std::pair(first.samples.size(), second.samples.size());
  };
  using Sizes = std::pair<size_t, size_t>;
  CHECK(sizes(0, 0.5) == Sizes{0, 0});
  CHECK(sizes(1, 0.9) == Sizes{1, 0});
  CHECK(sizes(2, 0.2) == Sizes{1, 1});
  CHECK(sizes(2, 1.0) == Sizes{1, 1});
  CHECK(sizes(3, 0.2) == Sizes{2, 1});
  CHECK(sizes(10, 0.25) == Sizes{7, 3});  // 2.5 rounds up
  CHECK(sizes(10, 0.0) == Sizes{9, 1});
  for (const double share : {-0.1, 1.1, std::numeric_limits<double>::quiet_NaN()})
    CHECK(contains(input_error([&] { random_split(numbered(4), share, 3); }), "expected 0 to 1"));
}

TEST_CASE("split: the last image with a class stays in the first part if others can go") {
  Dataset data = numbered(20);
  data.samples[3].objects.push_back({{1, 1, 2, 2}, 2});
  data.samples[8].objects.push_back({{1, 1, 2, 2}, 3});
  data.samples[9].objects.push_back({{1, 1, 2, 2}, 3});
  data.samples[12].objects.push_back({{1, 1, 2, 2}, 2, true});  // difficult: not trained on
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const auto [first, second] = random_split(data, 0.5, seed);
    CHECK(second.samples.size() == 10);
    std::set<int> labels;
    for (const Sample& sample : first.samples)
      for (const Object& object : sample.objects)
        if (!is_ignored(object)) labels.insert(object.label);
    CHECK(labels == std::set<int>{1, 2, 3});
  }
  Dataset all_different = numbered(3);
  for (size_t i = 0; i < 3; ++i) all_different.samples[i].objects[0].label = static_cast<int>(i) + 1;
  CHECK(random_split(all_different, 0.34, 1).second.samples.size() == 1);
}

TEST_CASE("split: images with the same bytes go to the same part") {
  const TemporaryFolder folder;
  Dataset data = numbered(20);
  // 0, 1 and 2 are the same, 3 and 4 are; the others differ.
  for (size_t i = 0; i < 20; ++i) {
    data.samples[i].image = folder / fmt::format("{}.bin", i);
    write_text(data.samples[i].image, i < 3 ? "same" : i < 5 ? "twin" : fmt::format("{:04}", i));
  }
  bool in_first = false, in_second = false;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const auto [first, second] = random_split(data, 0.2, seed);
    CHECK(second.samples.size() == 4);
    const Names names = ids(second);
    const auto has = [&](int i) {
      return std::find(names.begin(), names.end(), fmt::format("image {}", i)) != names.end();
    };
    CHECK(has(0) == has(1));
    CHECK(has(0) == has(2));
    CHECK(has(3) == has(4));
    (has(0) ? in_second : in_first) = true;
  }
  CHECK(in_first);
  CHECK(in_second);
  // A pair and another image; two of one image.
  data.samples.erase(data.samples.begin() + 6, data.samples.end());
  data.samples.erase(data.samples.begin(), data.samples.begin() + 3);
  for (uint64_t seed = 0; seed < 20; ++seed)
    CHECK(ids(random_split(data, 0.2, seed).second) == Names{"image 5"});
  data.samples.pop_back();
  CHECK(random_split(data, 0.2, 1).second.samples.size() == 1);
}

TEST_CASE("split: a list of ids is written and read back") {
  const TemporaryFolder folder;
  Dataset data = numbered(3);
  data.samples[1].id = "deep/\xC3\xA4 b";
  write_id_list(folder / "train.txt", data);
  CHECK(read_id_list(folder / "train.txt") == Names{"image 0", "deep/\xC3\xA4 b", "image 2"});
  write_text(folder / "windows.txt", "\xEF\xBB\xBFimage 2\r\n\r\nimage 0  \r\n");
  const Dataset taken = take_samples(data, read_id_list(folder / "windows.txt"), folder / "windows.txt");
  CHECK(ids(taken) == Names{"image 2", "image 0"});
  CHECK(taken.classes == data.classes);
  const std::string unknown = input_error([&] {
    take_samples(data, {"image 0", "image 7"}, folder / "train.txt");
  });
  CHECK(contains(unknown, "train.txt"));
  CHECK(contains(unknown, "'image 7'"));
  write_text(folder / "void.txt", "\r\n");
  CHECK(contains(input_error([&] { read_id_list(folder / "void.txt"); }), "void.txt lists no image"));
  CHECK(contains(input_error([&] { read_id_list(folder / "none.txt"); }), "none.txt does not exist"));
  CHECK_THROWS_AS(write_id_list(folder / "no/train.txt", data), Error);
}
