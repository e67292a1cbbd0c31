// Joining data sets.
#include "data/merge.h"

#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

using Names = std::vector<std::string>;

/// Data sets of images in one folder. An image has one object per (class, x) pair.
struct Maker {
  TemporaryFolder folder;

  Sample sample(const std::string& path, const std::string& bytes, std::vector<Object> objects) const {
    write_text(folder / path, bytes);
    return {path, folder / path, 40, 30, std::move(objects)};
  }
  static Object object(int label, float x) { return {{x, 1, x + 5, 9}, label}; }
};

DataPart part(const std::string& split, Names classes, std::vector<Sample> samples,
              std::vector<int64_t> numbers = {}) {
  return {split, {std::move(classes), std::move(samples), {}, std::move(numbers)}};
}

/// "train: a.jpg cat 1, dog 3; b.jpg".
std::string text_of(const DataPart& part) {
  std::string text = part.split + ":";
  for (const Sample& sample : part.data.samples) {
    text += " " + sample.id;
    for (const Object& object : sample.objects)
      text +=
          fmt::format(" {} {}", part.data.classes.at(static_cast<size_t>(object.label - 1)), object.box.x1);
    text += ";";
  }
  return text;
}

}  // namespace

TEST_CASE("merge: classes are joined by name, and splits by theirs, train, val and test first") {
  const Maker maker;
  const auto object = Maker::object;
  MergeSource a{"a",
                {part("train", {"cat", "dog"}, {maker.sample("a/1.jpg", "1", {object(2, 1)})}),
                 part("extra", {"cat", "dog"}, {maker.sample("a/2.jpg", "2", {object(1, 2)})})}};
  MergeSource b{"b",
                {part("test", {"owl", "cat"}, {maker.sample("b/3.jpg", "3", {object(1, 3), object(2, 4)})}),
                 part("train", {"owl", "cat"}, {maker.sample("b/1.jpg", "4", {object(2, 5)})})}};
  b.parts[0].data.faults.push_back({"x", "x is wrong."});
  const Merged merged = merge_parts({a, b}, "");
  REQUIRE(merged.parts.size() == 3);
  CHECK(merged.parts[0].data.classes == Names{"cat", "dog", "owl"});
  CHECK(text_of(merged.parts[0]) == "train: a/1.jpg dog 1; b/1.jpg cat 5;");
  CHECK(text_of(merged.parts[1]) == "test: b/3.jpg owl 3 cat 4;");
  CHECK(text_of(merged.parts[2]) == "extra: a/2.jpg cat 2;");
  CHECK(merged.parts[1].data.faults.size() == 1);
  CHECK(merged.joined == 0);
  CHECK(merged.similar_classes.empty());
}

TEST_CASE("merge: an image of two data sets is written once, with the objects of both") {
  const Maker maker;
  const auto object = Maker::object;
  // "same" is in all three, in the train of the first, and twice in the second.
  MergeSource a{"a",
                {part("train", {"cat"}, {maker.sample("a/1.jpg", "same", {object(1, 1)})}),
                 part("val", {"cat"}, {maker.sample("a/2.jpg", "2222", {})})}};
  MergeSource b{
      "b",
      {part("train", {"dog"}, {maker.sample("b/1.jpg", "same", {object(1, 7)})}),
       part("val", {"dog"},
            {maker.sample("b/2.jpg", "same", {object(1, 8)}), maker.sample("b/3.jpg", "3333", {})})}};
  Object near = object(1, 1);
  near.box.x2 += 5e-4f;
  MergeSource c{"c", {part("train", {"cat"}, {maker.sample("c/1.jpg", "same", {near, object(1, 1.5f)})})}};
  const Merged merged = merge_parts({a, b, c}, "");
  REQUIRE(merged.parts.size() == 2);
  CHECK(text_of(merged.parts[0]) == "train: a/1.jpg cat 1 dog 7 dog 8 cat 1.5;");
  CHECK(text_of(merged.parts[1]) == "val: a/2.jpg; b/3.jpg;");
  CHECK(merged.joined == 3);
  CHECK(merged.moved == 1);
  CHECK(merged.repeated_objects == 1);
}

TEST_CASE("merge: copies within a data set stay, and so does an image that is in two of its splits") {
  const Maker maker;
  const auto object = Maker::object;
  const Sample one = maker.sample("a/1.jpg", "same", {object(1, 1)});
  MergeSource a{
      "a", {part("train", {"cat"}, {one, maker.sample("a/2.jpg", "same", {})}), part("val", {"cat"}, {one})}};
  MergeSource b{"b", {part("train", {"cat"}, {maker.sample("b/1.jpg", "same", {object(1, 2)})})}};
  const Merged merged = merge_parts({a, b}, "");
  CHECK(text_of(merged.parts[0]) == "train: a/1.jpg cat 1 cat 2; a/2.jpg cat 2;");
  CHECK(text_of(merged.parts[1]) == "val: a/1.jpg cat 1 cat 2;");
  CHECK(merged.joined == 1);
}

TEST_CASE("merge: a data set joined with itself does not change, copies included") {
  const Maker maker;
  const auto object = Maker::object;
  MergeSource a{"a",
                {part("train", {"cat"},
                      {maker.sample("a/1.jpg", "same", {object(1, 1)}),
                       maker.sample("a/2.jpg", "same", {object(1, 2)}), maker.sample("a/3.jpg", "3", {})})}};
  const std::string before = text_of(a.parts[0]);
  const Merged merged = merge_parts({a, a}, "");
  REQUIRE(merged.parts.size() == 1);
  CHECK(text_of(merged.parts[0]) == before);
  CHECK(merged.joined == 3);
  CHECK(merged.repeated_objects == 2);
}

TEST_CASE("merge: an object that either data set counts is not ignored") {
  const Maker maker;
  Object crowd = Maker::object(1, 1);
  crowd.crowd = true;
  MergeSource a{"a", {part("train", {"cat"}, {maker.sample("a/1.jpg", "same", {crowd})})}};
  MergeSource b{"b", {part("train", {"cat"}, {maker.sample("b/1.jpg", "same", {Maker::object(1, 1)})})}};
  for (const auto& sources : {std::vector{a, b}, std::vector{b, a}}) {
    const Merged merged = merge_parts(sources, "");
    REQUIRE(merged.parts[0].data.samples[0].objects.size() == 1);
    CHECK_FALSE(is_ignored(merged.parts[0].data.samples[0].objects[0]));
  }
  CHECK(is_ignored(merge_parts({a, a}, "").parts[0].data.samples[0].objects[0]));
}

TEST_CASE("merge: a split whose images are all joined away is left out, its faults are kept") {
  const Maker maker;
  MergeSource a{"a", {part("train", {"cat"}, {maker.sample("a/1.jpg", "same", {})})}};
  MergeSource b{"b", {part("val", {"cat"}, {maker.sample("b/1.jpg", "same", {})})}};
  b.parts[0].data.faults.push_back({"x", "x is wrong."});
  const Merged merged = merge_parts({a, b}, "");
  REQUIRE(merged.parts.size() == 1);
  CHECK(merged.parts[0].split == "train");
  CHECK(merged.parts[0].data.faults.size() == 1);
  CHECK(merged.moved == 1);
}

TEST_CASE("parts: an image of two splits with different objects is refused") {
  const Maker maker;
  const Sample cat = maker.sample("a/1.jpg", "1", {Maker::object(1, 1)});
  Sample other = cat;
  other.objects[0].box.x1 = 3;
  const DataPart train = part("train", {"cat"}, {cat});
  CHECK(pool_parts(std::vector{train, part("val", {"cat"}, {cat})}).samples.size() == 1);
  CHECK(contains(input_error([&] {
                   pool_parts(std::vector{train, part("val", {"cat"}, {other})});
                 }),
                 "lies in the splits train and val with different objects"));
}

TEST_CASE("merge: data without splits needs a split if other data has some") {
  const Maker maker;
  MergeSource a{"a", {part("", {"cat"}, {maker.sample("a/1.jpg", "1", {})})}};
  MergeSource b{"b", {part("val", {"cat"}, {maker.sample("b/1.jpg", "2", {})})}};
  CHECK(contains(input_error([&] {
                   merge_parts({a, b}, "");
                 }),
                 "a is not divided into splits, but b is; --default-split"));
  CHECK(text_of(merge_parts({a, b}, "train").parts[0]) == "train: a/1.jpg;");
  REQUIRE(merge_parts({a, b}, "valid").parts.size() == 1);  // another word for val
  CHECK(text_of(merge_parts({a, a}, "").parts[0]) == ": a/1.jpg;");
}

TEST_CASE("merge: COCO's numbers are kept unless they contradict each other") {
  const Maker maker;
  const auto numbers = [&](Names classes, std::vector<int64_t> ids) {
    MergeSource a{"a", {part("", {"cat", "dog"}, {maker.sample("a/1.jpg", "1", {})}, {17, 18})}};
    MergeSource b{"b", {part("", std::move(classes), {maker.sample("b/1.jpg", "2", {})}, std::move(ids))}};
    return merge_parts({a, b}, "").parts[0].data.category_ids;
  };
  using Numbers = std::vector<int64_t>;
  CHECK(numbers({"owl", "dog"}, {3, 18}) == Numbers{17, 18, 3});
  CHECK(numbers({"owl", "dog"}, {3, 19}) == Numbers{});  // dog has two numbers
  CHECK(numbers({"owl"}, {17}) == Numbers{});            // 17 is cat and owl
  CHECK(numbers({"owl"}, {}) == Numbers{});
}

TEST_CASE("merge: classes that differ in capitals, spaces or dashes are pointed out") {
  const Maker maker;
  MergeSource a{"a", {part("", {"traffic light", "cat"}, {maker.sample("a/1.jpg", "1", {})})}};
  MergeSource b{"b", {part("", {"Traffic-Light", "dog"}, {maker.sample("b/1.jpg", "2", {})})}};
  const Merged merged = merge_parts({a, b}, "");
  REQUIRE(merged.similar_classes.size() == 1);
  CHECK(merged.similar_classes[0] == Names{"traffic light", "Traffic-Light"});
  CHECK(merged.parts[0].data.classes.size() == 4);
}
