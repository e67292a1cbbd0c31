#include "train/run_options.h"

#include "core/files/output.h"

namespace rcnn {

std::map<std::string, std::string> result_settings(const RunOptions& options, bool random_split) {
  std::map<std::string, std::string> settings;
  for (const auto& [key, value] : list_fields(options.model, model_fields())) settings[key] = value;
  for (const auto& [key, value] : list_fields(options.train, train_fields())) settings[key] = value;
  for (const char* free : {"data", "out", "device", "workers", "val", "test", "val-proposals",
                           "test-proposals", "eval-every", "checkpoint-every", "log-every", "cuda-graph"})
    settings.erase(free);
  // A part of alternating training reads files in the folder of the whole run, which may be moved.
  if (options.share < 1) {
    const auto from_here = [&](std::string& file) {
      file = std::filesystem::path(file).lexically_relative(options.train.out).string();
    };
    from_here(settings["proposals"]);
    if (options.train.freeze_backbone) from_here(settings["weights"]);
  }
  settings["val"] = random_split ? "at random" : "";  // only a random split affects the training images
  std::string& kernels = settings["kernel"];
  for (const auto& [op, variant] : options.kernels)
    kernels += (kernels.empty() ? "" : " ") + op + "=" + variant;
  return settings;
}

LoaderOptions loader_options(const TrainConfig& config) {
  LoaderOptions options;
  options.batch = static_cast<int>(config.batch);
  options.seed = static_cast<uint64_t>(config.seed);
  options.shuffle = options.drop_last = true;
  options.group_by_aspect = config.group_by_aspect;
  options.step = config.accumulate;
  options.augment.flip_horizontal = config.flip_horizontal;
  options.augment.flip_vertical = config.flip_vertical;
  options.augment.scale_jitter = config.scale_jitter;
  options.augment.colour_jitter = config.colour_jitter;
  options.augment.crop = config.crop;
  options.augment.mosaic = config.mosaic;
  options.workers = static_cast<int>(config.workers);
  return options;
}

Sgd::Options sgd_options(const TrainConfig& config) {
  return {config.momentum, config.weight_decay, config.clip_norm, config.bias_lr_factor};
}

void check_mode(const TrainConfig& config) {
  const bool takes = config.mode == "fast-rcnn";
  check_input(!takes || !config.proposals.empty(),
              "--proposals is missing: --mode fast-rcnn trains on the proposals of a file, which `rcnn "
              "propose` writes");
  check_input(takes || config.proposals.empty(),
              "--proposals '{}': with --mode {} the proposals come from the RPN; expected --mode fast-rcnn",
              config.proposals, config.mode);
  check_input(
      takes || (config.val_proposals.empty() && config.test_proposals.empty()),
      "--val-proposals and --test-proposals: with --mode {} the proposals come from the RPN; expected "
      "--mode fast-rcnn",
      config.mode);
  check_input(!config.freeze_backbone || (!config.weights.empty() && config.mode != "alternating"),
              "--freeze-backbone needs --weights, and a --mode other than alternating");
}

FolderLock lock_run_folder(const RunOptions& options, const std::filesystem::path& folder) {
  constexpr double kPatience = 10;
  return FolderLock(folder, options.resume ? kPatience : 0);
}

void check_run_folder(const RunOptions& options, const std::filesystem::path& out) {
  if (options.dry_run) return;  // writes nothing
  std::error_code none;
  const auto last = out / "last.safetensors", best = out / "best.safetensors",
             lock = FolderLock::file_in(out);
  check_input(options.resume || !(std::filesystem::exists(last, none) || std::filesystem::exists(best, none)),
              "{}: this folder already holds a run; choose another --out, or continue it with --resume",
              out.string());
  // Lists of a split and metrics cannot say who wrote them.
  const bool ours = is_marked_here(lock) || is_marked_here(last) || is_marked_here(best);
  OutputCheck check(options.force);
  const TrainConfig& train = options.train;
  for (const std::string* input :
       {&train.data, &train.weights, &train.proposals, &train.val_proposals, &train.test_proposals,
        &options.settings_file, &options.explain_image, &options.plans_file})
    check.reads(*input);
  for (const char* name : {"run.lock", "last.safetensors", "best.safetensors", "metrics.jsonl", "data.txt",
                           "splits/train.txt", "splits/val.txt", "detections.json", "summary.json",
                           "report.html", "proposals.json", "learning.jsonl", "learning.html"})
    if (std::filesystem::exists(out / name, none)) check.writes("--out", out / name, ours);
}

}  // namespace rcnn
