// What a form cannot hold is refused before anything is written, and long names stay names.
#include <sys/resource.h>

#include <csignal>

#include "data/convert.h"
#include "data/write_forms.h"
#include "tests/data/label_folder.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

/// Splits of one image each, all with one cat.
struct Splits {
  TemporaryFolder folder;

  std::vector<DataPart> parts(const Names& names) const {
    std::vector<DataPart> parts;
    for (const std::string& name : names) {
      const fs::path image = folder / "in" / fmt::format("{}.png", parts.size());
      write_bytes(image, encode_png(smooth_image(40, 30)));
      parts.push_back({name, {{"cat"}, {{image.stem().string(), image, 40, 30, {{{3, 4, 10, 12}, 1}}}}, {}}});
    }
    return parts;
  }
  std::string refused(std::vector<DataPart> parts, DataForm form) const {
    const std::string sentence = input_error([&] {
      write_parts(std::move(parts), folder / "out", {form, false});
    });
    CHECK(!fs::exists(folder / "out"));
    CHECK(!fs::exists(folder / "out.part"));
    return sentence;
  }
  void write(std::vector<DataPart> parts, DataForm form) const {
    write_parts(std::move(parts), folder / "out", {form, false});
    fs::remove_all(folder / "out");
  }
};

}  // namespace

TEST_CASE("convert: a split whose name the form cannot hold is refused before anything is written") {
  const Splits splits;
  CHECK(contains(splits.refused(splits.parts({"train", "small_train"}), DataForm::voc),
                 "The split 'small_train' cannot be written as VOC beside the split 'train', because "
                 "small_train.txt is then read as the list of a single class"));
  splits.write(splits.parts({"train", "small_val"}), DataForm::voc);
  splits.write(splits.parts({"train", "small_train"}), DataForm::yolo);
  for (const char* name : {"names", "path", "nc", "download"})
    CHECK(contains(
        splits.refused(splits.parts({"train", name}), DataForm::yolo),
        fmt::format("The split '{}' cannot be written as YOLO, where data.yaml has something else", name)));
  CHECK(contains(splits.refused(splits.parts({"train", "caf\xE9"}), DataForm::yolo), "is not UTF-8"));
  splits.write(splits.parts({"train", "names"}), DataForm::voc);
}

TEST_CASE("convert: an image with two annotations is a fault of the data") {
  const Splits splits;
  std::vector<DataPart> parts = splits.parts({"train", "val"});
  parts[1].data.samples[0].image = parts[0].data.samples[0].image;
  splits.write(parts, DataForm::voc);  // the same objects
  parts[1].data.samples[0].objects[0].box.x1 = 5;
  CHECK(
      contains(splits.refused(parts, DataForm::voc),
               "0.png lies in the splits train and val with different objects, and VOC has one annotation"));
  splits.write(parts, DataForm::coco);
  parts[0].data.samples.push_back(parts[0].data.samples[0]);
  CHECK(contains(splits.refused(parts, DataForm::coco), "0.png has two entries in the split train"));
}

TEST_CASE("convert: VOC has no list of classes, so those without an object are named") {
  const Splits splits;
  std::vector<DataPart> parts = splits.parts({"train"});
  parts[0].data.classes = {"owl", "cat", "dog"};
  parts[0].data.samples[0].objects[0].label = 2;
  CHECK(write_parts(parts, splits.folder / "voc", {DataForm::voc, false}).classes_left_out ==
        Names{"owl", "dog"});
  CHECK(write_parts(parts, splits.folder / "yolo", {DataForm::yolo, false}).classes_left_out == Names{});
  CHECK(read_split(find_data(splits.folder / "yolo"), "train").classes == Names{"owl", "cat", "dog"});
}

TEST_CASE("convert: a number behind a name of 255 bytes takes the place of its last letters") {
  const TemporaryFolder folder;
  std::string stem(245, 'x');
  for (int i = 0; i < 3; ++i) stem += "\xC3\xA9";  // é: 251 bytes, 255 with .png
  std::vector<DataPart> parts = {{"train", {{"cat"}, {}, {}}}};
  for (const char* part : {"a", "b", "c"}) {
    const fs::path image = folder / part / (stem + ".png");
    write_bytes(image, encode_png(smooth_image(40, 30)));
    parts[0].data.samples.push_back({part, image, 40, 30, {{{3, 4, 10, 12}, 1}}});
  }
  for (const DataForm form : {DataForm::voc, DataForm::coco, DataForm::yolo}) {
    const fs::path out = folder / fmt::format("out{}", static_cast<int>(form));
    CHECK(write_parts(parts, out, {form, false}).renamed == 2);
    const Dataset data = read_split(find_data(out), "train");
    REQUIRE(data.samples.size() == 3);
    Names names;
    for (const Sample& sample : data.samples) names.push_back(sample.image.stem().string());
    std::sort(names.begin(), names.end());
    CHECK(names[0] == std::string(245, 'x') + "\xC3\xA9\xC3\xA9_2");
    CHECK(names[1] == std::string(245, 'x') + "\xC3\xA9\xC3\xA9_3");
    CHECK(names[2] == stem);
  }
}

TEST_CASE("convert: a copy that fails says why") {
  const TemporaryFolder folder;
  write_bytes(folder / "a.png", std::vector<uint8_t>(100'000, 7));
  place_image(folder / "a.png", folder / "b.png", false);
  CHECK(fs::file_size(folder / "b.png") == 100'000);
  // A limit on the size of files makes a write fail half way, as a full disk does.
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto old = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{4096, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  std::string sentence;
  try {
    place_image(folder / "a.png", folder / "c.png", false);
  } catch (const Error& error) {
    sentence = error.what();
  }
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old);
  CHECK(contains(sentence, "c.png"));
  CHECK(contains(sentence, "File too large"));
  CHECK(!fs::exists(folder / "c.png"));
}
