#include "train/trainer.h"

#include <chrono>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/files/sha256.h"
#include "eval/advice.h"
#include "eval/coco_metrics.h"
#include "eval/diagnosis.h"
#include "eval/detect.h"
#include "models/transform.h"
#include "train/alternating.h"
#include "train/batch.h"
#include "train/checkpoint.h"
#include "train/ema.h"
#include "train/interrupt.h"
#include "train/json_lines.h"
#include "train/loss_log.h"
#include "train/memory.h"
#include "train/non_finite.h"
#include "train/progress.h"
#include "train/run_data.h"
#include "train/run_options.h"
#include "train/run_report.h"
#include "train/sgd.h"
#include "train/step.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

constexpr size_t kAugmentedShown = 16;  // in the report

struct Run {
  RunOptions options;
  TrainConfig& config = options.train;
  fs::path out = config.out;
  Context ctx;
  RunData data;
  std::vector<DataSummary> summaries;
  Detector detector;
  int64_t epoch_steps = 0;
  int64_t steps = 0;  // wanted; with --minutes those done
  double train_seconds = 0;
  std::vector<Fault> faults;
  std::vector<Fault> val_faults;  // what the last look at the validation split met

  explicit Run(const RunOptions& o) : options(o), ctx(choose(o)) {
    ctx.precision = parse_precision(options.model.precision);
    ctx.seed = static_cast<uint64_t>(config.seed);
    ctx.kernels = options.kernels;
  }

  static Device choose(const RunOptions& options) {
    const cuda::DeviceChoice choice = cuda::choose_device(options.train.device);
    fmt::print("{}\n", choice.line);
    return choice.device;
  }

  fs::path last() const { return out / "last.safetensors"; }
  /// From a checkpoint, which has everything.
  bool goes_on() const { return options.resume && fs::exists(last()); }
  int64_t images_a_step() const { return config.batch * config.accumulate; }
  /// A data set smaller than a batch gives shorter ones.
  int64_t images_seen_a_step() const { return std::min(config.batch, images()) * config.accumulate; }
  int64_t images() const { return static_cast<int64_t>(data.train.samples.size()); }
};

/// What was left open is settled by the data: short side, anchors, rate and length.
void settle(Run& run) {
  RunOptions& options = run.options;
  if (run.config.weights.empty())
    if (const std::string line = start_from_scratch(options.model); !line.empty()) fmt::print("{}\n", line);
  suit_to_data(options.model, run.data.train, level_strides(options.model), options.suited);
  // The last batch of an epoch is left out where it would be short (see LoaderOptions::drop_last).
  const int64_t batches = std::max<int64_t>(1, run.images() / options.train.batch);
  run.epoch_steps = std::max<int64_t>(1, (batches + options.train.accumulate / 2) / options.train.accumulate);
  TrainConfig& config = run.config;
  if (config.epochs == 0) config.epochs = default_epochs(run.images(), options.model.short_side);
  if (config.lr == 0) config.lr = default_learning_rate(options.model.backbone, run.images_a_step());
  const int64_t steps = config.steps > 0 ? config.steps : config.epochs * batches / config.accumulate;
  // By the clock nobody knows how many passes it will be: as many as suit the data, for all that is known.
  const bool by_steps = config.steps > 0 && config.minutes <= 0;
  settle_augmentation(config,
                      by_steps ? static_cast<double>(steps * config.accumulate) / static_cast<double>(batches)
                               : static_cast<double>(config.epochs));
  run.steps = std::max<int64_t>(1, std::llround(static_cast<double>(steps) * options.share));
}

void describe_data(Run& run) {
  const RunData& data = run.data;
  const auto look = [&](const Dataset& part, const std::string& name, bool again) {
    if (part.samples.empty() || again) return;
    run.summaries.push_back(summarise(part, name, run.options.model, level_strides(run.options.model)));
    run.faults.insert(run.faults.end(), part.faults.begin(), part.faults.end());
  };
  look(data.train, data.train_name, false);
  look(data.val, data.val_name, false);
  look(data.test, data.test_name, data.test_is_val);
  print_summary(run.summaries.front());
  for (size_t i = 1; i < run.summaries.size(); ++i)
    fmt::print("{}: {} images, {} boxes\n", run.summaries[i].split, run.summaries[i].images,
               run.summaries[i].boxes);
  std::vector<std::pair<std::string, const Dataset*>> parts;
  for (const auto& [name, part] : {std::pair{data.train_name, &data.train},
                                   {data.val_name, &data.val},
                                   {data.test_is_val ? "" : data.test_name, &data.test}})
    if (!name.empty()) parts.emplace_back(name, part);
  Sentences advice = repeated_image_advice(parts);
  const TrainConfig& config = run.config;
  advice.push_back(
      learning_rate_advice(static_cast<double>(config.lr), run.images_a_step(), config.clip_norm > 0));
  std::erase(advice, "");
  fmt::print("{}", advice_text(advice));
  if (run.data.judged().samples.empty())
    fmt::print("nothing is watched or judged: the data has no val or test split\n");
  if (!run.faults.empty())
    fmt::print("{} faults in the data; listed at the end, and by `rcnn check`\n", run.faults.size());
}

std::unique_ptr<FasterRcnn> make_model(const Run& run) {
  auto model =
      std::make_unique<FasterRcnn>(run.options.model, static_cast<int64_t>(run.data.train.classes.size()),
                                   Init(static_cast<uint64_t>(run.config.seed)));
  model->rpn_alone = run.config.mode == "rpn";
  return model;
}

/// What --dry-run says.
void print_forecast(Run& run) {
  MemoryPlan plan;
  plan.make_model = [&run] {
    auto model = make_model(run);
    if (!run.config.weights.empty()) freeze_stages(*model, run.options.model.frozen_stages);
    if (run.config.freeze_backbone) freeze_backbone(*model);
    return model;
  };
  plan.sgd = sgd_options(run.config);
  plan.loader = loader_options(run.config);
  plan.steps = run.steps;
  plan.accumulate = run.config.accumulate;
  plan.averages = run.config.ema > 0;
  plan.watched = run.data.val.samples;
  plan.largest_scale = 1 + run.config.scale_jitter;
  fmt::print("{}", describe(forecast_memory(run.ctx, plan, run.data.train)));
}

void build(Run& run) {
  run.detector.classes = run.data.train.classes;
  run.detector.category_ids = run.data.train.category_ids;
  run.detector.model = make_model(run);
  if (run.goes_on()) {
    freeze_stages(*run.detector.model, run.options.model.frozen_stages);  // the checkpoint has the weights
  } else if (!run.config.weights.empty()) {
    const WeightsReport loaded = load_weights_file(run.config.weights, run.detector, run.config.keep_classes);
    fmt::print("{}\n", loaded.text());
    for (const auto* left : {&loaded.missing, &loaded.other_shape})
      for (const std::string& name : *left)
        check_input(!run.config.freeze_backbone || !name.starts_with("backbone."),
                    "--freeze-backbone: {} has no '{}', which would stay random", run.config.weights,
                    name.substr(0, name.find(' ')));
  }
  if (run.config.freeze_backbone) freeze_backbone(*run.detector.model);
  move_to(*run.detector.model, run.ctx.device);
  int64_t parameters = 0;
  for_each_parameter(*run.detector.model,
                     [&](const std::string&, Var& v) { parameters += v.value().numel(); });
  fmt::print("{}: {:.2f} M parameters; {} on {}\n", run.options.model.backbone,
             static_cast<double>(parameters) / 1e6, numerics_description(), run.ctx.device.str());
}

/// Takes the run up where its last checkpoint left it, or prepares an empty folder.
RunState open_folder(Run& run, Sgd& sgd, Ema* ema) {
  const auto settings = result_settings(run.options, run.data.random);
  std::error_code error;
  fs::create_directories(run.out, error);
  check_input(!error, "{}: cannot create the folder: {}", run.out.string(), error.message());
  write_random_split(run.data, run.out);
  if (!run.goes_on()) {
    if (run.options.resume) fmt::print("no checkpoint in {} yet: starting from step 0\n", run.out.string());
    RunState state;
    state.settings = settings;
    return state;
  }
  RunState state = load_checkpoint(run.last(), run.detector, sgd, ema, settings);
  check_input(run.config.minutes > 0 || state.step <= run.steps,
              "{}: {} steps are done already, more than the {} wanted", run.last().string(), state.step,
              run.steps);
  fmt::print("resuming after step {}\n", state.step);
  if (state.numerics != numerics_description())
    fmt::print(
        "warning: the checkpoint was written with {}, this is {}: the weights will differ in their last "
        "bits\n",
        state.numerics, numerics_description());
  return state;
}

/// An RPN alone detects nothing. A head that was trained on proposals is judged on proposals, given or of an
/// RPN that sees the same features.
void leave_out_unjudged(Run& run) {
  const auto leave_out = [&](Dataset& part, std::string& name) {
    if (part.samples.empty() || run.config.mode == "joint") return;
    const bool head = run.config.mode == "fast-rcnn";
    if (head && (run.config.freeze_backbone || part.samples.front().proposals)) return;
    fmt::print("the split {} is neither watched nor judged: {}\n", name,
               head ? "there are no proposals for it" : "an RPN alone detects nothing");
    part.samples.clear();
    name.clear();
  };
  leave_out(run.data.val, run.data.val_name);
  leave_out(run.data.test, run.data.test_name);
}

/// The model on the validation split: a line for the metrics, and the best model kept.
void evaluate_validation(Run& run, Ema* ema, RunState& state, int64_t step, JsonLines& lines,
                         Progress& progress) {
  if (ema) ema->swap();
  run.val_faults.clear();
  const auto found = detect_dataset(run.ctx, *run.detector.model, run.data.val,
                                    static_cast<int>(run.config.workers), run.val_faults);
  const VocResult voc = evaluate_voc(found, run.data.val);
  const CocoFigures coco = evaluate_coco(found, run.data.val).mean;
  lines.write({{"step", step},
               {"val_map", coco.ap},
               {"val_map50", voc.map_area},
               {"val_map50_voc07", voc.map_11point}});
  const bool best = coco.ap >= 0 && coco.ap >= state.best;  // below 0: no object is asked for
  progress.message(fmt::format("step {}: on {} mAP@.5 {:.3f}, mAP@.5:.95 {:.3f}{}", step, run.data.val_name,
                               voc.map_area, coco.ap, best ? "  (best)" : ""));
  if (best) {
    state.best = coco.ap;
    state.best_step = step;
    save_model(run.out / "best.safetensors", run.detector);
  }
  if (ema) ema->swap();
}

/// How many steps there will be: what was asked for, or with --minutes what the time so far lets expect.
int64_t expected_steps(const Run& run, int64_t done, double seconds) {
  if (run.config.minutes <= 0) return run.steps;
  const double limit = 60 * static_cast<double>(run.config.minutes);
  if (seconds >= limit) return done;
  constexpr int64_t kTelling = 5;  // the first steps are slow
  if (done < kTelling) return std::max<int64_t>(run.steps, kTelling);
  return std::max(done + 1, static_cast<int64_t>(static_cast<double>(done) * limit / seconds));
}

std::vector<TrainingBatch> next_batches(Run& run, Loader& loader) {
  std::vector<TrainingBatch> batches;
  for (int64_t i = 0; i < run.config.accumulate; ++i)
    batches.push_back(make_training_batch(run.ctx, run.detector.model->config, loader.next()));
  return batches;
}

/// Where the first number that is not finite stands, in a step that is done: its images are loaded again.
std::string explain_step(Run& run, int64_t step) {
  LoaderOptions options = loader_options(run.config);
  options.workers = 0;
  Loader loader(run.data.train, options, (step - 1) * run.config.accumulate);
  for (int64_t i = 0; i < run.config.accumulate; ++i) {
    const Batch loaded = loader.next();
    const TrainingBatch batch = make_training_batch(run.ctx, run.detector.model->config, loaded);
    std::vector<std::string> names;
    for (const LoadedImage& image : loaded.images)
      names.push_back(run.data.train.samples[static_cast<size_t>(image.sample)].image.string());
    run.ctx.micro_batch = static_cast<uint32_t>(i);
    const std::string found = explain_non_finite(run.ctx, *run.detector.model, step - 1, batch, names);
    run.ctx.micro_batch = 0;
    if (!found.empty()) return found;
  }
  return "run again, that step is finite: the weights have moved since";
}

void train_loop(Run& run, Sgd& sgd, Ema* ema, RunState& state) {
  const TrainConfig& config = run.config;
  JsonLines lines = state.step == 0 ? JsonLines::create(run.out / "metrics.jsonl")
                                    : JsonLines::resume(run.out / "metrics.jsonl", state.step);
  Loader loader(run.data.train, loader_options(config), state.step * config.accumulate);
  int64_t steps = expected_steps(run, state.step, state.train_seconds);
  Progress progress(stdout, state.step, steps);
  LossLog log([&](int64_t step) { return explain_step(run, step); });
  TrainingStep training_step(run.ctx, *run.detector.model, sgd, config.cuda_graph);
  const InterruptGuard guard;
  const bool reading_is_free = run.ctx.device.type == DeviceType::cpu;
  auto start = Clock::now();
  const auto seconds = [&] { return state.train_seconds + seconds_since(start); };
  for (int64_t done = state.step; done < steps;) {
    const std::vector<TrainingBatch> batches = next_batches(run, loader);
    const float rate = learning_rate(config, done, steps, run.epoch_steps);
    const Losses losses = training_step.run(done, rate, batches);
    if (ema) ema->update(run.ctx, done, sgd.skipped());

    ++done;
    log.add(done, rate, losses, sgd.norm());
    steps = expected_steps(run, done, seconds());
    progress.expect(steps);
    const bool ends = done >= steps, interrupted = InterruptGuard::signal() != 0;
    const bool due =
        !run.data.val.samples.empty() && (ends || done % (config.eval_every * run.epoch_steps) == 0);
    const bool saves = ends || due || interrupted || done % config.checkpoint_every == 0;
    if (saves || reading_is_free || done % config.log_every == 0) log.flush(lines, progress, ends);
    progress.update(done, run.images_seen_a_step(), log.last());
    if (!saves) continue;
    state.train_seconds = seconds();
    // A step that was not finite has still moved the running statistics: better an older checkpoint.
    if (log.finite() || ends) {
      if (due) evaluate_validation(run, ema, state, done, lines, progress);
      state.step = done;
      save_checkpoint(run.last(), run.detector, sgd, ema, state);
    }
    if (interrupted && !ends) {
      progress.finish();
      throw Interrupted(fmt::format("stopped after step {}; go on with:\n  {}{}", done,
                                    run.options.command_line, run.options.resume ? "" : " --resume"));
    }
    progress.pause_ended();  // evaluation and checkpoints are not training time
    start = Clock::now();
  }
  run.steps = state.step;
  run.train_seconds = state.train_seconds;
  run.faults.insert(run.faults.end(), loader.faults().begin(), loader.faults().end());
}

/// The test split, evaluated once, and everything that is left for people and programs to read.
void finish(Run& run, Ema* ema, const RunState& state) {
  const fs::path best = run.out / "best.safetensors";
  if (state.best_step == 0) {  // nothing was watched: the last weights are the result
    if (ema) ema->swap();
    save_model(best, run.detector);
  } else {
    reload_model(best, *run.detector.model);  // in place: a second model would have packed weights of its own
  }
  FinishedRun finished;
  finished.images_seen = run.steps * run.images_seen_a_step();
  finished.steps = run.steps;
  finished.best_step = state.best_step;
  finished.train_seconds = run.train_seconds;
  finished.weights_sha256 = sha256_hex_of_file(best);
  finished.summaries = run.summaries;
  for (const LoadedImage& image : first_images(run.data.train, loader_options(run.config), kAugmentedShown))
    finished.augmented.push_back({run.data.train.samples[static_cast<size_t>(image.sample)].id,
                                  {image.image, image.objects, image.scale}});
  Dataset judged = run.data.judged();
  finished.split = run.data.judged_name();
  if (!run.data.test.samples.empty() && !run.data.test_is_val)  // else the same are met here
    run.faults.insert(run.faults.end(), run.val_faults.begin(), run.val_faults.end());
  if (!judged.samples.empty()) {
    std::vector<Trace> traces;
    finished.detections = detect_dataset(run.ctx, *run.detector.model, judged,
                                         static_cast<int>(run.config.workers), run.faults, {}, &traces);
    write_detections(run.out / "detections.json", finished.detections, judged.samples, run.detector.classes,
                     judged.category_ids);
    finished.result = evaluate_voc(finished.detections, judged);
    const CocoFigures coco = evaluate_coco(finished.detections, judged).mean;
    for (const CocoFigureName& figure : kCocoFigures)
      finished.coco_figures.emplace_back(figure.words, coco.*figure.value);
    finished.diagnosis = diagnose(finished.detections, traces, judged);
  }
  judged.classes = run.detector.classes;
  finished.faults = run.faults;
  write_summary(run.out / "summary.json", run.options, finished, judged);
  write_run_report(run.out, run.options, finished, judged);
  print_result(finished);
  fmt::print("model: {}\nreport: {}\n", best.string(), (run.out / "report.html").string());
}

}  // namespace

void train_detector(const RunOptions& options) {
  check_mode(options.train);
  if (options.train.mode == "alternating") return train_alternating(options);
  Run run(options);
  check_run_folder(run.out, options.resume);
  run.data = read_run_data(run.config, run.out, options.resume);
  settle(run);
  describe_data(run);
  if (options.dry_run) {
    leave_out_unjudged(run);
    return print_forecast(run);
  }
  build(run);
  Sgd sgd(run.ctx, *run.detector.model, sgd_options(run.config));
  std::optional<Ema> average;
  if (run.config.ema > 0) average.emplace(run.ctx, *run.detector.model, run.config.ema);
  Ema* const ema = average ? &*average : nullptr;
  RunState state = open_folder(run, sgd, ema);
  leave_out_unjudged(run);
  train_loop(run, sgd, ema, state);
  finish(run, ema, state);
}

}  // namespace rcnn
