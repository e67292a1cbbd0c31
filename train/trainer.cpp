#include "train/trainer.h"

#include <chrono>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/sha256.h"
#include "data/voc.h"
#include "train/batch.h"
#include "train/checkpoint.h"
#include "train/evaluate.h"
#include "train/json_lines.h"
#include "train/progress.h"
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

/// Everything the weights depend on besides the data: what a resumed run must share with the one it
/// continues.
std::map<std::string, std::string> result_settings(const RunOptions& options) {
  std::map<std::string, std::string> settings;
  for (const auto& [key, value] : list_fields(options.model, model_fields())) settings[key] = value;
  for (const auto& [key, value] : list_fields(options.train, train_fields())) settings[key] = value;
  for (const char* free : {"data", "out", "device", "workers", "val", "test", "eval-every",
                           "checkpoint-every", "log-every", "cuda-graph"})
    settings.erase(free);
  std::string& kernels = settings["kernel"];
  for (const auto& [op, variant] : options.kernels)
    kernels += (kernels.empty() ? "" : " ") + op + "=" + variant;
  return settings;
}

/// The four losses of steps whose values were not read yet: reading waits for the device, so it is done when
/// it logs.
struct LossLog {
  struct Entry {
    int64_t step;
    float learning_rate;
    Losses losses;
    Tensor norm;
  };
  std::vector<Entry> entries;
  NamedValues last;
  int64_t lost = 0;  // steps in a row that were not finite, up to the last that was read

  static constexpr int64_t kMostLost = 10;
  static constexpr const char* kNames[] = {"loss", "rpn_cls", "rpn_box", "cls", "box"};

  void add(int64_t step, float rate, const Losses& losses, const Tensor& norm) {
    entries.push_back({step, rate, losses, norm.clone()});
  }

  /// Writes the lines and forgets them. Throws Error when the last kMostLost steps, or the last of the run
  /// (`ends`), were not finite: nothing is learned any more.
  void flush(JsonLines& lines, Progress& progress, bool ends) {
    const int64_t newest = entries.empty() ? 0 : entries.back().step;
    for (const Entry& e : entries) {
      const Var* terms[] = {&e.losses.total, &e.losses.objectness, &e.losses.rpn_box, &e.losses.classifier,
                            &e.losses.box};
      nlohmann::ordered_json line{{"step", e.step}};
      last.clear();
      std::string bad;
      for (size_t i = 0; i < std::size(terms); ++i) {
        const auto value = static_cast<double>(terms[i]->value().to(Device{}).item<float>());
        line[kNames[i]] = value;
        last.emplace_back(kNames[i], value);
        if (!std::isfinite(value)) bad = kNames[i];
      }
      const auto norm = static_cast<double>(e.norm.to(Device{}).item<float>());
      line["gradient_norm"] = norm;
      line["lr"] = static_cast<double>(e.learning_rate);
      lines.write(line);
      const bool skips = !std::isfinite(norm);
      lost = skips || !bad.empty() ? lost + 1 : 0;
      if (lost > 0)
        progress.message(fmt::format("step {}: {} is not finite{}", e.step,
                                     bad.empty() ? "the gradient" : "the term " + bad,
                                     skips ? "; the step was skipped" : ""));
    }
    entries.clear();
    if (lost >= kMostLost || (ends && lost > 1))
      throw Error(fmt::format(
          "steps {} to {}: no loss was finite; training stopped. A lower --lr or --clip-norm 10 may "
          "help; the last checkpoint is intact",
          newest - lost + 1, newest));
  }
};

struct Run {
  const RunOptions& options;
  const TrainConfig& config = options.train;
  Context ctx;
  Dataset train, val, test;
  Detector detector;
  fs::path out = config.out;
  int64_t steps = 0, epoch_steps = 0, first_step = 0;
  double train_seconds = 0;
  std::vector<Fault> faults;  // found while loading images

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

  void read_data() {
    check_input(!config.data.empty(), "--data is missing: expected a Pascal VOC folder");
    train = read_voc(config.data, config.train);
    if (!config.val.empty()) val = read_voc(config.data, config.val, train.classes);
    const std::string test_split = config.test.empty() ? config.val : config.test;
    if (!test_split.empty())
      test = test_split == config.val ? val : read_voc(config.data, test_split, train.classes);
    for (const Dataset* data : {&train, &val, &test})
      if (!(data == &test && test_split == config.val))
        for (const Fault& fault : data->faults) faults.push_back(fault);
    fmt::print("{}: {} images, {} boxes, {} classes ({})\n", config.train, train.samples.size(),
               count_boxes(train), train.classes.size(), fmt::join(train.classes, ", "));
    if (!faults.empty()) fmt::print("{} faults in the data; listed at the end\n", faults.size());
  }

  void build() {
    detector.classes = train.classes;
    detector.model = std::make_unique<FasterRcnn>(options.model, static_cast<int64_t>(train.classes.size()),
                                                  Init(static_cast<uint64_t>(config.seed)));
    if (!config.weights.empty()) load_weights_file(config.weights, detector);
    move_to(*detector.model, ctx.device);
    int64_t parameters = 0;
    for_each_parameter(*detector.model, [&](const std::string&, Var& v) { parameters += v.value().numel(); });
    fmt::print("{}: {:.2f} M parameters; {} on {}\n", options.model.backbone,
               static_cast<double>(parameters) / 1e6, numerics_description(), ctx.device.str());
  }
};

LoaderOptions loader_options(const TrainConfig& config) {
  LoaderOptions options;
  options.batch = static_cast<int>(config.batch);
  options.seed = static_cast<uint64_t>(config.seed);
  options.shuffle = options.drop_last = true;
  options.augment.flip_horizontal = config.flip_horizontal;
  options.augment.flip_vertical = config.flip_vertical;
  options.workers = static_cast<int>(config.workers);
  return options;
}

/// Takes the run up where its last checkpoint left it, or prepares an empty folder.
RunState open_folder(Run& run, Sgd& sgd) {
  const fs::path last = run.out / "last.safetensors";
  const auto settings = result_settings(run.options);
  const bool exists = fs::exists(last);
  check_input(run.options.resume || (!exists && !fs::exists(run.out / "model.safetensors")),
              "{}: this folder already holds a run; choose another --out, or go on with --resume",
              run.out.string());
  std::error_code error;
  fs::create_directories(run.out, error);
  check_input(!error, "{}: cannot create the folder: {}", run.out.string(), error.message());
  if (!exists) {
    if (run.options.resume) fmt::print("no checkpoint in {} yet: starting from step 0\n", run.out.string());
    return {0, 0, settings};
  }
  RunState state = load_checkpoint(last, run.detector, sgd, settings);
  check_input(state.step <= run.steps, "{}: {} steps are done already, more than the {} wanted",
              last.string(), state.step, run.steps);
  fmt::print("resuming after step {}\n", state.step);
  if (state.numerics != numerics_description())
    fmt::print(
        "warning: the checkpoint was written with {}, this is {}: the weights will differ in their last "
        "bits\n",
        state.numerics, numerics_description());
  return state;
}

void evaluate_validation(Run& run, int64_t step, JsonLines& lines, Progress& progress) {
  std::vector<Fault> faults;
  const auto found =
      detect_dataset(run.ctx, *run.detector.model, run.val, static_cast<int>(run.config.workers), faults);
  const VocResult result = evaluate_voc(found, run.val);
  lines.write({{"step", step}, {"val_map50", result.map_area}, {"val_map50_voc07", result.map_11point}});
  progress.message(fmt::format("step {}: mAP@.5 on {}: {:.3f} (11-point {:.3f})", step, run.config.val,
                               result.map_area, result.map_11point));
}

void train_loop(Run& run, Sgd& sgd, RunState state) {
  const TrainConfig& config = run.config;
  const fs::path last = run.out / "last.safetensors";
  JsonLines lines = state.step == 0 ? JsonLines::create(run.out / "metrics.jsonl")
                                    : JsonLines::resume(run.out / "metrics.jsonl", state.step);
  Loader loader(run.train, loader_options(config), state.step);
  Progress progress(stdout, state.step, run.steps);
  LossLog log;
  TrainingStep training_step(run.ctx, *run.detector.model, sgd, config.cuda_graph);
  auto start = Clock::now();
  for (int64_t step = state.step; step < run.steps; ++step) {
    const Batch loaded = loader.next();
    const TrainingBatch batch = make_training_batch(run.ctx, run.detector.model->config, loaded);
    const float rate = learning_rate(config, step, run.steps, run.epoch_steps);
    const Losses losses = training_step.run(step, rate, batch);

    const int64_t done = step + 1;
    log.add(done, rate, losses, sgd.norm());
    const bool saves = done % config.checkpoint_every == 0 || done == run.steps;
    const bool evaluates = !run.val.samples.empty() && done % (config.eval_every * run.epoch_steps) == 0;
    if (saves || evaluates || done % config.log_every == 0) log.flush(lines, progress, done == run.steps);
    progress.update(done, static_cast<int64_t>(loaded.images.size()), log.last);
    if (!saves && !evaluates) continue;
    state.train_seconds += seconds_since(start);
    if (evaluates) evaluate_validation(run, done, lines, progress);
    // A step that was not finite has still moved the running statistics: better an older checkpoint.
    if (saves && (log.lost == 0 || done == run.steps)) {
      state.step = done;
      save_checkpoint(last, run.detector, sgd, state);
    }
    progress.pause_ended();  // evaluation and checkpoints are not training time
    start = Clock::now();
  }
  run.train_seconds = state.train_seconds;
  run.faults.insert(run.faults.end(), loader.faults().begin(), loader.faults().end());
}

/// The test split, evaluated once, and everything that is left for people and programs to read.
void finish(Run& run) {
  const fs::path model = run.out / "model.safetensors";
  save_model(model, run.detector);
  FinishedRun finished;
  finished.images_seen =
      run.steps * std::min<int64_t>(run.config.batch, static_cast<int64_t>(run.train.samples.size()));
  finished.steps = run.steps;
  finished.train_seconds = run.train_seconds;
  finished.weights_sha256 = sha256_hex_of_file(model);
  finished.split = run.config.test.empty() ? run.config.val : run.config.test;
  if (!run.test.samples.empty()) {
    finished.detections = detect_dataset(run.ctx, *run.detector.model, run.test,
                                         static_cast<int>(run.config.workers), run.faults);
    write_detections(run.out / "detections.json", finished.detections, run.test.samples,
                     run.detector.classes);
    finished.result = evaluate_voc(finished.detections, run.test);
  }
  finished.faults = run.faults;
  write_summary(run.out / "summary.json", run.options, finished);
  write_run_report(run.out, run.options, finished, run.test);
  print_result(finished);
  fmt::print("report: {}\n", (run.out / "report.html").string());
}

}  // namespace

void train_detector(const RunOptions& options) {
  Run run(options);
  run.read_data();
  run.build();
  // The last batch of an epoch is left out where it would be short (see LoaderOptions::drop_last).
  const auto samples = static_cast<int64_t>(run.train.samples.size());
  run.epoch_steps = std::max<int64_t>(1, samples / options.train.batch);
  run.steps = options.train.steps > 0 ? options.train.steps : options.train.epochs * run.epoch_steps;
  Sgd sgd(run.ctx, *run.detector.model,
          {options.train.momentum, options.train.weight_decay, options.train.clip_norm});
  train_loop(run, sgd, open_folder(run, sgd));
  finish(run);
}

}  // namespace rcnn
