// The training loop of a run.
#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "core/log.h"
#include "eval/average_precision.h"
#include "eval/coco_metrics.h"
#include "eval/detect.h"
#include "train/batch.h"
#include "train/interrupt.h"
#include "train/json_lines.h"
#include "train/learning_series.h"
#include "train/loss_log.h"
#include "train/non_finite.h"
#include "train/progress.h"
#include "train/run.h"
#include "train/step.h"

namespace rcnn {
namespace {

/// Names the first value that is not finite in a step that has ended. Loads the images of that step again.
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
  return run.config.sync_bn && run.config.accumulate > 1
             ? "when its batches are repeated one by one, without --sync-bn, they are finite"
             : "when that step is repeated now, it is finite, because the weights have changed since";
}

class TrainingLoop {
 public:
  explicit TrainingLoop(Run& run);

  void run() {
    StepWatcher* watcher = run_.options.steps_watcher;
    steps_ = world_.from_first(steps_);
    if (series_ && done_ == 0) add_frame();
    if (state_.evaluation_due && !run_.data.val.samples.empty()) {
      save({.end = done_ >= steps_, .stop = false, .evaluation = true, .checkpoint = true});
      stop_if_told();
      resume_clock();
    }
    while (done_ < steps_) {
      world_.watch.place = fmt::format("step {}", done_ + 1);
      bytes_sent_ -= world_.bytes_sent();
      if (watcher) watcher->step_begins(run_.ctx);
      const std::vector<TrainingBatch> batches = next_batches();
      const float rate = learning_rate(config_, done_, steps_, run_.epoch_steps);
      const Losses losses = step_.run(done_, rate, batches, config_.accumulate);
      if (run_.ema) run_.ema->update(run_.ctx, done_, run_.sgd->skipped());
      if (watcher) watcher->step_ends(run_.ctx);
      after_step(rate, losses);
    }
    const std::vector<Fault> faults = loader_.faults_of(world_);
    run_.faults.insert(run_.faults.end(), faults.begin(), faults.end());
    print_bytes_sent();
  }

 private:
  using Clock = std::chrono::steady_clock;

  /// What has to be done after a step and before the next one.
  struct Due {
    bool end, stop, evaluation, checkpoint;
  };

  /// This rank's batches of the next step.
  std::vector<TrainingBatch> next_batches();
  /// Counts the step, logs its losses, and saves or stops if that is due.
  void after_step(float rate, const Losses& losses);
  void report_lost_log();
  /// Keeps what the network now makes of the image of --explain-every, outside of the time for training.
  void add_frame();
  Due find_due() const;
  /// What all ranks have to know at the end of a step: whether one of them was told to stop, and what rank 0
  /// makes of --minutes.
  void agree();
  /// Ends the run if a rank was told to stop, as all of them know.
  void stop_if_told();
  /// Tells how much the ranks have sent to each other in a step.
  void print_bytes_sent();
  /// Tells what to do if another rank does not come.
  void advise();
  /// Evaluates, unless the run stops, and writes the checkpoint. Afterwards all ranks know whether one of
  /// them was told to stop during the evaluation.
  void save(const Due& due);
  /// Throws Interrupted between two images if a rank was told to stop.
  void evaluate();
  void judge(const std::vector<Detection>& found);
  /// The number of steps of the run: the one that the settings ask for or, with --minutes, an estimate from
  /// the time spent so far.
  int64_t expected_steps() const;
  /// The seconds spent on training so far, without evaluations and checkpoints.
  double seconds() const;
  /// Goes on counting them after an evaluation, a checkpoint or a frame.
  void resume_clock();

  Run& run_;
  World& world_ = run_.world;
  const TrainConfig& config_ = run_.config;
  RunState& state_ = run_.state;
  int64_t done_ = state_.step;
  Clock::time_point start_ = Clock::now();
  int64_t steps_ = expected_steps();
  int signal_ = 0;                               // that a rank has received
  int64_t first_step_ = done_, bytes_sent_ = 0;  // in the steps since, without evaluations
  JsonLines lines_;
  Loader loader_;
  Progress progress_;
  LossLog log_;
  std::optional<LearningSeries> series_;  // with --explain-every
  TrainingStep step_;
  bool log_lost_ = false;  // and the metrics say so
};

/// The loader of this rank's part of each step. All ranks together keep as many decoded images as one
/// process.
LoaderOptions share_of_loader(const Run& run) {
  LoaderOptions options = loader_options(run.config);
  options.share = run.world.share(run.config.accumulate);
  options.cache_bytes /= static_cast<size_t>(run.world.size());
  return options;
}

TrainingLoop::TrainingLoop(Run& run)
    : run_(run),
      lines_(!world_.is_first() ? JsonLines::nowhere()
             : state_.step == 0 ? JsonLines::create(run.metrics())
                                : JsonLines::resume(run.metrics(), state_.step)),
      loader_(run.data.train, share_of_loader(run), state_.step * config_.accumulate),
      progress_(stdout, state_.step, steps_),
      log_([&run](int64_t step) { return run.world.is_first() ? explain_step(run, step) : ""; }),
      step_(run.ctx, *run.detector.model, *run.sgd, config_.cuda_graph, world_, config_.sync_bn) {
  advise();
  if (lines_.missing_steps() > 0)
    progress_.message(fmt::format("{} lacks {} of the {} steps before the checkpoint; its curves have a gap",
                                  run.metrics().string(), lines_.missing_steps(), state_.step));
  if (run.options.explain_every > 0 && world_.is_first()) series_.emplace(run);
  start_ = Clock::now();
}

double TrainingLoop::seconds() const {
  return state_.train_seconds + std::chrono::duration<double>(Clock::now() - start_).count();
}

int64_t TrainingLoop::expected_steps() const {
  if (config_.minutes <= 0) return run_.steps;
  const double limit = 60 * static_cast<double>(config_.minutes), spent = seconds();
  if (spent >= limit) return done_;
  constexpr int64_t kMinSteps = 5;  // the first steps are slow and would mislead
  if (done_ < kMinSteps) return std::max<int64_t>(run_.steps, kMinSteps);
  return std::max(done_ + 1, static_cast<int64_t>(static_cast<double>(done_) * limit / spent));
}

std::vector<TrainingBatch> TrainingLoop::next_batches() {
  std::vector<TrainingBatch> batches;
  for (int64_t i = 0; i < world_.share(config_.accumulate).count(); ++i)
    batches.push_back(make_training_batch(run_.ctx, run_.detector.model->config, loader_.next()));
  return batches;
}

void TrainingLoop::agree() {
  struct Heard {
    int64_t signal, steps;
  };
  const std::vector<Heard> all = world_.of_all(Heard{InterruptGuard::signal(), expected_steps()});
  steps_ = all.front().steps;
  for (const Heard& heard : all) signal_ = std::max(signal_, static_cast<int>(heard.signal));
}

void TrainingLoop::print_bytes_sent() {
  struct Sent {
    int64_t gradients, expected, other;
  };
  const int64_t steps = done_ - first_step_;
  if (world_.size() == 1 || steps == 0) return;
  const auto [gradients, expected] = step_.gradient_bytes();
  const std::vector<Sent> all = world_.of_all(Sent{gradients, expected, bytes_sent_ - gradients});
  progress_.finish();
  constexpr size_t kShown = 8;
  for (size_t i = 0; i < std::min(kShown, all.size()); ++i)
    print_log(
        "rank {} sent {} bytes of gradients in a step (expected: {}), {} of losses, statistics and "
        "agreement\n",
        i, all[i].gradients / steps, all[i].expected / steps, all[i].other / steps);
}

void TrainingLoop::advise() {
  world_.watch.advice = state_.step > 0
                            ? fmt::format("last checkpoint step {}; go on with --resume", state_.step)
                            : "there is no checkpoint yet";
}

TrainingLoop::Due TrainingLoop::find_due() const {
  const bool end = done_ >= steps_, stop = signal_ != 0;
  const bool evaluation =
      !run_.data.val.samples.empty() && (end || done_ % (config_.eval_every * run_.epoch_steps) == 0);
  return {end, stop, evaluation, end || stop || evaluation || done_ % config_.checkpoint_every == 0};
}

void TrainingLoop::after_step(float rate, const Losses& losses) {
  ++done_;
  log_.add(done_, rate, losses, run_.sgd->norm());
  agree();
  bytes_sent_ += world_.bytes_sent();
  progress_.expect(steps_);
  const Due due = find_due();
  const bool reading_is_free = run_.ctx.device.type == DeviceType::cpu;
  if (due.checkpoint || reading_is_free || done_ % config_.log_every == 0)
    log_.flush(lines_, progress_, due.end);
  progress_.update(done_, run_.images_seen_per_step(), log_.last());
  report_lost_log();
  if (series_ && series_->due(done_, due.end)) add_frame();
  if (!due.checkpoint) return;
  save(due);
  stop_if_told();
  resume_clock();
}

void TrainingLoop::stop_if_told() {
  if (signal_ == 0) return;
  progress_.finish();
  const std::string weights = state_.best_step > 0
                                  ? ""
                                  : fmt::format(
                                        ", before the end of the first evaluation: the weights are in {}, "
                                        "and there is no best.safetensors yet",
                                        run_.last_checkpoint().string());
  throw Interrupted(
      fmt::format("stopped after step {}{}; {}", done_, weights,
                  resume_hint(run_.options.command_line, run_.options.resume, run_.options.processes())),
      signal_);
}

void TrainingLoop::resume_clock() {
  progress_.pause_ended();
  start_ = Clock::now();
}

void TrainingLoop::add_frame() {
  state_.train_seconds = seconds();
  series_->add(done_);
  resume_clock();
}

/// If the log cannot be written, the metrics say so once, from the step at which it was found.
void TrainingLoop::report_lost_log() {
  if (log_lost_ || log_failure().empty()) return;
  log_lost_ = true;
  lines_.write({{"step", done_}, {"log_failure", log_failure()}});
}

void TrainingLoop::save(const Due& due) {
  if (run_.lock) run_.lock->check_holds();
  state_.train_seconds = seconds();
  // A step that was not finite has nevertheless changed the running statistics, so the older checkpoint is
  // kept.
  if (!log_.finite() && !due.end) return;
  const auto save_now = [&] {
    state_.step = done_;
    lines_.sync();
    if (series_) series_->save();
    if (world_.is_first())
      save_checkpoint(run_.last_checkpoint(), run_.detector, *run_.sgd, run_.average(), state_);
    advise();
  };
  if (due.evaluation) state_.evaluation_due = true;
  if (due.evaluation && !due.stop) {
    try {
      evaluate();
    } catch (...) {  // what was learned is not lost with the evaluation
      save_now();
      throw;
    }
    state_.evaluation_due = false;
    signal_ = signal_of(world_);
  }
  save_now();
}

/// Evaluates on the validation split, together with the other ranks.
void TrainingLoop::evaluate() {
  /// While it lives, the model has the average of the weights.
  struct Average {
    Ema* ema;
    explicit Average(Ema* of) : ema(of) {
      if (ema) ema->swap();
    }
    ~Average() {
      if (ema) ema->swap();
    }
    Average(const Average&) = delete;
    Average& operator=(const Average&) = delete;
  };
  const Average average(run_.ema ? &*run_.ema : nullptr);
  run_.val_faults.clear();
  world_.watch.place = fmt::format("the end of the evaluation after step {}", done_);
  const auto found = detect_dataset(world_, run_.ctx, *run_.detector.model, run_.data.val,
                                    static_cast<int>(config_.workers), run_.val_faults, nullptr, [this] {
                                      signal_ = signal_of(world_);
                                      stop_if_told();
                                    });
  if (world_.is_first()) judge(found);
  state_.best = world_.from_first(state_.best);
  state_.best_step = world_.from_first(state_.best_step);
}

/// Writes the figures to the metrics and keeps the best model.
void TrainingLoop::judge(const std::vector<Detection>& found) {
  ignore_undecodable(run_.data.val, run_.val_faults);
  const VocResult voc = evaluate_voc(found, run_.data.val);
  const CocoFigures coco = evaluate_coco(found, run_.data.val).mean;
  const bool best = coco.ap >= 0 && coco.ap >= state_.best;  // below 0: there is no object to find
  progress_.message(fmt::format("step {}: on {} mAP@.5 {:.3f}, mAP@.5:.95 {:.3f}{}", done_,
                                run_.data.val_name, voc.map_area, coco.ap, best ? "  (best)" : ""));
  if (best) {
    state_.best = coco.ap;
    state_.best_step = done_;
    save_model(run_.best_weights(), run_.detector);
  }
  // Last, so that an evaluation that fails has no line when it is repeated.
  lines_.write({{"step", done_},
                {"val_map", coco.ap},
                {"val_map50", voc.map_area},
                {"val_map50_voc07", voc.map_11point}});
}

}  // namespace

void train_loop(Run& run) { TrainingLoop(run).run(); }

}  // namespace rcnn
