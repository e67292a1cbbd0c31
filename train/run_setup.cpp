// The set-up of a run: data, settings, model and folder.
#include <fmt/ranges.h>

#include <cmath>

#include "core/counted.h"
#include "core/files/atomic_file.h"
#include "core/files/look.h"
#include "core/files/safetensors.h"
#include "core/log.h"
#include "core/text.h"
#include "data/files.h"
#include "eval/advice.h"
#include "train/fingerprint.h"
#include "train/memory.h"
#include "train/run.h"
#include "train/step_record.h"

namespace rcnn {
namespace {

/// A run that resumes on changed data keeps what followed from the data when it began.
void keep_settled(Run& run) {
  if (!run.continues() || !run.options.allow_changed_data) return;
  RunOptions& options = run.options;
  const ModelConfig saved = saved_config(run.last_checkpoint()).value_or(options.model);
  if (options.suited.short_side) set_short_side(options.model, saved.short_side);
  if (options.suited.anchor_sizes) options.model.anchor_sizes = saved.anchor_sizes;
  options.suited = {false, false};
  const auto metadata = read_safetensors(run.last_checkpoint()).metadata;
  const std::pair<const char*, bool> open[] = {{"epochs", run.config.epochs == 0},
                                               {"lr", run.config.lr == 0},
                                               {"scale-jitter", run.config.scale_jitter < 0},
                                               {"colour-jitter", run.config.colour_jitter < 0},
                                               {"crop", run.config.crop < 0}};
  for (const auto& [key, is_open] : open)
    if (const auto found = metadata.find(fmt::format("setting.{}", key)); is_open && found != metadata.end())
      set_field(run.config, train_fields(), key, found->second);
}

/// Fills in what the settings leave open: input size, anchors, learning rate, length and augmentation follow
/// from the data.
void settle(Run& run) {
  RunOptions& options = run.options;
  TrainConfig& config = run.config;
  if (config.weights.empty())
    if (const std::string line = start_from_scratch(options.model); !line.empty()) print_log("{}\n", line);
  suit_to_data(options.model, run.data.train, level_strides(options.model), options.suited);
  // An epoch leaves out its last batch if that would be short (see LoaderOptions::drop_last).
  const int64_t batches = std::max<int64_t>(1, run.training_images() / config.batch);
  run.epoch_steps = std::max<int64_t>(1, (batches + config.accumulate / 2) / config.accumulate);
  if (config.epochs == 0) config.epochs = default_epochs(run.training_images(), options.model.short_side);
  if (config.lr == 0) config.lr = default_learning_rate(options.model.backbone, run.images_per_step());
  const int64_t steps = config.steps > 0 ? config.steps : config.epochs * batches / config.accumulate;
  // With --minutes the number of epochs is unknown; the number that suits the data is the best estimate.
  const bool by_steps = config.steps > 0 && config.minutes <= 0;
  settle_augmentation(config,
                      by_steps ? static_cast<double>(steps * config.accumulate) / static_cast<double>(batches)
                               : static_cast<double>(config.epochs));
  run.steps = std::max<int64_t>(1, std::llround(static_cast<double>(steps) * options.share));
}

/// The splits of the run that exist, by name.
std::vector<std::pair<std::string, const Dataset*>> named_splits(const RunData& data) {
  std::vector<std::pair<std::string, const Dataset*>> splits;
  for (const auto& [name, part] : {std::pair{data.train_name, &data.train},
                                   {data.val_name, &data.val},
                                   {data.test_is_val ? "" : data.test_name, &data.test}})
    if (!name.empty()) splits.emplace_back(name, part);
  return splits;
}

void describe_data(Run& run) {
  const RunData& data = run.data;
  const auto look = [&](const Dataset& part, const std::string& name, bool again, SplitUse use) {
    if (part.samples.empty() || again) return;
    const auto describe = use == SplitUse::training ? summarise : summarise_for_evaluation;
    run.summaries.push_back(describe(part, name, run.options.model, level_strides(run.options.model)));
    run.faults.insert(run.faults.end(), part.faults.begin(), part.faults.end());
  };
  look(data.train, data.train_name, false, SplitUse::training);
  look(data.val, data.val_name, false, SplitUse::evaluation);
  look(data.test, data.test_name, data.test_is_val, SplitUse::evaluation);
  for (const std::string& note : data.notes) print_log("{}\n", printable(note));
  print_summary(run.summaries.front());
  for (size_t i = 1; i < run.summaries.size(); ++i)
    print_log("{}: {}, {}\n", run.summaries[i].split, counted(run.summaries[i].images, "image"),
              counted(run.summaries[i].boxes, "box", "boxes"));
  Sentences advice = repeated_image_advice(named_splits(data));
  const TrainConfig& config = run.config;
  advice.push_back(
      learning_rate_advice(static_cast<double>(config.lr), run.images_per_step(), config.clip_norm > 0));
  std::erase(advice, "");
  print_log("{}", advice_text(advice));
  if (data.evaluated().samples.empty())
    print_log("{}", advice_text({no_evaluation_advice()}));
  else if (data.val.samples.empty())
    print_log("there is no validation split: best.safetensors will be the last model, not the best one\n");
  if (const size_t faults = count_faults(run.faults); faults > 0)
    print_log("{} fault{} in the data, listed at the end, and by `rcnn check`\n", faults,
              faults == 1 ? "" : "s");
}

/// Empties the validation and the test split if the mode cannot evaluate on them: an RPN alone detects
/// nothing, and a head that was trained on proposals needs proposals, from a file or from an RPN on the same
/// features.
void leave_out_unusable_splits(Run& run) {
  const auto leave_out = [&](Dataset& part, std::string& name) {
    if (part.samples.empty() || run.config.mode == "joint") return;
    const bool head = run.config.mode == "fast-rcnn";
    if (head && (run.config.freeze_backbone || part.samples.front().proposals)) return;
    print_log("the model is not evaluated on the split {}: {}\n", name,
              head ? "there are no proposals for it" : "an RPN alone detects nothing");
    part.samples.clear();
    name.clear();
  };
  leave_out(run.data.val, run.data.val_name);
  leave_out(run.data.test, run.data.test_name);
}

/// Compares the training data with those at the beginning of the run, and keeps them for the next time.
/// Throws InputError that names what differs, unless that is allowed.
void check_fingerprint(Run& run) {
  const Fingerprint now = fingerprint_of(run.data.train);
  const std::filesystem::path file = fingerprint_file(run.out);
  run.state.data_sha256 = now.sha256();
  if (run.continues() && is_there(file)) {
    const std::vector<uint8_t> bytes = read_file(file);
    const std::vector<std::string> found = differences({bytes.begin(), bytes.end()}, now.text);
    const std::string words =
        fmt::format("the training data are not those of the run: {}", fmt::join(found, "; "));
    check_input(found.empty() || run.options.allow_changed_data,
                "{}: {}. A run that resumes on other data is not the one that began: images come in another "
                "order, and its length may change. --allow-changed-data goes on with them",
                file.string(), printable(words));
    if (!found.empty()) print_log("warning: {}\n", printable(words));
    if (found.empty()) return;
  }
  write_atomically(file, now.text);
}

std::unique_ptr<FasterRcnn> make_model(const Run& run) {
  auto model =
      std::make_unique<FasterRcnn>(run.options.model, static_cast<int64_t>(run.data.train.classes.size()),
                                   Init(static_cast<uint64_t>(run.config.seed)));
  model->rpn_alone = run.config.mode == "rpn";
  return model;
}

/// Starts the model from the file --weights.
void load_initial_weights(Run& run) {
  const WeightsReport loaded = load_weights_file(run.config.weights, run.detector, run.config.keep_classes);
  print_log("{}\n", loaded.text());
  for (const auto* names : {&loaded.missing, &loaded.other_shape})
    for (const std::string& name : *names)
      check_input(!run.config.freeze_backbone || !name.starts_with("backbone."),
                  "--freeze-backbone: {} has no '{}', which would stay random", run.config.weights,
                  name.substr(0, name.find(' ')));
}

/// With --sync-bn there must be something to synchronise.
void check_sync_bn(const Run& run, FasterRcnn& model) {
  // Alternating training freezes the backbone in its last parts, which then train as without it.
  const bool is_frozen_part = run.whole && run.config.freeze_backbone;
  check_input(
      !run.config.sync_bn || is_frozen_part || !moved_statistics(model).empty(),
      "--sync-bn: no batch normalisation is trained (--model {}, --norm {}{}), so there is nothing to "
      "synchronise; leave it out, or train with --norm batch",
      run.options.model.backbone, run.options.model.norm,
      run.config.freeze_backbone ? ", --freeze-backbone" : "");
}

int64_t count_parameters(FasterRcnn& model) {
  int64_t count = 0;
  for_each_parameter(model, [&](const std::string&, Var& v) { count += v.value().numel(); });
  return count;
}

}  // namespace

void read_data(Run& run) {
  if (run.world.is_first()) {
    check_run_folder(run.options, run.out);
    if (!run.options.dry_run && !run.lock && is_there(FolderLock::file_in(run.out)))
      run.lock.emplace(lock_run_folder(run.options, run.out));
  }
  run.data = read_run_data(run.config, run.out, run.options.resume, run.options.allow_changed_data);
  print_log("{}\n", run.device_line);
  keep_settled(run);
  settle(run);
  describe_data(run);
}

void print_forecast(Run& run) {
  leave_out_unusable_splits(run);
  MemoryPlan plan;
  plan.make_model = [&run] {
    auto model = make_model(run);
    if (!run.config.weights.empty()) freeze_stages(*model, run.options.model.frozen_stages);
    if (run.config.freeze_backbone) freeze_backbone(*model);
    check_sync_bn(run, *model);
    return model;
  };
  plan.sgd = sgd_options(run.config);
  plan.loader = loader_options(run.config);
  plan.steps = run.steps;
  plan.accumulate = run.config.accumulate;
  plan.ranks = run.world.size();
  plan.ranks_beside = run.world.ranks_on_host();
  plan.ranks_per_machine = run.world.ranks_per_machine();
  plan.loader.cache_bytes /= static_cast<size_t>(run.world.size());
  plan.averages = run.config.ema > 0;
  plan.sync_bn = run.config.sync_bn;
  plan.val = run.data.val.samples;
  plan.largest_scale = 1 + run.config.scale_jitter;
  const MemoryForecast forecast = forecast_memory(run.ctx, plan, run.data.train);
  if (plan.ranks > 1) print_log("for the process with the most batches, and with what they exchange:\n");
  const int64_t together = share_of(plan.accumulate, plan.ranks - 1, plan.ranks).count();
  if (plan.sync_bn && together > 1)
    print_log("with --sync-bn its {} batches of a step are in memory together:\n", together);
  print_log("{}", describe(forecast));
}

void build_model(Run& run) {
  run.detector.classes = run.data.train.classes;
  run.detector.category_ids = run.data.train.category_ids;
  run.detector.model = make_model(run);
  FasterRcnn& model = *run.detector.model;
  if (run.continues())
    freeze_stages(model, run.options.model.frozen_stages);  // the checkpoint has the weights
  else if (!run.config.weights.empty())
    load_initial_weights(run);
  if (run.config.freeze_backbone) freeze_backbone(model);
  check_sync_bn(run, model);
  move_to(model, run.ctx.device);
  print_log("{}: {:.2f} M parameters; {} on {}\n", run.options.model.backbone,
            static_cast<double>(count_parameters(model)) / 1e6, numerics_description(run.options.plans.get()),
            run.ctx.device.str());
  if (run.options.plans) print_log("{}\n", printable(run.options.plans->note));
  run.sgd.emplace(run.ctx, model, sgd_options(run.config));
  if (run.config.ema > 0) run.ema.emplace(run.ctx, model, run.config.ema);
}

namespace {

/// Creates and locks the folder, and writes what the run begins with.
void prepare_folder(Run& run) {
  std::error_code error;
  std::filesystem::create_directories(run.out, error);
  check_input(!error, "{}: cannot create the folder: {}", run.out.string(), error.message());
  if (run.whole && !run.whole->lock && run.out.lexically_normal() != run.whole->folder)
    run.whole->lock.emplace(lock_run_folder(run.options, run.whole->folder));
  if (!run.lock) {
    run.lock.emplace(lock_run_folder(run.options, run.out));
    check_run_folder(run.options, run.out);  // another run may have ended since the first time
  }
  for (const auto& folder : {run.out, run.out / "splits"}) remove_left_temporaries(folder);
  check_fingerprint(run);
  write_random_split(run.data, run.out);
}

}  // namespace

void open_folder(Run& run) {
  const auto settings = result_settings(run.options, run.data.random);
  const std::string numerics = numerics_description(run.options.plans.get());
  if (run.world.is_first()) prepare_folder(run);
  if (run.continues()) {
    const std::string data = run.state.data_sha256;
    run.state = load_checkpoint(run.last_checkpoint(), run.detector, *run.sgd, run.average(), settings);
    check_input(run.config.minutes > 0 || run.state.step <= run.steps,
                "{}: {} {} done already, more than the {} that the settings ask for",
                run.last_checkpoint().string(), counted(run.state.step, "step"),
                run.state.step == 1 ? "is" : "are", run.steps);
    run.state.data_sha256 = data;
    print_log("resuming after step {}\n", run.state.step);
    if (run.state.numerics != numerics)
      print_log(
          "warning: the checkpoint was written with {}, this is {}: the weights will differ in their last "
          "bits\n",
          run.state.numerics, numerics);
  } else {
    if (run.options.resume) print_log("no checkpoint in {} yet: starting from step 0\n", run.out.string());
    run.state.settings = settings;
  }
  run.state.numerics = numerics;   // of the checkpoints to come
  leave_out_unusable_splits(run);  // the lists of a random split are written by now
}

}  // namespace rcnn
