#include "train/memory.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <optional>
#include <set>
#include <tuple>

#include "core/counted.h"
#include "core/cuda/device.h"
#include "core/memory.h"
#include "core/rng.h"
#include "models/transform.h"
#include "models/weights.h"
#include "train/ema.h"
#include "train/step.h"

namespace rcnn {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
/// More images are rehearsed, up to the batch, until they take this much more than one.
constexpr int64_t kMinGrowth = 256 * kMiB;

/// What the run's batches require.
struct LargestBatch {
  int64_t height = 1, width = 1, capacity = 1;
  int64_t proposals = 0;  // capacity for proposals per image, if they are given
  int64_t sizes = 0;      // number of different sizes of batches
  int64_t val_sizes = 0;  // number of different sizes of validation images
  int64_t cached = 0;     // bytes of the images that the loader keeps
  int64_t ahead = 0;      // bytes of the images of one batch, on average
};

int64_t decoded_bytes(const Sample& sample) { return int64_t{3} * sample.width * sample.height; }

int64_t padded_side(const ModelConfig& config, int64_t side) {
  return (side + config.size_divisible - 1) / config.size_divisible * config.size_divisible;
}

std::pair<int64_t, int64_t> padded_size(const ModelConfig& config, const Sample& sample) {
  const ResizedImage size = resized(config, sample.height, sample.width);
  return {padded_side(config, size.height), padded_side(config, size.width)};
}

LargestBatch find_largest(const ModelConfig& config, const MemoryPlan& plan, const Dataset& train) {
  LoaderOptions options = plan.loader;
  options.workers = 0;
  Loader stream(train, options);
  ModelConfig scaled = config;
  scaled.short_side = static_cast<int64_t>(static_cast<float>(config.short_side) * plan.largest_scale);
  scaled.long_side = static_cast<int64_t>(static_cast<float>(config.long_side) * plan.largest_scale);
  // Further batches would hardly change the result.
  constexpr int64_t kMaxBatches = 100000;
  const int64_t batches = std::clamp<int64_t>(plan.steps * plan.accumulate, 1, kMaxBatches);
  LargestBatch largest;
  std::set<std::pair<int64_t, int64_t>> sizes;
  std::set<int> seen;
  int64_t bytes = 0;
  for (int64_t i = 0; i < batches; ++i) {
    int64_t height = 0, width = 0;
    for (const int index : stream.samples_of(i)) {
      const Sample& sample = train.samples[static_cast<size_t>(index)];
      const auto [h, w] = padded_size(scaled, sample);
      height = std::max(height, h);
      width = std::max(width, w);
      largest.capacity = std::max(
          largest.capacity, static_cast<int64_t>(std::bit_ceil(std::max<size_t>(1, sample.objects.size()))));
      if (sample.proposals) {
        const auto max_boxes = static_cast<size_t>(config.rpn_post_nms_top_n_train);
        const size_t boxes = std::min(sample.proposals->size(), max_boxes) + sample.objects.size();
        largest.proposals =
            std::max(largest.proposals, static_cast<int64_t>(std::bit_ceil(std::max<size_t>(1, boxes))));
      }
      bytes += decoded_bytes(sample);
      seen.insert(index);
    }
    sizes.insert({height, width});
    if (height * width > largest.height * largest.width)
      std::tie(largest.height, largest.width) = std::pair(height, width);
  }
  for (int64_t i = batches; i < batches + Loader::max_batches(plan.loader); ++i)
    for (const int index : stream.samples_of(i)) seen.insert(index);
  for (const int index : seen) largest.cached += decoded_bytes(train.samples[static_cast<size_t>(index)]);
  largest.sizes = static_cast<int64_t>(sizes.size());
  sizes.clear();
  for (const Sample& sample : plan.val) sizes.insert(padded_size(config, sample));
  largest.val_sizes = static_cast<int64_t>(sizes.size());
  largest.cached = std::min(largest.cached, static_cast<int64_t>(plan.loader.cache_bytes));
  largest.ahead = bytes / batches;
  return largest;
}

/// A batch of noise with the largest sizes that the run may have.
TrainingBatch noise(const Context& ctx, const LargestBatch& largest, int64_t classes, int64_t images) {
  RandomSequence random(1, Purpose::test);
  const Tensor pixels = Tensor::empty({images, largest.height, largest.width, 3}, DType::f32);
  for (float& value : pixels.mutable_values<float>()) value = random.normal();
  const int64_t boxes = images * largest.capacity;
  TrainingBatch batch{{pixels, Tensor::empty({images, 2}, DType::f32)},
                      {Tensor::empty({images, largest.capacity, 4}, DType::f32),
                       Tensor::empty({images, largest.capacity}, DType::i32),
                       Tensor::empty({images}, DType::i32), Tensor::zeros({images}, DType::i32)}};
  const auto height = static_cast<float>(largest.height), width = static_cast<float>(largest.width);
  const auto draw_box = [&](float* box) {
    box[0] = random.uniform(0, width / 2);
    box[1] = random.uniform(0, height / 2);
    box[2] = box[0] + random.uniform(8, width / 2);
    box[3] = box[1] + random.uniform(8, height / 2);
  };
  for (int64_t i = 0; i < images; ++i) {
    batch.images.size.mutable_data<float>()[i * 2] = height;
    batch.images.size.mutable_data<float>()[i * 2 + 1] = width;
  }
  for (int64_t i = 0; i < boxes; ++i) {
    draw_box(batch.truth.boxes.mutable_data<float>() + i * 4);
    batch.truth.labels.mutable_data<int32_t>()[i] = 1 + static_cast<int32_t>(i % (classes - 1));
  }
  batch.truth.count.fill(static_cast<double>(largest.capacity));
  if (largest.proposals > 0) {
    Proposals& proposals = batch.images.proposals;
    proposals = {Tensor::empty({images, largest.proposals, 4}, DType::f32),
                 Tensor::empty({images}, DType::i32)};
    for (int64_t i = 0; i < images * largest.proposals; ++i)
      draw_box(proposals.boxes.mutable_data<float>() + i * 4);
    proposals.count.fill(static_cast<double>(largest.proposals));
    proposals = {proposals.boxes.to(ctx.device), proposals.count.to(ctx.device)};
  }
  for (Tensor* tensor : {&batch.images.pixels, &batch.images.size, &batch.truth.boxes, &batch.truth.labels,
                         &batch.truth.count, &batch.truth.image_id})
    *tensor = tensor->to(ctx.device);
  return batch;
}

/// The memory of the process besides tensors.
int64_t beyond_tensors() { return process_memory().resident - held_host_memory(); }

/// A machine for each `per_machine` ranks; 0: one for all.
std::vector<std::string> hosts_of(int ranks, int per_machine) {
  std::vector<std::string> hosts;
  for (int i = 0; i < ranks; ++i) hosts.push_back(per_machine == 0 ? "" : std::to_string(i / per_machine));
  return hosts;
}

/// The last of several ranks, which has most of the batches. The others do not exist: what they would send is
/// 0, and comes only when it is waited for, as from ranks that are late. Notes the peak of memory before each
/// exchange.
class RehearsedRank : public World {
 public:
  RehearsedRank(Device device, int ranks, int per_machine)
      : World(ranks - 1, hosts_of(ranks, per_machine)), device_(device) {}
  void abort(int status) override { std::exit(status); }

  std::vector<int64_t> peaks;

  /// The peak since the last call.
  void note() {
    peaks.push_back(peak_memory(device_));
    reset_peak_memory(device_);
  }

 private:
  void exchange_with_others(const Outgoing&, const Incoming& from) override {
    note();
    for (size_t i = 0; i + 1 < from.size(); ++i) std::fill(from[i].begin(), from[i].end(), std::byte{});
  }
  std::unique_ptr<OpenExchange> begin_with_others(int channel, const Outgoing& to, const Incoming& from,
                                                  std::shared_ptr<const void> memory) override {
    note();
    return World::begin_with_others(channel, to, from, std::move(memory));
  }

  Device device_;
};

/// Peak bytes of tensors during a step: before its first exchange with other ranks, before each further one,
/// and to its end. Those of everything else (detection, writing a checkpoint). Then the memory besides
/// tensors, once everything is compiled and packed.
struct Rehearsed {
  std::vector<int64_t> step;
  int64_t rest = 0, program = 0;
};

/// The first step creates the packed weights, the second one has them from the start.
constexpr int kSteps = 2;

/// Trains and detects on noise.
Rehearsed rehearse(const Context& like, const MemoryPlan& plan, const LargestBatch& largest, int64_t images,
                   int steps = kSteps) {
  const int64_t before = memory_in_use(like.device);
  reset_peak_memory(like.device);
  // On a GPU it has its own arena, so that what another rehearsal left does not count.
  std::optional<cuda::ArenaScope> scope;
  if (like.device.type == DeviceType::cuda)
    scope.emplace(like.device, std::make_shared<cuda::Arena>(like.device, true));
  Context ctx(like.device);
  ctx.precision = like.precision;
  ctx.seed = like.seed;
  ctx.kernels = like.kernels;
  const auto model = plan.make_model();
  move_to(*model, ctx.device);
  Sgd sgd(ctx, *model, plan.sgd);
  std::optional<Ema> ema;
  if (plan.averages) ema.emplace(ctx, *model, 0.999f);
  RehearsedRank world(like.device, plan.ranks, plan.ranks_per_machine);
  TrainingStep step(ctx, *model, sgd, false, world, plan.sync_bn, plan.bucket_bytes);
  std::vector<TrainingBatch> batches;
  for (int64_t i = 0; i < world.share(plan.accumulate).count(); ++i)
    batches.push_back(noise(ctx, largest, model->classes, images));
  Rehearsed result;
  for (int i = 0; i < steps; ++i) {
    step.run(i, 0, batches, plan.accumulate);
    if (ema) ema->update(ctx, i, sgd.skipped());
    world.note();
    result.step.resize(world.peaks.size());  // the same in each step
    for (size_t k = 0; k < world.peaks.size(); ++k)
      result.step[k] = std::max(result.step[k], world.peaks[k] - before);
    world.peaks.clear();
  }
  reset_peak_memory(like.device);
  ctx.training = ctx.grad = false;
  model->detect(ctx, {batches[0].images.pixels.slice(0, 1), batches[0].images.size.slice(0, 1)});
  batches.clear();
  std::vector<Tensor> copies;  // save_checkpoint makes the same ones
  for (const auto& [name, tensor] : save_weights(*model)) copies.push_back(tensor);
  for (const Sgd::Parameter& p : sgd.parameters())
    copies.push_back(to_file_layout(p.momentum.to(Device{}), p.pooled));
  if (ema)
    for (const Ema::Average& a : ema->averages())
      copies.push_back(to_file_layout(a.average.to(Device{}), a.pooled));
  result.rest = peak_memory(like.device) - before;
  result.program = beyond_tensors();
  return result;
}

/// The memory of what oneDNN compiles for every further size of batches and of validation images, of which it
/// keeps a bounded number. It is measured as the growth of the process besides tensors over slightly smaller
/// batches. The first of them does not count, because it still uses memory that other work has left.
int64_t compiled_for_sizes(const Context& like, const MemoryPlan& plan, LargestBatch batch, int64_t shorter) {
  if (batch.sizes <= 1 && batch.val_sizes <= 1) return 0;
  const auto grows_by = [&](int steps) {
    constexpr int kSizes = 2;
    int64_t before = 0;
    for (int i = 0; i <= kSizes; ++i) {
      batch.height = std::max(shorter, batch.height - shorter);
      static_cast<void>(rehearse(like, plan, batch, 2, steps));
      if (i == 0) before = beyond_tensors();
    }
    return std::max<int64_t>(0, beyond_tensors() - before) / kSizes;
  };
  const int64_t with_steps = grows_by(kSteps), detection = grows_by(0);
  constexpr int64_t kMaxCompiled = 240 * kMiB;  // 1024 primitives of each of three kinds
  return std::min(kMaxCompiled, std::max<int64_t>(0, with_steps - detection) * (batch.sizes - 1) +
                                    detection * std::max<int64_t>(0, batch.val_sizes - 1));
}

}  // namespace

MemoryForecast forecast_memory(const Context& like, const MemoryPlan& plan, const Dataset& train) {
  const bool on_cpu = like.device.type == DeviceType::cpu;
  const ModelConfig config = plan.make_model()->config;
  const LargestBatch largest = find_largest(config, plan, train);
  MemoryForecast forecast{.device = like.device,
                          .batch = plan.loader.batch,
                          .height = largest.height,
                          .width = largest.width,
                          .capacity = largest.capacity};
  forecast.available = on_cpu ? process_memory().available / plan.ranks_beside + process_memory().resident
                              : static_cast<int64_t>(cuda::free_memory(like.device.index));
  const Rehearsed one = rehearse(like, plan, largest, 1);
  Rehearsed fewer = one, more = rehearse(like, plan, largest, 2);
  int64_t few = 1, many = 2;
  // The peak is that of the pass in which it is highest. With few small images that is one that holds all
  // gradients, whatever the images take; with the whole batch it may be another.
  const auto peak_of = [](const Rehearsed& r) { return *std::max_element(r.step.begin(), r.step.end()); };
  while (many < forecast.batch && peak_of(more) - peak_of(one) < kMinGrowth) {
    few = many;
    fewer = std::move(more);
    many = std::min(2 * many, forecast.batch);
    more = rehearse(like, plan, largest, many);
  }
  for (size_t i = 0; i < more.step.size(); ++i) {
    const int64_t per_image = (more.step[i] - fewer.step[i]) / (many - few);
    forecast.exchanging.push_back({more.step[i] - many * per_image, per_image});
  }
  forecast.fixed = forecast.exchanging.front().fixed;
  forecast.per_image = forecast.exchanging.front().per_image;
  forecast.exchanging.erase(forecast.exchanging.begin());
  forecast.other = one.rest;
  if (!on_cpu) return forecast;
  // What is not in tensors: the program with its libraries, what it compiles, and images.
  forecast.ahead = Loader::max_batches(plan.loader) * largest.ahead / plan.loader.batch;
  // While a worker decodes an image, it holds the file and the decoder's own copy.
  const int64_t decoding = plan.loader.workers * largest.ahead / plan.loader.batch;
  forecast.program = one.program + compiled_for_sizes(like, plan, largest, config.size_divisible) +
                     largest.cached + decoding;
  return forecast;
}

int64_t MemoryForecast::max_images() const {
  int64_t fits = 0;  // this many images fit, and `above` images do not
  int64_t above = int64_t{1} << 20;
  while (above - fits > 1) {
    const int64_t middle = (fits + above) / 2;
    (peak(middle) <= available ? fits : above) = middle;
  }
  return fits;
}

std::string format_bytes(int64_t bytes) {
  const double mib = static_cast<double>(bytes) / static_cast<double>(kMiB);
  return mib < 1000 ? fmt::format("{:.0f} MiB", mib) : fmt::format("{:.1f} GiB", mib / 1024);
}

std::string describe(const MemoryForecast& f) {
  std::string text = fmt::format(
      "largest batch: {} of {}x{} pixels with padding, up to {} each\n"
      "peak memory on {}: {}, of which each image of the batch takes {}\n",
      counted(f.batch, "image"), f.width, f.height, counted(f.capacity, "box", "boxes"), f.device.str(),
      format_bytes(f.peak(f.batch)), format_bytes(f.per_image + f.ahead));
  if (f.available == 0) return text;
  const int64_t max_batch = f.max_images();
  const std::string fits = max_batch == 0
                               ? "not even --batch 1 fits; a lower --short-side may"
                               : fmt::format("{}up to --batch {} fits",
                                             max_batch < f.batch ? "that is not enough; " : "", max_batch);
  return text + fmt::format("{} available: {}\n", format_bytes(f.available), fits);
}

}  // namespace rcnn
