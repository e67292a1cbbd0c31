// Dividing a dataset into splits.
#include "data/divide.h"

#include <cmath>
#include <set>

#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

using Names = std::vector<std::string>;

Object object(int label) { return {{1, 1, 5, 5}, label}; }

/// An image whose file does not exist, so that its bytes are nobody's.
Sample image(const std::string& name, std::vector<int> labels) {
  Sample sample{name, name + ".jpg", 10, 10, {}};
  for (const int label : labels) sample.objects.push_back(object(label));
  return sample;
}

/// 200 images: dog in all but the last 20, which are empty; cat in every fourth, owl in 10.
Dataset mixed() {
  Dataset data;
  data.classes = {"dog", "cat", "owl"};
  data.category_ids = {7, 3, 5};
  for (int i = 0; i < 200; ++i) {
    std::vector<int> labels;
    if (i < 180) labels.push_back(1);
    if (i < 180 && i % 4 == 0) labels.insert(labels.end(), {2, 2});
    if (i < 180 && i % 18 == 5) labels.push_back(3);
    data.samples.push_back(image(fmt::format("image {}", i), labels));
  }
  return data;
}

Names names(const Dataset& data) {
  Names found;
  for (const Sample& sample : data.samples) found.push_back(sample.id);
  return found;
}

std::set<std::string> name_set(const Dataset& data) {
  const Names found = names(data);
  return {found.begin(), found.end()};
}

/// The number of images with an object of the class; 0: without objects.
int images_with(const Dataset& data, int label) {
  return static_cast<int>(std::count_if(data.samples.begin(), data.samples.end(), [&](const Sample& sample) {
    return label == 0 ? sample.objects.empty()
                      : std::any_of(sample.objects.begin(), sample.objects.end(),
                                    [&](const Object& o) { return o.label == label; });
  }));
}

std::vector<SplitShare> thirds() { return parse_shares("train=.7,val=.2,test=.1"); }

}  // namespace

TEST_CASE("divide: shares are read as fractions or percentages, and faults are named") {
  CHECK(parse_shares("train=.8,val=.1,test=.1") ==
        std::vector<SplitShare>{{"train", .8}, {"val", .1}, {"test", .1}});
  const std::vector<SplitShare> percent = parse_shares(" train = 70, valid=20 ,extra_2=10");
  REQUIRE(percent.size() == 3);
  CHECK(percent[1].split == "val");
  CHECK(percent[2].split == "extra_2");
  CHECK(std::abs(percent[0].share - .7) < 1e-12);
  const auto fault = [](const std::string& text) { return input_error([&] { parse_shares(text); }); };
  CHECK(contains(fault("train=.8,val=.1"), "sum to 0.9; expected 1, or 100"));
  CHECK(contains(fault("train=.8,train=.2"), "name the split train twice"));
  CHECK(contains(fault("val=.8,valid=.2"), "name the split val twice"));
  CHECK(contains(fault("train=.8,val"), "'val' of the parts"));
  CHECK(contains(fault("train=1.2,val=-.2"), "'val=-.2' of the parts"));
  CHECK(contains(fault("train=nan,val=.2"), "'train=nan' of the parts"));
  CHECK(contains(fault("train=.8x,val=.2"), "not a name with a positive share"));
  CHECK(contains(fault("train=1,"), "'' of the parts"));
  CHECK(contains(fault("a/b=1"), "'a/b' is not the name of a split"));
  CHECK(contains(fault("=1"), "'' is not the name of a split"));
  CHECK(contains(fault("train2017=1"), "A split named train2017 would be read as train"));
  CHECK(contains(fault("train=.5,trainval=.5"), "both train and trainval"));
}

TEST_CASE("divide: every split has its share of the images and of each class") {
  const Dataset data = mixed();
  const Division division = divide(data, thirds(), 1);
  REQUIRE(division.parts.size() == 3);
  std::set<std::string> all;
  size_t images = 0;
  const double shares[] = {.7, .2, .1};
  for (size_t p = 0; p < 3; ++p) {
    const Dataset& part = division.parts[p].data;
    CHECK(part.classes == data.classes);
    CHECK(part.category_ids == data.category_ids);
    CHECK(part.samples.size() == static_cast<size_t>(std::lround(200 * shares[p])));
    for (const int label : {0, 1, 2, 3}) {
      CAPTURE(p);
      CAPTURE(label);
      CHECK(std::abs(images_with(part, label) - shares[p] * images_with(data, label)) <= 1);
    }
    for (const std::string& name : names(part)) all.insert(name);
    images += part.samples.size();
  }
  CHECK(images == 200);
  CHECK(all == name_set(data));
  CHECK(division.parts[0].split == "train");
  CHECK(division.parts[2].split == "test");
  CHECK(division.groups == 200);
}

TEST_CASE("divide: a class in few images is in every split before common ones fill them") {
  // Ten images with a rare class, among 1000 that all look alike otherwise. A random division misses it in
  // the split of 10 % with a probability of a third.
  Dataset data;
  data.classes = {"common", "rare"};
  for (int i = 0; i < 1000; ++i)
    data.samples.push_back(image(fmt::format("{}", i), i % 100 == 3 ? std::vector{1, 2} : std::vector{1}));
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Division division = divide(data, parse_shares("train=.8,val=.1,test=.1"), seed);
    CHECK(images_with(division.parts[0].data, 2) == 8);
    CHECK(images_with(division.parts[1].data, 2) == 1);
    CHECK(images_with(division.parts[2].data, 2) == 1);
    CHECK(division.parts[1].data.samples.size() == 100);
  }
}

TEST_CASE("divide: the seed and the names decide, not the order of images or classes") {
  Dataset data = mixed();
  const auto division = [&](uint64_t seed) {
    std::vector<std::set<std::string>> sets;
    for (const DataPart& part : divide(data, thirds(), seed).parts) sets.push_back(name_set(part.data));
    return sets;
  };
  const auto once = division(1);
  CHECK(division(1) == once);
  CHECK(division(2) != once);
  std::reverse(data.samples.begin(), data.samples.end());
  data.classes = {"owl", "dog", "cat"};
  for (Sample& sample : data.samples)
    for (Object& o : sample.objects) o.label = o.label % 3 + 1;
  CHECK(division(1) == once);
  // The images keep the order of the dataset.
  const Names part = names(divide(data, thirds(), 1).parts[0].data), all = names(data);
  size_t at = 0;
  for (const std::string& name : all)
    if (at < part.size() && part[at] == name) ++at;
  CHECK(at == part.size());
}

TEST_CASE("divide: images with the same bytes go to one split") {
  const TemporaryFolder folder;
  Dataset data;
  data.classes = {"cat"};
  for (int i = 0; i < 40; ++i) {
    Sample sample = image(fmt::format("{:02}", i), {1});
    sample.image = folder / (sample.id + ".png");
    write_text(sample.image, fmt::format("picture {:02}", i % 20));  // all files have the same size
    data.samples.push_back(sample);
  }
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const Division division = divide(data, parse_shares("train=.5,val=.5"), seed);
    CHECK(division.copies == 20);
    CHECK(division.groups == 20);
    const std::set<std::string> train = name_set(division.parts[0].data);
    CHECK(train.size() == 20);
    for (int i = 0; i < 20; ++i)
      CHECK(train.contains(fmt::format("{:02}", i)) == train.contains(fmt::format("{:02}", i + 20)));
  }
}

TEST_CASE("divide: Roboflow's versions, and on request folders and sequences, stay together") {
  Dataset data;
  data.classes = {"cat"};
  const auto add = [&](const std::string& path) {
    Sample sample = image(path, {1});
    sample.image = path;
    data.samples.push_back(sample);
  };
  for (int i = 0; i < 30; ++i)
    for (const char digit : {'a', '7'})
      add(fmt::format("{}/x{}_jpg.rf.{}.jpg", digit == 'a' ? "train" : "valid", i, std::string(32, digit)));
  const std::vector<SplitShare> half = parse_shares("train=.5,val=.5");
  Division division = divide(data, half, 1);
  CHECK(division.versions == 60);
  CHECK(division.groups == 30);
  const std::set<std::string> train = name_set(division.parts[0].data);
  for (size_t i = 0; i < 60; i += 2)
    CHECK(train.contains(data.samples[i].id) == train.contains(data.samples[i + 1].id));

  data.samples.clear();
  for (const char* clip : {"a/walk_", "a/run_", "b/walk_", "c/"})
    for (int i = 8; i < 12; ++i) add(fmt::format("{}{}.jpg", clip, i));
  CHECK(divide(data, half, 1).groups == 16);
  CHECK(divide(data, half, 1, Together::sequences).groups == 4);
  division = divide(data, half, 1, Together::folders);
  CHECK(division.groups == 3);
  CHECK(division.parts[0].data.samples.size() == 8);
  CHECK(
      contains(input_error([&] { divide(data, parse_shares("a=.3,b=.3,c=.2,d=.2"), 1, Together::folders); }),
               "The 16 images form 3 groups that must not be divided; 4 splits need at least as many."));
}

TEST_CASE("divide: no split stays empty, however small its share or large the groups") {
  Dataset data;
  data.classes = {"cat"};
  for (int i = 0; i < 3; ++i) data.samples.push_back(image(fmt::format("{}", i), {1}));
  for (const DataPart& part : divide(data, parse_shares("train=.98,val=.01,test=.01"), 1).parts)
    CHECK(part.data.samples.size() == 1);
  // Three folders of 50, 30 and 20 images.
  data.samples.clear();
  for (int i = 0; i < 100; ++i)
    data.samples.push_back(image(fmt::format("{}/{}", i < 50 ? "a" : i < 80 ? "b" : "c", i), {1}));
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const Division division = divide(data, parse_shares("train=.8,val=.1,test=.1"), seed, Together::folders);
    for (const DataPart& part : division.parts) CHECK(!part.data.samples.empty());
  }
}

TEST_CASE("divide: an object that is not trained on does not count for its class") {
  Dataset data;
  data.classes = {"cat", "dog"};
  for (int i = 0; i < 20; ++i) {
    data.samples.push_back(image(fmt::format("{}", i), {1}));
    Object other = object(2);
    (i < 10 ? other.difficult : other.crowd) = i != 3 && i != 13;
    data.samples.back().objects.push_back(other);
  }
  const Division division = divide(data, parse_shares("train=.5,val=.5"), 1);
  for (const DataPart& part : division.parts) {
    int real = 0;
    for (const Sample& sample : part.data.samples) real += is_ignored(sample.objects[1]) ? 0 : 1;
    CHECK(real == 1);
  }
}
