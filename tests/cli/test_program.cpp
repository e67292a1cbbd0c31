// The program with bad input: it prints one sentence to the error stream that names the file or option and
// the fault, exits with status 2, and damages nothing.
#include <doctest/doctest.h>

#include <algorithm>

#include "core/files/safetensors.h"
#include "core/files/sha256.h"
#include "kernels/gemm/winograd.h"
#include "tests/program.h"
#include "tests/train/tiny_run.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

using Words = std::vector<std::string>;

Words operator+(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// The program and a folder of scenes to try it on.
struct Trial : ProgramTrial {
  /// The error message of the program for bad input; checks its form.
  std::string refusal(const Words& words) const {
    const Finished result = run(words);
    CAPTURE(result.out);
    CAPTURE(result.err);
    CHECK(result.status == 2);
    CHECK(result.err.starts_with("rcnn: "));
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
    CHECK(result.err.ends_with("\n"));
    return result.err;
  }

  /// The command of a tiny training run on the folder's data; needs `write_tiny_scenes(folder / "data",
  /// ...)`.
  Words train(const std::string& out = "out", const std::string& steps = "6") const {
    Words words = {"train", "--data", path("data"), "--out", path(out)};
    for (const auto& [key, text] : tiny_settings())
      words = words + Words{"--" + key, key == "steps" ? steps : text};
    return words;
  }
  /// Trains for one step and returns the path of the model.
  std::string trained_model() const {
    write_tiny_scenes(folder / "data", 2);
    REQUIRE(run(train("trained", "1")).status == 0);
    return path("trained/best.safetensors");
  }
};

size_t count_files(const fs::path& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), {}));
}

}  // namespace

TEST_CASE("program: --version describes the build, and --help lists the options") {
  const Trial trial;
  if (!trial) return;
  const Finished version = trial.run({"--version"});
  CHECK(version.status == 0);
  CHECK(version.out.starts_with("rcnn "));
  CHECK(contains(version.out, " threads"));
  CHECK(contains(version.out, ", built for "));
  const char* best = kernels::winograd_kernels(4).front()->instruction_set;
  CHECK(contains(version.out, std::string(best) + " kernels"));

  const auto help = [&](const Words& command) {
    const Finished result = trial.run(command + Words{"--help"});
    CHECK(result.status == 0);
    CHECK(result.err.empty());
    return result.out;
  };
  for (const char* word : {"train", "eval", "detect", "synth", "--version"}) CHECK(contains(help({}), word));
  // --help shows the options that are needed most often, and says how to see the rest.
  const std::string first = help({"train"});
  for (const char* word : {"--data", "--model", "--weights", "--epochs", "--batch", "--short-side",
                           "--device", "--out", "--resume", "--seed", "--config", "--help-all"})
    CHECK(contains(first, word));
  size_t options = 0;
  for (size_t at = first.find("\n  --"); at != std::string::npos; at = first.find("\n  --", at + 1))
    ++options;
  CHECK(options <= 12);
  CHECK_FALSE(contains(first, "--momentum"));
  CHECK(std::count(first.begin(), first.end(), '\n') <= 40);
  const std::string train = trial.run({"train", "--help-all"}).out;
  for (const Field<TrainConfig>& field : train_fields())
    CHECK(contains(train, "--" + std::string(field.key)));
  for (const Field<ModelConfig>& field : model_fields())
    CHECK(contains(train, "--" + std::string(field.key)));
  for (const char* word : {"--config", "--resume", "--kernel", "--dry-run", "cosine|step|constant", "[0.9]"})
    CHECK(contains(train, word));
  const std::string eval = help({"eval"}), detect = help({"detect"}), synth = help({"synth"});
  for (const char* word : {"--weights", "--data", "--split", "--out", "--workers"})
    CHECK(contains(eval, word));
  for (const char* word : {"--weights", "--out", "--score", "images"}) CHECK(contains(detect, word));
  for (const char* word : {"--out", "--count", "--seed", "--split", "--width", "--height", "--objects"})
    CHECK(contains(synth, word));
}

TEST_CASE("program: a wrong command line is refused with the name of the option") {
  const Trial trial;
  if (!trial) return;
  CHECK(contains(trial.refusal({"nonsense"}), "'nonsense' is not a command; `rcnn --help`"));
  CHECK(contains(trial.refusal({"train", "--nonsense", "3"}), "--nonsense"));
  CHECK(contains(trial.refusal({"train", "--nonsense", "3"}), "`rcnn train --help`"));
  CHECK(contains(trial.refusal({"train", "--batch"}), "--batch"));
  CHECK(contains(trial.refusal({"train", "--steps", "3", "--steps", "4"}), "--steps"));
  CHECK(contains(trial.refusal({"eval", "--weights", "x"}), "--data is required"));
  CHECK(contains(trial.refusal({"detect", "--weights", "x"}), "images is required"));
  for (const char* score : {"2", "nan", "-nan", "inf"})
    CHECK(contains(trial.refusal({"detect", "--weights", "x", "--score", score, "y"}), "--score"));
  CHECK(contains(trial.refusal({"synth"}), "--out is required"));
  CHECK(contains(trial.refusal({"synth", "--out", trial.path("s"), "--count", "-3"}), "--count"));
  CHECK(contains(trial.refusal({"synth", "--out", trial.path("s"), "--width", "3"}), "3 x 240 pixels"));
}

TEST_CASE("program: a wrong value of a setting is refused with the value that was expected") {
  const Trial trial;
  if (!trial) return;
  CHECK(contains(trial.refusal({"train", "--batch", "0"}), "batch: expected a number from 1 to 4096"));
  CHECK(contains(trial.refusal({"train", "--batch", "2.5"}), "batch: expected a whole number, found '2.5'"));
  CHECK(contains(trial.refusal({"train", "--lr", "abc"}), "lr: expected a number, found 'abc'"));
  CHECK(contains(trial.refusal({"train", "--lr", "1e30"}), "lr: expected a number from 0 to 100"));
  CHECK(contains(trial.refusal({"train", "--lr", "nan"}), "lr: expected a finite number"));
  CHECK(contains(trial.refusal({"train", "--model", "foo"}),
                 "--model foo: unknown model; expected one of nano"));
  CHECK(contains(trial.refusal({"train", "--device", "foo"}),
                 "--device foo: expected auto, cpu, cuda or cuda:N"));
  CHECK(contains(trial.refusal({"train", "--schedule", "foo"}), "schedule: expected cosine or step"));
  CHECK(contains(trial.refusal({"train", "--anchor-sizes", "16,x"}), "anchor-sizes: expected numbers"));
  CHECK(contains(trial.refusal({"train", "--kernel", "nonsense"}), "--kernel nonsense: expected OP=VARIANT"));
  write_tiny_scenes(trial.folder / "data", 2);
  const Words train = trial.train();
  CHECK(contains(trial.refusal(train + Words{"--kernel", "conv2d=nonsense"}),
                 "--kernel conv2d=nonsense: conv2d has no such variant on cpu; it has "));
}

TEST_CASE("program: a configuration file sets what the flags do not") {
  const Trial trial;
  if (!trial) return;
  write_tiny_scenes(trial.folder / "data", 2);
  write_text(trial.folder / "good.toml",
             "seed = 5\n[train]\nmomentum = 0.8\nflip-vertical = true\nsteps = 3\n"
             "[model]\nanchor-sizes = [[8, 12.5], [32, 45], [64, 90]]\nbox-head-size = 7\n");
  // The command line also sets steps and box-head-size, and takes precedence over the file.
  REQUIRE(trial.run(trial.train() + Words{"--config", trial.path("good.toml")}).status == 0);
  const auto metadata = read_safetensors(trial.folder / "out" / "last.safetensors").metadata;
  CHECK(metadata.at("setting.seed") == "5");
  CHECK(metadata.at("setting.momentum") == "0.8");
  CHECK(metadata.at("setting.flip-vertical") == "true");
  CHECK(metadata.at("setting.anchor-sizes") == "8,12.5; 32,45; 64,90");
  CHECK(metadata.at("setting.steps") == "6");
  CHECK(metadata.at("setting.box-head-size") == "32");
}

TEST_CASE("program: faults in configuration files are reported with file and line") {
  const Trial trial;
  if (!trial) return;
  const std::string file = trial.path("c.toml");
  const auto refusal = [&](const std::string& text) {
    write_text(file, text);
    return trial.refusal({"train", "--config", file});
  };
  CHECK(
      contains(refusal("[train]\nbatch = 2\nnonsense = 3\n"), file + ": line 3: unknown setting 'nonsense'"));
  CHECK(contains(refusal("\nnonsense = 3\n"), file + ": line 2: unknown setting 'nonsense'"));
  CHECK(contains(refusal("[train]\nbatch = = 2\n"), file + ": line 2: "));
  CHECK(contains(refusal("[train\n"), file + ": line 1: "));
  CHECK(contains(refusal("[train]\nlr = 1\nlr = 2\n"), file + ": line 3: "));
  CHECK(contains(refusal("a = 1\n[other]\n"), file + ": line"));
  CHECK(contains(refusal("\n[other]\nlr = 1\n"), file + ": line 2: expected the tables [model] and [train]"));
  CHECK(contains(refusal("[train]\n\nbatch = 0\n"), file + ": line 3: batch: expected a number from 1"));
  CHECK(contains(refusal("lr = \"abc\"\n"), file + ": line 1: lr: expected a number, found 'abc'"));
  CHECK(contains(refusal("[train]\nlr = 2020-01-01\n"), file + ": line 2: 'lr' is neither a number"));
  CHECK(contains(refusal("[train]\n[train.lr]\nx = 1\n"), file + ": line 2: 'lr' is neither a number"));
  CHECK(contains(refusal("[model]\nanchor-sizes = []\n"), file + ": line 2: anchor-sizes: expected numbers"));
  CHECK(contains(trial.refusal({"train", "--config", trial.path("none")}), trial.path("none") + ": no such"));
  CHECK(contains(trial.refusal({"train", "--config", trial.folder.path().string()}), "is a folder"));
}

TEST_CASE("program: train refuses data that is missing or incomplete") {
  const Trial trial;
  if (!trial) return;
  write_tiny_scenes(trial.folder / "data", 2);
  CHECK(contains(trial.refusal({"train"}), "--data is missing"));
  const auto with = [&](const std::string& data, const std::string& split) {
    return trial.refusal({"train", "--data", trial.path(data), "--train", split, "--out", trial.path("o")});
  };
  CHECK(contains(with("none", "train"), trial.path("none") + " does not exist"));
  fs::create_directories(trial.folder / "bare");
  CHECK(contains(with("bare", "train"), trial.path("bare") + " holds no labelled images"));
  CHECK(contains(with("data", "nope"), trial.path("data") + " has no split 'nope'; it has train"));
  write_text(trial.folder / "data/ImageSets/Main/empty.txt", "\n\n");
  CHECK(contains(with("data", "empty"), trial.path("data/ImageSets/Main/empty.txt") + " lists no image"));
  write_text(trial.folder / "data/ImageSets/Main/gone.txt", "no_such_image\n");
  CHECK(contains(with("data", "gone"), "no_such_image"));
  CHECK(contains(trial.refusal(trial.train() + Words{"--test", "nope"}), "has no split 'nope'"));
  CHECK_FALSE(fs::exists(trial.folder / "o"));
  CHECK_FALSE(fs::exists(trial.folder / "out"));
}

TEST_CASE("program: faulty annotations are skipped, counted and listed at the end") {
  const Trial trial;
  if (!trial) return;
  write_tiny_scenes(trial.folder / "data", 5);
  const fs::path annotations = trial.folder / "data/Annotations";
  const std::string cut = (annotations / "train_00001.xml").string();
  fs::resize_file(cut, fs::file_size(cut) / 2);
  const std::string flat = (annotations / "train_00002.xml").string();
  write_text(flat,
             "<annotation><size><width>96</width><height>96</height><depth>3</depth></size><object>"
             "<name>disc</name><bndbox><xmin>5</xmin><ymin>9</ymin><xmax>5</xmax><ymax>20</ymax></bndbox>"
             "</object></annotation>");
  const std::string image = trial.path("data/JPEGImages/train_00003.png");
  fs::resize_file(image, fs::file_size(image) / 2);  // noticed only when it is decoded

  const Finished result = trial.run(trial.train());
  CAPTURE(result.out);
  CHECK(result.status == 0);
  CHECK(result.err.empty());
  const size_t list = result.out.find("3 faults in the data:\n");
  REQUIRE(list != std::string::npos);
  for (const std::string& file : {cut, flat, image}) CHECK(contains(result.out.substr(list), "\n  " + file));
  CHECK(contains(content_of(trial.folder / "out/summary.json"), "\"faults\": 3"));
  CHECK(contains(content_of(trial.folder / "out/report.html"), "train_00002.xml"));
}

TEST_CASE("program: train, eval and detect refuse faulty weights files") {
  const Trial trial;
  if (!trial) return;
  const std::string model = trial.trained_model(), bad = trial.path("bad.safetensors");
  const SafetensorsFile good = read_safetensors(model);
  const std::string bytes = content_of(model);
  const auto in = [&](const std::vector<Words>& commands, const std::string& file, const std::string& fault) {
    CAPTURE(fault);
    for (const Words& words : commands) {
      const std::string sentence = trial.refusal(words + Words{"--weights", file});
      CHECK(contains(sentence, file));
      CHECK(contains(sentence, fault));
    }
  };
  const std::string data = trial.path("data");
  const std::vector<Words> models = {{"eval", "--data", data, "--split", "train"},
                                     {"detect", "--out", trial.path("found"), data}};
  const auto in_all = [&](const std::string& file, const std::string& fault) {
    in(models, file, fault);
    in({trial.train()}, file, fault);
  };
  const auto changed = [&](const auto& change) {
    SafetensorsFile file = good;
    change(file.tensors);
    write_safetensors(bad, listed(file), file.metadata);
    return bad;
  };
  using Tensors = std::map<std::string, Tensor>;
  const std::string name = "rpn.head.conv.0.0.bias";
  REQUIRE(good.tensors.contains(name));
  in_all(trial.path("none"), "No such file");
  write_text(bad, bytes.substr(0, bytes.size() / 2));
  in_all(bad, "tensor \"");
  write_text(bad, bytes.substr(0, 5));
  in_all(bad, "is not a safetensors file");
  write_text(bad, "");
  in_all(bad, "is empty");
  CHECK_FALSE(fs::exists(trial.folder / "out/last.safetensors"));
  // eval and detect need the whole model. Training starts from the tensors that fit, and reports the others.
  const auto starts = [&](const std::string& out, const std::string& file, const std::string& line) {
    const Finished result = trial.run(trial.train(out, "1") + Words{"--weights", file});
    CHECK(result.status == 0);
    CHECK_MESSAGE(contains(result.out, line), result.out);
  };
  in(models, changed([&](Tensors& t) { t.erase(name); }), "tensor '" + name + "' is missing");
  starts("one", bad, "not in the file, initialised at random: rpn (1)");
  in(models, changed([&](Tensors& t) { t["more"] = Tensor::zeros({2}, DType::f32); }),
     "tensor 'more' of shape (2) is not part of this model");
  starts("two", bad, "more");
  in(models, changed([&](Tensors& t) { t[name] = Tensor::zeros({31}, DType::f32); }),
     "tensor '" + name + "' has shape (31), expected (32)");
  starts("three", bad, name);
  CHECK_FALSE(fs::exists(trial.folder / "found"));
}

TEST_CASE("program: train refuses a folder that holds a run, and one that cannot be created") {
  const Trial trial;
  if (!trial) return;
  trial.trained_model();
  CHECK(
      contains(trial.refusal(trial.train("trained")), trial.path("trained") + ": this folder already holds"));
  write_text(trial.folder / "file", "x");
  CHECK(contains(trial.refusal(trial.train("file/out")), trial.path("file/out") + ": cannot create"));
}

TEST_CASE("program: if the disk is full when a checkpoint is written, the previous one is left intact") {
  const Trial trial;
  if (!trial) return;
  write_tiny_scenes(trial.folder / "data", 8);
  write_broken_split(trial.folder / "data");
  REQUIRE(trial.run(trial.train("whole")).status == 0);
  const Words often = {"--checkpoint-every", "1"};
  CHECK(contains(trial.refusal(trial.train() + often + Words{"--val", "broken"}), "can be decoded"));
  const fs::path last = trial.folder / "out/last.safetensors";
  const std::string before = sha256_hex_of_file(last);
  const size_t files = count_files(trial.folder / "out");

  // A limit on the size of files makes a write fail half way, as a full disk does.
  const Words resuming = trial.train() + often + Words{"--resume"};
  const Finished full = run_program(
      "/bin/sh", Words{"-c", "ulimit -f 1000 && exec \"$0\" \"$@\"", trial.program.string()} + resuming);
  CAPTURE(full.err);
  CHECK(full.status == 1);
  CHECK(full.err.starts_with("rcnn: " + last.string() + " cannot be written: "));
  CHECK(std::count(full.err.begin(), full.err.end(), '\n') == 1);
  CHECK(sha256_hex_of_file(last) == before);
  CHECK(count_files(trial.folder / "out") == files);  // no partial file is left behind

  REQUIRE(trial.run(resuming).status == 0);
  CHECK(sha256_hex_of_file(trial.folder / "out/best.safetensors") ==
        sha256_hex_of_file(trial.folder / "whole/best.safetensors"));
}

TEST_CASE("program: a run can be resumed without the weights file that it started from") {
  const Trial trial;
  if (!trial) return;
  fs::copy_file(trial.trained_model(), trial.folder / "begin.safetensors");
  write_tiny_scenes(trial.folder / "data", 8);
  write_broken_split(trial.folder / "data");
  const Words from = {"--weights", trial.path("begin.safetensors"), "--checkpoint-every", "1"};
  REQUIRE(trial.run(trial.train("whole") + from).status == 0);
  CHECK(contains(trial.refusal(trial.train() + from + Words{"--val", "broken"}), "can be decoded"));
  fs::remove(trial.folder / "begin.safetensors");
  CHECK(contains(trial.refusal(trial.train("other") + from + Words{"--resume"}), "begin.safetensors"));
  const Finished resumed = trial.run(trial.train() + from + Words{"--resume"});
  CAPTURE(resumed.err);
  REQUIRE(resumed.status == 0);
  CHECK(contains(resumed.out, "after step 4"));  // the last: an evaluation that fails costs no step
  CHECK(sha256_hex_of_file(trial.folder / "out/best.safetensors") ==
        sha256_hex_of_file(trial.folder / "whole/best.safetensors"));
}
