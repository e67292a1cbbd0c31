// No command writes over its inputs, or over a file of another program without --force; and two runs never
// share a folder.
#include <csignal>

#include "core/files/output.h"
#include "data/scenes.h"
#include "tests/program.h"
#include "tests/train/tiny_run.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

using Words = std::vector<std::string>;

/// The program, scenes in data/ and a model in run/.
struct OutputTrial : ProgramTrial {
  std::string model = path("run/best.safetensors");

  Words train(const std::string& out, const std::string& steps = "1", const Words& more = {}) const {
    Words words = {"train", "--data", path("data"), "--out", path(out)};
    for (const auto& [key, text] : tiny_settings())
      words.insert(words.end(), {"--" + key, key == "steps" ? steps : text});
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  void prepare() const {
    write_tiny_scenes(folder / "data", 4);
    REQUIRE(run(train("run")).status == 0);
  }
  /// The command is refused with such a sentence and nothing else, and the file stays as it is.
  void refuses(const Words& words, const std::string& file, const std::string& sentence) const {
    CAPTURE(file);
    const std::string before = content_of(folder / file);
    const Finished result = run(words);
    CHECK(result.status == 2);
    CHECK(result.out.empty());
    CHECK_MESSAGE(contains(result.err, sentence), result.err);
    CHECK(content_of(folder / file) == before);
  }
};

const std::string kReads = "the command reads this file and would replace it";
const std::string kForeign = "this file exists and was not written by rcnn";

}  // namespace

TEST_CASE("outputs: no command replaces a file that it reads, not even with --force") {
  const OutputTrial trial;
  if (!trial) return;
  trial.prepare();
  const std::string data = trial.path("data"), model = trial.model, found = trial.path("found.json");
  const std::string xml = trial.path("data/Annotations/train_00000.xml");
  REQUIRE(
      trial.run({"eval", "--weights", model, "--data", data, "--split", "train", "--out", found}).status ==
      0);
  fs::create_symlink(model, trial.folder / "link.safetensors");
  fs::create_hard_link(found, trial.folder / "hard.json");
  for (const Words& forced : {Words{}, Words{"--force"}}) {
    const auto with = [&](Words words) {
      words.insert(words.end(), forced.begin(), forced.end());
      return words;
    };
    trial.refuses(with({"export", "--weights", model, "--out", model}), "run/best.safetensors", kReads);
    trial.refuses(with({"export", "--weights", model, "--out", trial.path("link.safetensors")}),
                  "run/best.safetensors", kReads);
    for (const char* name : {"found.json", "hard.json"})
      trial.refuses(with({"eval", "--detections", found, "--data", data, "--split", "train", "--json",
                          trial.path(name)}),
                    name, kReads);
    trial.refuses(with({"eval", "--weights", model, "--data", data, "--json", xml}),
                  "data/Annotations/train_00000.xml", kReads);
    trial.refuses(with({"propose", "--weights", model, "--data", data, "--out", xml}),
                  "data/Annotations/train_00000.xml", kReads);
  }
  trial.refuses({"eval", "--weights", model, "--data", data, "--split", "train", "--out",
                 trial.path("x.json"), "--json", trial.path("x.json")},
                "x.json", "would write this file twice");
}

TEST_CASE(
    "outputs: annotations that data convert wrote are no results, and images beside a file are inputs") {
  const OutputTrial trial;
  if (!trial) return;
  trial.prepare();
  const std::string coco = trial.path("coco"), model = trial.model;
  REQUIRE(trial.run({"data", "convert", trial.path("data"), "--to", "coco", "--out", coco}).status == 0);
  const std::string annotations = "coco/annotations/instances_train.json",
                    image = "coco/images/train/train_00000.png";
  REQUIRE(fs::exists(trial.folder / image));
  for (const char* command : {"eval", "propose"}) {
    CAPTURE(command);
    trial.refuses(
        {command, "--weights", model, "--data", coco, "--split", "train", "--out", trial.path(annotations)},
        annotations, kReads);
    trial.refuses(
        {command, "--weights", model, "--data", trial.path(annotations), "--out", trial.path(image)}, image,
        kReads);
  }
}

TEST_CASE("outputs: train keeps files that lie beside an empty run.lock, and --dry-run may name a run") {
  const OutputTrial trial;
  if (!trial) return;
  trial.prepare();
  write_text(trial.folder / "out/run.lock", "");
  write_text(trial.folder / "out/metrics.jsonl", "mine");
  trial.refuses(trial.train("out"), "out/metrics.jsonl", kForeign);
  CHECK(trial.run(trial.train("run", "1", {"--dry-run"})).status == 0);
}

TEST_CASE("outputs: export refuses names of other formats") {
  const OutputTrial trial;
  if (!trial) return;
  for (const char* name : {"x.onnx", "x.pth", "x"})
    trial.refuses({"export", "--weights", trial.model, "--out", trial.path(name)}, name,
                  "expected a name that ends in .safetensors");
}

TEST_CASE("outputs: no command replaces the checkpoint of another run without --force") {
  const OutputTrial trial;
  if (!trial) return;
  trial.prepare();
  REQUIRE(trial.run(trial.train("other")).status == 0);
  const std::string file = "other/last.safetensors", data = trial.path("data");
  const std::string sentence = "this file is the checkpoint of a run, which could not be resumed without it";
  const Words exported = {"export", "--weights", trial.model, "--out", trial.path(file)};
  trial.refuses(exported, file, sentence);
  trial.refuses(
      {"eval", "--weights", trial.model, "--data", data, "--split", "train", "--model-out", trial.path(file)},
      file, sentence);
  CHECK(trial.run(trial.train("other", "1", {"--resume"})).status == 0);  // which is its own
  Words forced = exported;
  forced.emplace_back("--force");
  CHECK(trial.run(forced).status == 0);
  CHECK(trial.run(exported).status == 0);  // it is a checkpoint no longer
}

TEST_CASE("outputs: files of other programs are replaced with --force only, own ones always") {
  const OutputTrial trial;
  if (!trial) return;
  trial.prepare();
  const std::string data = trial.path("data"), model = trial.model;
  const struct {
    const char* file;
    Words words;
  } commands[] = {
      {"a.json",
       {"eval", "--weights", model, "--data", data, "--split", "train", "--json", trial.path("a.json")}},
      {"b.json",
       {"eval", "--weights", model, "--data", data, "--split", "train", "--out", trial.path("b.json")}},
      {"c.json", {"propose", "--weights", model, "--data", data, "--out", trial.path("c.json")}},
      {"d.safetensors", {"export", "--weights", model, "--out", trial.path("d.safetensors")}},
      {"e/detections.json", {"detect", "--weights", model, "--out", trial.path("e"), data + "/JPEGImages"}},
      {"e/train_00001.jpg", {"detect", "--weights", model, "--out", trial.path("e"), data + "/JPEGImages"}},
      {"f.json",
       {"bench", "ops", "--op", "upsample_add", "--case", "0", "--seconds", "0", "--json",
        trial.path("f.json")}},
  };
  for (const auto& [file, words] : commands) {
    CAPTURE(file);
    write_text(trial.folder / file, "mine");
    trial.refuses(words, file, kForeign);
    Words forced = words;
    forced.emplace_back("--force");
    CHECK(trial.run(forced).status == 0);
    CHECK(is_written_here(trial.folder / file));
    CHECK(trial.run(words).status == 0);
    CHECK(is_written_here(trial.folder / file));
  }
}

TEST_CASE("outputs: detect leaves the photographs in --out alone, also those that it does not read") {
  const OutputTrial trial;
  if (!trial) return;
  trial.prepare();
  write_bytes(trial.folder / "photos/c.jpg", encode_jpeg(random_image(60, 60)));
  write_bytes(trial.folder / "photos/c.png", encode_png(random_image(60, 60)));
  const std::string photos = trial.path("photos");
  const Words command = {"detect", "--weights", trial.model, "--out", photos};
  const auto detect = [&](const std::string& image, const Words& more = {}) {
    Words words = command;
    words.push_back(image);
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  trial.refuses(detect(photos), "photos/c.jpg", kReads);
  trial.refuses(detect(photos, {"--force"}), "photos/c.jpg", kReads);
  trial.refuses(detect(photos + "/c.png"), "photos/c.jpg", kForeign);
  CHECK(fs::exists(trial.folder / "photos/detections.json") == false);
  CHECK(trial.run(detect(photos + "/c.png", {"--pictures", "none"})).status == 0);
}

TEST_CASE("outputs: synth does not replace the lists, images and annotations of a data set") {
  const OutputTrial trial;
  if (!trial) return;
  const Words command = {"synth", "--out", trial.path("s"), "--count", "2"};
  for (const char* file :
       {"s/ImageSets/Main/train.txt", "s/JPEGImages/train_00001.png", "s/Annotations/train_00000.xml"}) {
    write_text(trial.folder / file, "photo_1\n");
    trial.refuses(command, file, kForeign);
    fs::remove(trial.folder / file);
  }
  CHECK(trial.run(command).status == 0);
  const std::string list = content_of(trial.folder / "s/ImageSets/Main/train.txt");
  CHECK(trial.run(command).status == 0);
  CHECK(content_of(trial.folder / "s/ImageSets/Main/train.txt") == list);
  write_text(trial.folder / "s/ImageSets/Main/train.txt", list + "photo_1\n");
  trial.refuses(command, "s/ImageSets/Main/train.txt", kForeign);
}

TEST_CASE("outputs: train does not write into a folder with files of its names that it did not write") {
  const OutputTrial trial;
  if (!trial) return;
  write_tiny_scenes(trial.folder / "data", 4);
  for (const char* name : {"report.html", "summary.json", "splits/train.txt", "metrics.jsonl", "run.lock"}) {
    const std::string file = std::string("out/") + name;
    write_text(trial.folder / file, "mine");
    trial.refuses(trial.train("out"), file, kForeign);
    trial.refuses(trial.train("out", "1", {"--mode", "alternating"}), file, kForeign);
    fs::remove_all(trial.folder / "out");
  }
  write_text(trial.folder / "out/report.html", "mine");
  CHECK(trial.run(trial.train("out", "1", {"--force"})).status == 0);
  CHECK(is_written_here(trial.folder / "out/report.html"));

  // A run's folder inside the data is its own, also when it is resumed.
  CHECK(trial.run(trial.train("data/run")).status == 0);
  const Finished again = trial.run(trial.train("data/run", "1", {"--resume"}));
  CHECK_MESSAGE(again.status == 0, again.err);
}

TEST_CASE("outputs: closed standard files do not turn the files of a run into them") {
  const OutputTrial trial;
  if (!trial) return;
  write_tiny_scenes(trial.folder / "data", 2);
  Words words = {"-c", "exec \"$0\" \"$@\" <&- >&- 2>&-", trial.program.string()};
  for (const std::string& word : trial.train("out")) words.push_back(word);
  CHECK(run_program("/bin/sh", words).status == 0);
  CHECK(contains(content_of(trial.folder / "out/run.lock"), "written by rcnn.cu, process "));
  CHECK_FALSE(contains(content_of(trial.folder / "out/run.lock"), "parameters"));
  REQUIRE(trial.run(trial.train("open")).status == 0);
  const std::string metrics = content_of(trial.folder / "open/metrics.jsonl");
  CHECK(metrics.starts_with("{\"step\":1,"));
  CHECK(content_of(trial.folder / "out/metrics.jsonl") == metrics);  // and no message among its lines
}

TEST_CASE("outputs: a second run in the folder of one that still runs is refused with its process id") {
  const OutputTrial trial;
  if (!trial) return;
  write_tiny_scenes(trial.folder / "data", 4);
  for (const Words& mode : {Words{}, Words{"--mode", "alternating"}}) {
    const std::string out = mode.empty() ? "joint" : "parts";
    Words words = trial.train(out, "100000", mode);
    words.insert(words.begin(), trial.program.string());
    Process first(words);
    const fs::path metrics = trial.folder / out / (mode.empty() ? "" : "1-rpn") / "metrics.jsonl";
    first.wait_until([&] { return !content_of(metrics).empty(); });
    REQUIRE(first.running());
    // A run that resumes waits ten seconds for the lock; another one is refused at once.
    const bool resumes = mode.empty();
    if (resumes) words.emplace_back("--resume");
    Process second(words);
    REQUIRE(second.wait_briefly() == 2);
    if (!resumes) words.emplace_back("--resume");
    CHECK(contains(second.out(), "waiting up to 10 s for its end") == resumes);
    CHECK_MESSAGE(contains(second.err(), fmt::format(": process {} is training in this folder", first.id())),
                  second.err());
    CHECK(first.running());

    // A process that was killed is no obstacle, and what it was writing is removed.
    first.kill_and_wait();
    const fs::path left = metrics.parent_path() / ".rcnn-tmp-1-0",
                   other = metrics.parent_path() / ".rcnn-tmp-x";
    write_text(left, "half");
    write_text(other, "not ours");
    Process third(words);
    third.wait_briefly_until([&] { return !fs::exists(left); }, "the removal of " + left.string());
    CHECK_FALSE(fs::exists(left));
    CHECK(fs::exists(other));
    CHECK(third.running());
  }
}

TEST_CASE("outputs: a run whose folder was taken away writes nothing into that of another one") {
  const OutputTrial trial;
  if (!trial) return;
  write_tiny_scenes(trial.folder / "data", 4);
  Words words = trial.train("out", "100000", {"--checkpoint-every", "50"});
  words.insert(words.begin(), trial.program.string());
  Process first(words);
  first.wait_until([&] { return !content_of(trial.folder / "out/metrics.jsonl").empty(); });
  first.signal(SIGSTOP);  // long before its first checkpoint
  REQUIRE(first.running());
  REQUIRE_FALSE(fs::exists(trial.folder / "out/last.safetensors"));
  fs::remove_all(trial.folder / "out");
  REQUIRE(trial.run(trial.train("out", "2")).status == 0);
  const auto contents = [&] {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(trial.folder / "out"))
      files[entry.path().filename().string()] = content_of(entry.path());
    return files;
  };
  const auto before = contents();
  first.signal(SIGCONT);
  REQUIRE(first.wait_briefly() == 1);
  CHECK_MESSAGE(contains(first.err(), trial.path("out") + " is no longer the folder of this run"),
                first.err());
  CHECK(contents() == before);
}
