#include "train/learning_series.h"

#include <nlohmann/json.hpp>

#include "core/files/atomic_file.h"
#include "core/files/look.h"
#include "core/files/sha256.h"
#include "core/log.h"
#include "core/text.h"
#include "data/files.h"

namespace rcnn {
namespace {

std::filesystem::path lines_file(const Run& run) { return run.out / "learning.jsonl"; }

/// The objects on the image, if it is one of the run's.
std::vector<Object> objects_on(const Run& run, const std::filesystem::path& image) {
  for (const Dataset* part : {&run.data.train, &run.data.val, &run.data.test})
    for (const Sample& sample : part->samples) {
      std::error_code unknown;  // an image that is missing is not this one
      if (std::filesystem::equivalent(sample.image, image, unknown)) return sample.objects;
    }
  return {};
}

/// The lines of the file as JSON; what is no JSON is "discarded".
std::vector<nlohmann::ordered_json> read_json_lines(const std::filesystem::path& file) {
  std::vector<nlohmann::ordered_json> lines;
  for (const std::string& line : read_lines(file))
    lines.push_back(nlohmann::ordered_json::parse(line, nullptr, false));
  return lines;
}

}  // namespace

LearningSeries::LearningSeries(Run& run)
    : run_(run),
      image_(read_image(run.options.explain_image)),
      digest_(sha256_hex_of_file(run.options.explain_image)),
      objects_(objects_on(run, run.options.explain_image)),
      lines_(run.state.step == 0 ? JsonLines::create(lines_file(run))
                                 : JsonLines::resume(lines_file(run), run.state.step)) {
  for (const auto& line : read_json_lines(lines_file(run))) {
    std::string digest;
    try {
      newest_ = frame_of(line).step;
      line.at("image_sha256").get_to(digest);
    } catch (const nlohmann::json::exception& error) {
      throw InputError(fmt::format("{}: a line is not a frame that this program wrote: {}",
                                   lines_file(run).string(), error.what()));
    }
    check_input(
        digest == digest_,
        "--explain-every {} {}: the frames in {} are of another image; expected the same one, or another "
        "--out",
        run.options.explain_every, run.options.explain_image, lines_file(run).string());
  }
  if (const int64_t lost = lines_.damaged_lines(); lost > 0)
    print_log("{}: a line is damaged; dropped {} frame{} of steps up to {}, from that line on\n",
              lines_file(run).string(), lost, lost == 1 ? "" : "s", run.state.step);
}

void LearningSeries::add(int64_t step) {
  if (step <= newest_) return;
  try {
    nlohmann::ordered_json line =
        frame_json(take_frame(run_.ctx, *run_.detector.model, image_, objects_, step));
    line["image_sha256"] = digest_;
    lines_.write(line);
    newest_ = step;
  } catch (const Error& error) {  // training goes on without it
    print_log("learning.jsonl: no frame after step {}: {}\n", step, printable(error.what()));
  }
}

void LearningSeries::save() {
  lines_.sync();
  std::vector<LearningFrame> frames;
  for (const auto& line : read_json_lines(lines_file(run_))) frames.push_back(frame_of(line));
  if (frames.empty()) return;
  write_atomically(
      run_.out / "learning.html",
      learning_page(std::filesystem::path(run_.options.explain_image).filename().string(), image_,
                    run_.detector.model->config, run_.detector.classes, objects_, frames));
}

void check_explained_image(const RunOptions& options) {
  if (options.explain_every == 0) return;
  check_input(
      options.train.mode == "joint",
      "--explain-every: with --mode {} the network does not detect until the end; expected --mode joint",
      options.train.mode);
  check_input(is_there(options.explain_image), "--explain-every {} {}: no such file", options.explain_every,
              options.explain_image);
  read_image(options.explain_image);
}

}  // namespace rcnn
