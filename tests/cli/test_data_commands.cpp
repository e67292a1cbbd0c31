// `rcnn data split`, `merge`, `filter` and `draw` as commands.
#include <doctest/doctest.h>

#include <map>
#include <set>

#include "data/folder.h"
#include "tests/data/label_folder.h"
#include "tests/program.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

/// YOLO's data with `count` images in each of its splits, the classes cat and dog, and one box per image.
void write_yolo_data(const fs::path& root, const Names& splits, int count, int first = 0) {
  std::string yaml = "names: [cat, dog]\n";
  for (const std::string& split : splits) {
    yaml += fmt::format("{}: images/{}\n", split, split);
    for (int i = 0; i < count; ++i, ++first) {
      write_bytes(root / "images" / split / fmt::format("{:03}.png", first), numbered_picture(first));
      write_text(root / "labels" / split / fmt::format("{:03}.txt", first),
                 fmt::format("{} 0.5 0.5 0.3333333 {}\n", first % 2, 0.1 + 0.001 * first));
    }
  }
  write_text(root / "data.yaml", yaml);
}

/// What each split holds: the images' bytes and their boxes, so that names do not matter.
std::map<std::string, std::multiset<std::string>> content(const fs::path& path) {
  std::map<std::string, std::multiset<std::string>> found;
  const DataFolder folder = find_data(path);
  Names splits = folder.splits;
  if (splits.empty()) splits.emplace_back();
  for (const std::string& split : splits) {
    const Dataset data = read_split(folder, split);
    for (const Sample& sample : data.samples) {
      std::string text = content_of(sample.image);
      for (const Object& object : sample.objects)
        text += fmt::format("{} {:.3f} {:.3f} {:.3f} {:.3f};", data.classes.at(object.label - 1U),
                            object.box.x1, object.box.y1, object.box.x2, object.box.y2);
      found[split].insert(text);
    }
  }
  return found;
}

std::multiset<std::string> all_of(const fs::path& path) {
  std::multiset<std::string> all;
  for (const auto& [split, images] : content(path)) all.insert(images.begin(), images.end());
  return all;
}

}  // namespace

TEST_CASE("data split: divides all images in proportion, the same way each time and in each form") {
  const ProgramTrial trial;
  if (!trial) return;
  write_yolo_data(trial.folder / "in", {"train", "val"}, 20);
  const auto split = [&](const std::string& out, const std::string& form, Names more = {}) {
    Names words = {"data", "split",   trial.path("in"),         "--out", trial.path(out), "--to",
                   form,   "--parts", "train=.7,val=.2,test=.1"};
    words.insert(words.end(), more.begin(), more.end());
    return trial.run(words);
  };
  const Finished first = split("first", "coco");
  CAPTURE(first.out);
  CAPTURE(first.err);
  REQUIRE(first.status == 0);
  CHECK(contains(first.out, "the splits of the data, train, val, are put together and divided anew\n"));
  CHECK(contains(first.out,
                 "train: 28 images, 28 objects\nval: 8 images, 8 objects\ntest: 4 images, 4 objects\n"));
  CHECK(contains(first.out, "was read back, with the same boxes"));
  const auto parts = content(trial.folder / "first");
  CHECK(parts.size() == 3);
  CHECK(all_of(trial.folder / "first") == all_of(trial.folder / "in"));

  REQUIRE(split("again", "voc").status == 0);
  CHECK(content(trial.folder / "again") == parts);
  REQUIRE(split("other", "yolo", {"--seed", "2"}).status == 0);
  CHECK(content(trial.folder / "other") != parts);
  CHECK(all_of(trial.folder / "other") == all_of(trial.folder / "in"));
}

TEST_CASE("data split: --split divides one split and keeps the others") {
  const ProgramTrial trial;
  if (!trial) return;
  write_yolo_data(trial.folder / "in", {"train", "test"}, 20);
  const auto split = [&](const std::string& out, const std::string& parts) {
    return trial.run({"data", "split", trial.path("in"), "--out", trial.path(out), "--to", "yolo", "--split",
                      "train", "--parts", parts});
  };
  REQUIRE(split("out", "train=80,val=20").status == 0);
  auto parts = content(trial.folder / "out"), before = content(trial.folder / "in");
  CHECK(parts["train"].size() == 16);
  CHECK(parts["val"].size() == 4);
  CHECK(parts["test"] == before["test"]);
  const Finished twice = split("bad", "train=80,test=20");
  CHECK(twice.status == 2);
  CHECK(contains(twice.err, "--parts names the split test, which the data has beside train"));
  const Finished sum = split("bad", "train=80,val=30");
  CHECK(sum.status == 2);
  CHECK(contains(sum.err, "sum to 110; expected 1, or 100"));
  CHECK(!fs::exists(trial.folder / "bad"));
  const Finished unknown = trial.run(
      {"data", "split", trial.path("in"), "--out", trial.path("bad"), "--to", "yolo", "--split", "val"});
  CHECK(unknown.status == 2);
  CHECK(contains(unknown.err, "no split 'val' to divide"));
}

TEST_CASE("data split: a split of any name is read back in every form") {
  const ProgramTrial trial;
  if (!trial) return;
  write_yolo_data(trial.folder / "in", {"train"}, 10);
  for (const char* form : {"coco", "voc", "yolo"}) {
    CAPTURE(form);
    const Finished result = trial.run({"data", "split", trial.path("in"), "--out", trial.path(form), "--to",
                                       form, "--parts", "train=.5,fold-2=.3,hold_out=.2"});
    CAPTURE(result.err);
    CHECK(result.status == 0);
    auto parts = content(trial.folder / form);
    CHECK(parts["fold-2"].size() == 3);
    CHECK(parts["hold_out"].size() == 2);
  }
}

TEST_CASE("data merge: joins classes and splits, renames images, and says what it did") {
  const ProgramTrial trial;
  if (!trial) return;
  write_yolo_data(trial.folder / "a", {"train", "val"}, 3);
  write_yolo_data(trial.folder / "b", {"train"}, 4, 5);  // 005 is in both, the others are new
  fs::rename(trial.folder / "b/images/train/006.png", trial.folder / "b/images/train/001.png");
  fs::rename(trial.folder / "b/labels/train/006.txt", trial.folder / "b/labels/train/001.txt");
  write_text(trial.folder / "b/data.yaml", "names: [cow, cat]\ntrain: images/train\n");
  const Finished result = trial.run(
      {"data", "merge", trial.path("a"), trial.path("b"), "--out", trial.path("out"), "--to", "coco"});
  CAPTURE(result.out);
  CAPTURE(result.err);
  REQUIRE(result.status == 0);
  CHECK(contains(result.out, "/b: 4 images, 4 objects, 2 classes\n"));
  CHECK(contains(result.out, "merged: 3 classes: cat, dog, cow\n"));
  CHECK(contains(result.out, "written once with the objects of both: 1\n"));
  CHECK(contains(result.out, "  of these in another split of the earlier data set, where they stay: 1\n"));
  CHECK(contains(result.out, "train: 6 images, 6 objects\nval: 3 images, 4 objects\n"));
  CHECK(
      contains(result.out, "images with a new name, because another has theirs or lists cannot hold it: 1"));
  CHECK(fs::exists(trial.folder / "out/images/train/001_2.png"));
  CHECK(content_of(trial.folder / "out/images/train/001_2.png") ==
        content_of(trial.folder / "b/images/train/001.png"));

  const Finished one =
      trial.run({"data", "merge", trial.path("a"), "--out", trial.path("one"), "--to", "voc"});
  CHECK(one.status == 2);
  CHECK(contains(one.err, "expected two or more"));
  const Finished inside = trial.run({"data", "merge", trial.path("a"), trial.path("b"), "--out",
                                     trial.path("b/images/out"), "--to", "coco"});
  CHECK(inside.status == 2);
  CHECK(contains(inside.err, "lies in the folder of the data"));
  CHECK(!fs::exists(trial.folder / "b/images/out"));
}

TEST_CASE("data filter: prints what was kept and what was left out") {
  const ProgramTrial trial;
  if (!trial) return;
  write_yolo_data(trial.folder / "in", {"train", "val"}, 10);  // boxes are 3 to 3.57 pixels high
  const Finished result =
      trial.run({"data", "filter", "--classes", "dog", trial.path("in"), "--min-side", "3.2", "--split",
                 "train", "--images-with-objects", "--out", trial.path("out"), "--to", "voc"});
  CAPTURE(result.out);
  CAPTURE(result.err);
  REQUIRE(result.status == 0);
  CHECK(contains(result.out, "kept 2 of 20 images, 2 of 20 objects\n"));
  CHECK(contains(result.out, "  images of other splits, left out: 10\n"));
  CHECK(contains(result.out, "  images without objects, left out: 8\n"));
  CHECK(contains(result.out, "  objects of other classes, left out: 5\n"));
  CHECK(contains(result.out, "  small objects, left out: 3\n"));
  const auto parts = content(trial.folder / "out"), before = content(trial.folder / "in");
  REQUIRE(parts.size() == 1);
  for (const std::string& image : parts.at("train")) CHECK(before.at("train").contains(image));
  CHECK(find_data(trial.folder / "out").splits == Names{"train"});

  const Finished unknown = trial.run({"data", "filter", trial.path("in"), "--drop-classes", "dog,cow",
                                      "--out", trial.path("bad"), "--to", "voc"});
  CHECK(unknown.status == 2);
  CHECK(contains(unknown.err, "The data has no class 'cow'; it has cat, dog."));
  const Finished negative = trial.run(
      {"data", "filter", trial.path("in"), "--min-side", "-1", "--out", trial.path("bad"), "--to", "voc"});
  CHECK(negative.status == 2);
  CHECK(contains(negative.err, "--min-side is -1; expected 0 or more."));
  CHECK(!fs::exists(trial.folder / "bad"));
}

TEST_CASE("data draw: pictures of each split with boxes; others' files and unreadable images") {
  const ProgramTrial trial;
  if (!trial) return;
  write_yolo_data(trial.folder / "in", {"train", "val"}, 10);
  const auto draw = [&](const std::string& out, Names more = {}) {
    Names words = {"data", "draw", trial.path("in"), "--out", trial.path(out)};
    words.insert(words.end(), more.begin(), more.end());
    return trial.run(words);
  };
  write_bytes(trial.folder / "out/val/.rcnn-tmp-1-0", {});  // of a process that was killed: it is removed
  const Finished first = draw("out", {"--count", "4", "--pictures", "png"});
  CAPTURE(first.out);
  CAPTURE(first.err);
  REQUIRE(first.status == 0);
  CHECK(contains(first.out, "000.png: 1 object -> " + trial.path("out/train/000.png")));
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(trial.folder / "out"))
    if (entry.is_regular_file()) names.insert(entry.path().lexically_relative(trial.folder / "out").string());
  CHECK(names == std::set<std::string>{"train/000.png", "train/002.png", "train/005.png", "train/007.png",
                                       "val/010.png", "val/012.png", "val/015.png", "val/017.png"});
  // The picture is the image with something drawn on it.
  const Image before = read_image(trial.folder / "in/images/train/000.png"),
              after = read_image(trial.folder / "out/train/000.png");
  CHECK(after.width == before.width);
  CHECK(after.rgb != before.rgb);

  CHECK(draw("out", {"--count", "4", "--pictures", "png"}).status == 0);  // its own pictures are replaced
  write_bytes(trial.folder / "out/val/010.png", numbered_picture(1));
  const Finished other = draw("out", {"--count", "4", "--pictures", "png"});
  CHECK(other.status == 2);
  CHECK(contains(other.err, "was not written by rcnn"));
  CHECK(draw("out", {"--count", "4", "--pictures", "png", "--force"}).status == 0);
  const Finished inside = draw("in/drawn");
  CHECK(inside.status == 2);
  CHECK(contains(inside.err, "would become a part of it"));

  const Finished all = draw("all", {"--count", "0", "--split", "valid"});
  CHECK(all.status == 0);
  CHECK(std::count(all.out.begin(), all.out.end(), '\n') == 10);
  CHECK(fs::exists(trial.folder / "all/val/019.jpg"));

  std::vector<uint8_t> damaged = numbered_picture(3);
  REQUIRE(damaged.size() > 120);
  std::fill(damaged.begin() + 43, damaged.begin() + 120, uint8_t{0xFF});  // in the compressed pixels
  write_bytes(trial.folder / "in/images/train/000.png", damaged);
  const Finished faulty = draw("faulty", {"--split", "train"});
  CHECK(faulty.status == 2);
  CHECK(contains(faulty.err, "1 of 10 images could not be read; the others are drawn"));
  CHECK(!fs::exists(trial.folder / "faulty/train/000.jpg"));
  CHECK(fs::exists(trial.folder / "faulty/train/009.jpg"));
}

TEST_CASE("data: a split of a hostile data.yaml names no folder outside of the output") {
  const ProgramTrial trial;
  if (!trial) return;
  write_yolo_data(trial.folder / "in", {"train"}, 2);
  write_text(trial.folder / "in/data.yaml",
             "names: [cat, dog]\ntrain: images/train\n../../escaped: images/train\n");
  for (const Names& words :
       {Names{"draw"}, Names{"convert", "--to", "yolo"}, Names{"filter", "--to", "coco"}}) {
    Names all = {"data", words[0], trial.path("in"), "--out", trial.path("deep/out")};
    all.insert(all.end(), words.begin() + 1, words.end());
    const Finished result = trial.run(all);
    CAPTURE(words[0]);
    CAPTURE(result.err);
    CHECK(result.status == 2);
    CHECK(contains(result.err, "which cannot be the name of a file"));
    CHECK(!fs::exists(trial.folder / "deep"));
    CHECK(!fs::exists(trial.folder / "escaped"));
  }
}
