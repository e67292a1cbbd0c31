#include "train/alternating.h"

#include <filesystem>
#include <functional>

#include "core/files/look.h"
#include "core/log.h"
#include "core/world/device.h"
#include "eval/proposals.h"
#include "train/checkpoint.h"
#include "train/interrupt.h"
#include "train/run.h"
#include "train/run_data.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

struct Part {
  const char* folder;
  const char* mode;
  double share;  // of the steps: 80k, 40k, 80k and 40k in py-faster-rcnn
  const char* description;
};

constexpr Part kParts[] = {
    {"1-rpn", "rpn", 1.0 / 3, "the RPN, from the initial weights"},
    {"2-fast-rcnn", "fast-rcnn", 1.0 / 6, "Fast R-CNN on its proposals, from the initial weights"},
    {"3-rpn", "rpn", 1.0 / 3, "the RPN on the features of Fast R-CNN"},
    {"", "fast-rcnn", 1.0 / 6, "the head on the same features and the proposals of the RPN"}};
constexpr size_t kFirstFrozen = 2;

fs::path folder_of(const Part& part, const fs::path& out) { return *part.folder ? out / part.folder : out; }

/// Checks that the folder of each part may be written to and that no other process trains in one of the inner
/// ones, and that no part has begun before the previous one.
void check_folders(const RunOptions& options, const fs::path& out) {
  bool unfinished = false;
  for (const Part& part : kParts) {
    const fs::path folder = folder_of(part, out);
    check_run_folder(options, folder);
    if (*part.folder && is_there(FolderLock::file_in(folder))) lock_run_folder(options, folder);
    const bool begun = is_there(folder / "last.safetensors");
    check_input(
        !begun || !unfinished,
        "{}: holds a run, but the part of alternating training before it is missing; choose another --out",
        folder.string());
    unfinished = !begun;
  }
}

/// Writes the proposals of this part's RPN on its training images, and returns those that cannot be decoded.
/// `check_signals` is called between images.
std::vector<Fault> propose(const RunOptions& part, const fs::path& file,
                           const std::function<void()>& check_signals) {
  const fs::path out = part.train.out;
  Detector detector = load_model(out / "best.safetensors");
  Context ctx(choose_device(part.train.device, *part.world).device);
  ctx.precision = parse_precision(part.model.precision);
  ctx.kernels = part.kernels;
  if (part.plans) kernels::use_plans(ctx, *part.plans);
  move_to(*detector.model, ctx.device);
  const RunData data = read_run_data(part.train, out, true);
  std::vector<Fault> undecodable;
  const InterruptGuard guard;
  const ProposalCounts counts =
      write_proposals(ctx, *detector.model, data.train, static_cast<int>(part.train.workers), file,
                      undecodable, *part.world, check_signals);
  part.world->barrier();  // the file is complete
  print_log("proposals: {}: {}\n", file.string(), describe(counts));
  return undecodable;
}

}  // namespace

void train_alternating(const RunOptions& options) {
  check_mode(options.train);
  RunOptions part = options;
  if (options.dry_run) {
    print_log("forecast for joint training, which takes more memory than any of the four parts:\n");
    part.train.mode = "joint";
    train_run(part);
    return;
  }
  const fs::path out = fs::path(options.train.out).lexically_normal();
  WholeRun whole{out};
  World& world = *options.world;
  if (world.is_first()) {
    if (is_there(FolderLock::file_in(out))) {
      check_run_folder(options, out);  // the lock writes to the file, which may be somebody else's
      whole.lock.emplace(lock_run_folder(options, out));
    }
    check_folders(options, out);
  }
  std::vector<std::optional<FolderLock>> locks;  // of the parts that have ended, which later ones read
  fs::path proposals, before;                    // the file and the folder of the previous part
  for (size_t i = 0; i < std::size(kParts); ++i) {
    print_log("\nalternating training, {} of {}: {}\n", i + 1, std::size(kParts), kParts[i].description);
    TrainConfig& train = part.train;
    train.mode = kParts[i].mode;
    train.out = folder_of(kParts[i], out).string();
    train.proposals = train.mode == "rpn" ? "" : proposals.string();
    part.share = kParts[i].share;
    const auto share = static_cast<float>(part.share);
    train.minutes = options.train.minutes * share;
    train.milestones = options.train.milestones;
    for (std::vector<float>& epochs : train.milestones)
      for (float& epoch : epochs) epoch *= share;
    if (i >= kFirstFrozen) {
      train.weights = (before / "best.safetensors").string();
      train.freeze_backbone = true;
      part.model = saved_config(train.weights).value();
      part.suited = {false, false};
    }
    locks.push_back(train_run(part, &whole));
    const auto check_signals = [&] {
      if (const int signal = signal_of(world); signal != 0)
        throw Interrupted(fmt::format("stopped after part {} of {}; {}", i + 1, std::size(kParts),
                                      resume_hint(options.command_line, options.resume, options.processes())),
                          signal);
    };
    if (i + 1 == std::size(kParts)) break;
    check_signals();  // one may have come while the part's report was written
    before = train.out;
    proposals = before / "proposals.json";
    const bool has_proposals = world.from_first(options.resume && is_there(proposals));
    if (train.mode == "rpn" && !has_proposals) whole.add_undecodable(propose(part, proposals, check_signals));
  }
}

}  // namespace rcnn
