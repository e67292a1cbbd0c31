// The program where the system refuses something: a log that cannot be written, threads and memory that
// cannot be had, and paths that cannot be followed.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/memory_limit.h"
#include "core/pipeline.h"
#include "core/text.h"
#include "core/threads.h"
#include "tests/program.h"
#include "tests/train/tiny_run.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

using Words = std::vector<std::string>;

/// Whether a limit of addresses leaves the program any: the sanitizers reserve terabytes when it starts.
bool addresses_can_be_limited() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  MESSAGE("skipped: under a sanitizer the program does not start with a limit of addresses");
  return false;
#else
  return true;
#endif
}

/// The program, run by a shell that may redirect it and limit what it may use.
struct Trial : ProgramTrial {
  /// A training run on the folder's data, as words of a shell.
  std::string train(const std::string& out, const std::string& steps = "6",
                    const std::string& data = "data") const {
    std::string words = fmt::format("{} train --data {} --out {} --device cpu", shell_word(program.string()),
                                    shell_word(path(data)), shell_word(path(out)));
    for (const auto& [key, text] : tiny_settings())
      words += fmt::format(" --{} {}", key, key == "steps" ? steps : text);
    return words;
  }
  Finished shell(const std::string& command) const { return run_program("/bin/sh", {"-c", command}); }
};

bool one_sentence(const std::string& text) {
  return text.starts_with("rcnn: ") && text.ends_with("\n") &&
         std::count(text.begin(), text.end(), '\n') == 1;
}

}  // namespace

TEST_CASE("faults: a log that cannot be written does not end a training; metrics and summary say so") {
  const Trial trial;
  if (!trial) return;
  write_tiny_scenes(trial.folder / "data", 4);
  for (const std::string redirected : {" > /dev/full", " | true"}) {
    CAPTURE(redirected);
    const std::string out = redirected == " | true" ? "closed" : "full";
    const std::string status = trial.path(out + ".status");
    const Finished result =
        trial.shell(fmt::format("( sleep 1; {}; echo $? > {} ){}", trial.train(out), status, redirected));
    CHECK(content_of(status) == "0\n");
    CHECK(contains(result.err, "standard output cannot be written"));
    const fs::path folder = trial.folder / out;
    CHECK(fs::exists(folder / "last.safetensors"));
    CHECK(fs::exists(folder / "report.html"));
    const auto summary = nlohmann::json::parse(content_of(folder / "summary.json"));
    CHECK(contains(summary.at("log_failure").get<std::string>(),
                   out == "full" ? "No space left on device" : "Broken pipe"));
    const std::string metrics = content_of(folder / "metrics.jsonl");
    const size_t first = metrics.find("log_failure");
    CHECK(first != std::string::npos);
    CHECK(metrics.find("log_failure", first + 1) == std::string::npos);
  }
  const Finished good = trial.shell(trial.train("good"));
  CHECK(good.status == 0);
  CHECK_FALSE(contains(content_of(trial.folder / "good/summary.json"), "log_failure"));
}

TEST_CASE("faults: what another command says is its result, which must be written") {
  const Trial trial;
  if (!trial) return;
  write_tiny_scenes(trial.folder / "data", 2);
  const std::string check =
      shell_word(trial.program.string()) + " check --data " + shell_word(trial.path("data"));
  CHECK(trial.shell(check).status == 0);
  const Finished full = trial.shell(check + " > /dev/full");
  CHECK(full.status == 1);
  CHECK(one_sentence(full.err));
}

TEST_CASE("faults: an error is an exit status even if standard error cannot be written") {
  const Trial trial;
  if (!trial) return;
  const std::string wrong =
      shell_word(trial.program.string()) + " train --data " + shell_word(trial.path("none"));
  for (const char* redirected : {"", " 2> /dev/full", " 2>&-"}) {
    CAPTURE(redirected);
    CHECK(trial.shell(wrong + redirected).status == 2);
  }
  const std::string status = trial.path("status");
  trial.shell(fmt::format("( sleep 1; {}; echo $? > {} ) 2>&1 | true", wrong, status));
  CHECK(content_of(status) == "2\n");
}

TEST_CASE("faults: threads that cannot be started are a sentence, and those that were are ended") {
  std::vector<std::thread> threads;
  std::atomic<bool> stop = false;
  std::atomic<int> running = 0;
  const auto work = [&] {
    ++running;
    while (!stop) std::this_thread::yield();
    --running;
  };
  start_threads(threads, 3, work, [&] { stop = true; });
  CHECK(threads.size() == 3);
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(running == 0);
  CHECK(count_startable_threads(4) == 4);

  const Trial trial;
  if (!trial || !addresses_can_be_limited()) return;
  write_tiny_scenes(trial.folder / "data", 4);
  // Each thread takes 64 MiB of addresses for its stack, of 1.5 GiB.
  const Finished result =
      trial.shell("ulimit -s 65536; ulimit -v 1500000; " + trial.train("out") + " --workers 200");
  CAPTURE(result.err);
  CHECK(result.status == 1);
  CHECK(one_sentence(result.err));
  CHECK(contains(result.err, " of 200 threads could be started"));
  // Threads that compute: fewer are as good. libgomp would end the process.
  const Finished fewer =
      trial.shell("ulimit -s 65536; ulimit -v 3000000; " + shell_word(trial.program.string()) +
                  " synth --count 1 --threads 200 --out " + shell_word(trial.path("scenes")));
  CHECK_MESSAGE(fewer.status == 0, fewer.err);
  CHECK(fewer.err.empty());
}

TEST_CASE("faults: under a limit of addresses the program works or says in one sentence that it is short") {
  const Trial trial;
  if (!trial || !addresses_can_be_limited()) return;
  write_tiny_scenes(trial.folder / "data", 4);
  const auto under = [&](int mib, const std::string& command) {
    return trial.shell(fmt::format("ulimit -v {}; {}", mib * 1024, command));
  };
  const auto train = [&](const std::string& out) {
    return trial.train(out, "2") + " --workers 1 --threads 2";
  };
  // What the libraries take differs between machines: from a limit under which the program can say its
  // version to one under which it can train.
  int low = 16, high = 0;
  while (low < 65536 && under(low, shell_word(trial.program.string()) + " --version").status != 0)
    low += low / 4;
  for (high = low * 2; high < 65536 && under(high, train(fmt::format("high{}", high))).status != 0;)
    high *= 2;
  int worked = 0, refused = 0;
  constexpr int kLimits = 12;
  for (int i = 0; i <= kLimits; ++i) {
    const int mib = low + (high - low) * i / kLimits;
    CAPTURE(mib);
    const Finished result = under(mib, train(fmt::format("out{}", mib)));
    CAPTURE(result.err);
    if (result.status == 0) {
      ++worked;
      continue;
    }
    ++refused;
    CHECK(result.status == 1);
    CHECK(one_sentence(result.err));
    CHECK((contains(result.err, "out of memory") || contains(result.err, "threads could be started") ||
           contains(result.err, "Cannot allocate memory")));
    CHECK_FALSE(contains(result.err, "crashed"));
  }
  CHECK(worked > 0);
  CHECK(refused > 0);
}

TEST_CASE("faults: a path that cannot be followed is a sentence with status 2") {
  const Trial trial;
  if (!trial) return;
  fs::create_symlink("loop", trial.folder / "loop");
  const std::string longer = trial.path(std::string(300, 'x'));
  for (const std::string& path : {trial.path("loop"), longer})
    for (const Words& words : std::vector<Words>{
             {"train", "--data", path, "--out", trial.path("out")},
             {"check", "--data", path},
             {"train", "--data", trial.path("data"), "--config", path, "--out", trial.path("out")},
             {"eval", "--data", path, "--weights", path}}) {
      CAPTURE(words[0]);
      const Finished result = trial.run(words);
      CAPTURE(result.err);
      CHECK(result.status == 2);
      CHECK(one_sentence(result.err));
      CHECK(contains(result.err, path));
      CHECK((contains(result.err, "Too many levels of symbolic links") ||
             contains(result.err, "File name too long")));
    }
}

TEST_CASE("faults: a link to itself among the data does not stop the other images") {
  const Trial trial;
  if (!trial) return;
  const fs::path data = trial.folder / "data";
  write_tiny_scenes(data, 4);
  std::vector<fs::path> images;
  for (const auto& entry : fs::directory_iterator(data / "JPEGImages")) images.push_back(entry.path());
  std::sort(images.begin(), images.end());
  fs::remove(images[1]);
  fs::create_symlink(images[1].filename(), images[1]);
  const Finished result = trial.shell(trial.train("out", "1"));
  CAPTURE(result.err);
  CHECK(result.status == 0);
  CHECK(contains(result.out, "1 fault in the data"));
  CHECK(contains(result.out, images[1].filename().string()));

  // Detection goes on with the other images, and says which it could not read.
  const Finished found = trial.run({"detect", "--weights", trial.path("out/best.safetensors"), "--out",
                                    trial.path("found"), (data / "JPEGImages").string()});
  CAPTURE(found.err);
  CHECK(found.status == 2);  // a fault in the input
  CHECK(contains(found.err, "rcnn: 1 of 4 images could not be read, the last of them " + images[1].string()));
  CHECK(contains(found.err, "Too many levels of symbolic links"));
  CHECK(contains(content_of(trial.folder / "found/detections.json"), images[2].filename().string()));
}

TEST_CASE("faults: images damaged in header or body are left out alike, named and counted") {
  const Trial trial;
  if (!trial) return;
  const fs::path whole = trial.folder / "data";
  write_tiny_scenes(whole, 4);
  write_tiny_scenes(whole, 3, "test");
  REQUIRE(trial.shell(trial.train("run", "1")).status == 0);
  std::string figures, found;
  for (const std::string damage : {"header", "body"}) {
    CAPTURE(damage);
    const fs::path data = trial.folder / damage;
    fs::copy(whole, data, fs::copy_options::recursive);
    for (const char* name : {"train_00001.png", "test_00001.png"}) {
      const fs::path image = data / "JPEGImages" / name;
      std::string bytes = content_of(image);
      damage == "header" ? void(bytes[1] = 'x') : bytes.resize(bytes.size() / 2);
      write_text(image, bytes);
    }
    const auto json_of = [&](const std::string& name) {
      return nlohmann::json::parse(content_of(trial.folder / name));
    };
    const std::string image = (data / "JPEGImages/test_00001.png").string();
    const std::string out = damage + "-run";
    const Finished trained = trial.shell(trial.train(out, "2", damage));
    CAPTURE(trained.err);
    CHECK(trained.status == 0);
    CHECK(contains(trained.out, image));
    CHECK(json_of(out + "/summary.json").at("unreadable_images") == 2);
    CHECK(json_of(out + "/detections.json").back().at("unreadable_images") == 1);  // of the test split
    CHECK(contains(content_of(trial.folder / out / "report.html"), "2, which were left out"));
    const std::string model = trial.path("run/best.safetensors");
    const Words test = {"--data", data.string(), "--split", "test"};
    const auto with = [&](Words words) {
      words.insert(words.end(), test.begin(), test.end());
      return trial.run(words);
    };
    const Finished judged =
        with({"eval", "--weights", model, "--json", trial.path(damage + ".json"), "--out",
              trial.path(damage + "-found.json"), "--report", trial.path(damage + ".html")});
    CHECK(judged.status == 0);
    CHECK(contains(judged.out, image));
    CHECK(json_of(damage + ".json").at("unreadable_images") == 1);
    CHECK(json_of(damage + "-found.json").back().at("unreadable_images") == 1);
    CHECK(contains(content_of(trial.folder / (damage + ".html")), "1, which was left out"));
    const Finished proposed =
        with({"propose", "--weights", model, "--out", trial.path(damage + "-boxes.json")});
    CHECK(proposed.status == 0);
    CHECK(contains(proposed.out, image));
    const auto boxes = json_of(damage + "-boxes.json");
    CHECK(boxes.back().at("unreadable_images") == 1);
    CHECK_FALSE(boxes.front().contains("unreadable_images"));
    const Finished compared = with(
        {"compare", model, trial.path("run/last.safetensors"), "--json", trial.path(damage + "-both.json")});
    CHECK(compared.status == 0);
    CHECK(contains(compared.out, image));
    CHECK(json_of(damage + "-both.json").at("unreadable_images") == 1);
    const Finished detected = trial.run({"detect", "--weights", model, "--out", trial.path(damage + "-found"),
                                         (data / "JPEGImages").string()});
    CHECK(detected.status == 2);
    CHECK(contains(detected.err, "2 of 7 images could not be read"));
    CHECK(json_of(damage + "-found/detections.json").back().at("unreadable_images") == 2);
    for (auto [text, path] : {std::pair{&figures, damage + ".json"}, {&found, damage + "-found.json"}}) {
      const std::string now = content_of(trial.folder / path);
      CHECK((text->empty() || *text == now));
      *text = now;
    }
  }
}

TEST_CASE("faults: a folder that may not be listed is named") {
  if (::geteuid() == 0) {
    MESSAGE("skipped: root may list every folder");
    return;
  }
  const Trial trial;
  if (!trial) return;
  write_tiny_scenes(trial.folder / "data", 4);
  fs::permissions(trial.folder / "data/Annotations", fs::perms::none);
  const Finished result = trial.run({"check", "--data", trial.path("data")});
  fs::permissions(trial.folder / "data/Annotations", fs::perms::owner_all);
  CAPTURE(result.err);
  CHECK(result.status == 2);
  CHECK(contains(result.err, trial.path("data/Annotations")));
  CHECK(contains(result.err, "Permission denied"));
}
