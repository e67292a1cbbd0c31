// Taking a part of a data set.
#include "data/filter.h"

#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

using Names = std::vector<std::string>;

/// Two splits: train with a (cat 10 x 4, dog 20 x 20, cat crowd 9 x 9) and b (dog 3 x 50), val with c (cat
/// difficult 8 x 8) and d, which has no object.
std::vector<DataPart> parts() {
  const auto object = [](int label, float width, float height, bool difficult = false, bool crowd = false) {
    return Object{{1, 2, 1 + width, 2 + height}, label, difficult, crowd};
  };
  const Dataset empty{{"cat", "dog", "owl"}, {}, {}, {5, 2, 9}};
  std::vector<DataPart> made = {{"train", empty}, {"val", empty}};
  made[0].data.samples = {
      {"a", "a.jpg", 99, 99, {object(1, 10, 4), object(2, 20, 20), object(1, 9, 9, false, true)}},
      {"b", "b.jpg", 99, 99, {object(2, 3, 50)}}};
  made[1].data.samples = {{"c", "c.jpg", 99, 99, {object(1, 8, 8, true)}}, {"d", "d.jpg", 99, 99, {}}};
  return made;
}

/// "train: a cat 10 dog 20; b dog 3; val: ...", with the widths of the objects.
std::string text_of(const Filtered& filtered) {
  std::string text;
  for (const DataPart& part : filtered.parts) {
    text += part.split + ":";
    for (const Sample& sample : part.data.samples) {
      text += " " + sample.id;
      for (const Object& object : sample.objects)
        text += fmt::format(" {} {}", part.data.classes.at(static_cast<size_t>(object.label - 1)),
                            object.box.x2 - object.box.x1);
      text += ";";
    }
    text += " ";
  }
  return text;
}

}  // namespace

TEST_CASE("filter: no option keeps everything") {
  const Filtered filtered = filter_parts(parts(), {});
  CHECK(text_of(filtered) == "train: a cat 10 dog 20 cat 9; b dog 3; val: c cat 8; d; ");
  CHECK(filtered.images == 4);
  CHECK(filtered.other_classes + filtered.ignored + filtered.small == 0);
  CHECK(filtered.parts[0].data.classes == Names{"cat", "dog", "owl"});
}

TEST_CASE("filter: classes to keep or to leave out, which keep their order and numbers") {
  const Filtered dogs = filter_parts(parts(), {.classes = {"owl", "dog"}});
  CHECK(text_of(dogs) == "train: a dog 20; b dog 3; val: c; d; ");
  CHECK(dogs.other_classes == 3);
  CHECK(dogs.parts[1].data.classes == Names{"dog", "owl"});
  CHECK(dogs.parts[0].data.category_ids == std::vector<int64_t>{2, 9});
  CHECK(text_of(filter_parts(parts(), {.drop_classes = {"cat"}})) == text_of(dogs));
  CHECK(contains(input_error([] { filter_parts(parts(), {.classes = {"cow"}}); }),
                 "The data has no class 'cow'; it has cat, dog, owl."));
  CHECK(contains(input_error([] { filter_parts(parts(), {.drop_classes = {"Cat"}}); }), "no class 'Cat'"));
  CHECK(contains(input_error([] {
                   filter_parts(parts(), {.drop_classes = {"cat", "dog", "owl"}});
                 }),
                 "No class is left"));
}

TEST_CASE("filter: objects by their size, and those that are not trained on") {
  const Filtered wide = filter_parts(parts(), {.min_side = 4});
  CHECK(text_of(wide) == "train: a cat 10 dog 20 cat 9; b; val: c cat 8; d; ");
  CHECK(wide.small == 1);
  const Filtered large = filter_parts(parts(), {.min_area = 81});  // 9 x 9 is just enough
  CHECK(text_of(large) == "train: a dog 20 cat 9; b dog 3; val: c; d; ");
  CHECK(large.small == 2);
  const Filtered trained = filter_parts(parts(), {.min_side = 9, .drop_ignored = true});
  CHECK(text_of(trained) == "train: a dog 20; b; val: c; d; ");
  CHECK(trained.ignored == 2);  // although one of them is also too small
  CHECK(trained.small == 2);
}

TEST_CASE("filter: splits, and images with objects") {
  const Filtered val = filter_parts(parts(), {.splits = {"valid"}});
  CHECK(text_of(val) == "val: c cat 8; d; ");
  CHECK(val.images == 2);
  CHECK(val.parts[0].data.classes == Names{"cat", "dog", "owl"});
  CHECK(contains(input_error([] { filter_parts(parts(), {.splits = {"test"}}); }),
                 "The data has no split 'test'; it has train, val."));

  CHECK(text_of(filter_parts(parts(), {.images_with_objects = true})) ==
        "train: a cat 10 dog 20 cat 9; b dog 3; val: c cat 8; ");
  const Filtered dogs = filter_parts(parts(), {.classes = {"dog"}, .images_with_objects = true});
  CHECK(text_of(dogs) == "train: a dog 20; b dog 3; ");
  CHECK(dogs.emptied == Names{"val"});
  CHECK(contains(input_error([] { filter_parts(parts(), {.min_side = 60, .images_with_objects = true}); }),
                 "No image is left"));
}

TEST_CASE("filter: a class whose name has a comma, in a list that separates names by commas") {
  std::vector<DataPart> parts = {{"", {{"cat", "dog, small", "dog", "a,b,c", "a"}, {}, {}}}};
  Sample sample{"x", "x.png", 40, 30, {}};
  for (int label = 1; label <= 5; ++label) sample.objects.push_back({{1, 2, 10, 12}, label});
  parts[0].data.samples.push_back(sample);
  const auto kept = [&](const Names& entries) {
    return filter_parts(parts, {.classes = entries}).parts[0].data.classes;
  };
  CHECK(kept({"dog, small"}) == Names{"dog, small"});
  CHECK(kept({"cat,dog, small"}) == Names{"cat", "dog, small"});
  CHECK(kept({"a,b,c,dog"}) == Names{"dog", "a,b,c"});
  CHECK(kept({"a", "cat"}) == Names{"cat", "a"});
  CHECK(kept({"a,cat,"}) == Names{"cat", "a"});
  CHECK(contains(input_error([&] { kept({"cat,cow,dog"}); }), "The data has no class 'cow'"));
  CHECK(contains(input_error([&] { kept({""}); }), "The data has no class ''"));
}
