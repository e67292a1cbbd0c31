// The end of a run: evaluates the best model and writes the results.
#include "core/files/look.h"
#include "core/files/output.h"
#include "core/files/sha256.h"
#include "core/log.h"
#include "eval/biography.h"
#include "eval/coco_metrics.h"
#include "eval/detect.h"
#include "eval/diagnosis.h"
#include "train/interrupt.h"
#include "train/run.h"
#include "train/run_report.h"

namespace rcnn {
namespace {

constexpr size_t kAugmentedShown = 16;  // training images in the report

/// Makes best.safetensors and the model in memory the same: the result of the run.
void take_best_weights(Run& run) {
  if (run.state.best_step == 0) {  // there was no evaluation: the last weights are the result
    if (run.ema) run.ema->swap();
    if (run.world.is_first()) save_model(run.best_weights(), run.detector);
    return;
  }
  // In place, because a second model would keep its own packed weights.
  if (run.world.is_first()) reload_model(run.best_weights(), *run.detector.model);
  const auto share = [&](const Tensor& value) {
    const Tensor here = value.to(Device{});
    run.world.broadcast(std::as_writable_bytes(here.mutable_values<float>()));
    value.copy_from(here.to(value.device()));
  };
  if (run.world.size() > 1)
    visit_module(
        *run.detector.model, [&](const std::string&, Var& v, const Shape&) { share(v.value()); },
        [&](const std::string&, Tensor& value) { share(value); });
}

void evaluate(Run& run, Dataset& split, FinishedRun& finished, KeepGoing& writing) {
  std::vector<Trace> traces;
  std::vector<Fault> faults = split.faults;
  const auto known = std::ssize(faults);
  const auto stop_if_told = [&] {
    if (const int signal = signal_of(run.world); signal != 0)
      throw Interrupted(
          fmt::format("stopped in the evaluation at the end, after all steps; {}",
                      resume_hint(run.options.command_line, run.options.resume, run.options.processes())),
          signal);
  };
  finished.detections = detect_dataset(run.world, run.ctx, *run.detector.model, split,
                                       static_cast<int>(run.config.workers), faults, &traces, stop_if_told);
  if (!run.world.is_first()) return;
  run.faults.insert(run.faults.end(), faults.begin() + known, faults.end());
  ignore_undecodable(split, run.faults);
  writing.run([&] {
    write_detections(run.out / "detections.json", finished.detections, split.samples, run.detector.classes,
                     split.category_ids, count_unreadable(faults));
  });
  finished.result = evaluate_voc(finished.detections, split);
  const CocoFigures coco = evaluate_coco(finished.detections, split).mean;
  for (const CocoFigureName& figure : kCocoFigures)
    finished.coco_figures.emplace_back(figure.words, coco.*figure.value);
  finished.diagnosis = diagnose(finished.detections, traces, split);
  writing.run([&] { tell_worst(run.ctx, *run.detector.model, split, *finished.diagnosis); });
}

/// The recommended confidence threshold of each class becomes part of the model's file.
void keep_confidence(Run& run, const Diagnosis& diagnosis) {
  run.detector.confidence = recommended_confidence(diagnosis);
  save_model(run.best_weights(), run.detector);
}

}  // namespace

void finish(Run& run) {
  if (run.lock) run.lock->check_holds();
  run.world.watch.place = "the evaluation at the end";
  take_best_weights(run);
  FinishedRun finished;
  KeepGoing writing;
  if (!run.world.is_first()) {  // rank 0 reports
    Dataset evaluated = run.data.evaluated();
    if (!evaluated.samples.empty()) evaluate(run, evaluated, finished, writing);
    return;
  }
  finished.steps = run.state.step;
  finished.images_seen = run.state.step * run.images_seen_per_step();
  finished.best_step = run.state.best_step;
  finished.train_seconds = run.state.train_seconds;
  finished.summaries = run.summaries;
  for (const LoadedImage& image : first_images(run.data.train, loader_options(run.config), kAugmentedShown))
    finished.augmented.push_back({run.data.train.samples[static_cast<size_t>(image.sample)].id,
                                  {image.image, image.objects, image.scale}});
  Dataset evaluated = run.data.evaluated();
  finished.split = run.data.evaluated_name();
  // If the validation split is evaluated again, the same faults are found below.
  if (!run.data.test.samples.empty() && !run.data.test_is_val)
    run.faults.insert(run.faults.end(), run.val_faults.begin(), run.val_faults.end());
  if (!evaluated.samples.empty()) evaluate(run, evaluated, finished, writing);
  if (finished.diagnosis) writing.run([&] { keep_confidence(run, *finished.diagnosis); });
  finished.weights_sha256 = sha256_hex_of_file(run.best_weights());
  evaluated.classes = run.detector.classes;
  finished.faults = run.faults;
  const std::filesystem::path report = run.out / "report.html";
  writing.run([&] { write_summary(run.out / "summary.json", run.options, finished, evaluated); });
  writing.run([&] { write_run_report(run.out, run.options, finished, evaluated); });
  print_result(finished);
  writing.finish();
  print_log("model: {}\nreport: {}\n", run.best_weights().string(), report.string());
  if (const auto learning = run.out / "learning.html"; run.options.explain_every > 0 && is_there(learning))
    print_log("learning: {}\n", learning.string());
}

}  // namespace rcnn
