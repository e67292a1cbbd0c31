#include "eval/proposals.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <utility>

#include "core/counted.h"
#include "core/files/atomic_file.h"
#include "core/files/output.h"
#include "core/world/packing.h"
#include "data/coco.h"
#include "data/loader.h"
#include "eval/coco_metrics.h"
#include "eval/detect.h"

namespace rcnn {
namespace {

struct ScoredBox {
  Box box;
  float score = 0;
};

constexpr size_t kCounted = 300;  // recall is counted for this number of proposals per image
constexpr double kFound = 0.5;    // the overlap from which an object counts as found

/// The proposals for an image, best first, in pixels of the image.
std::vector<ScoredBox> propose(Context& ctx, FasterRcnn& model, const Image& image) {
  const RawImage raw{image.rgb.data(), image.height, image.width};
  const Proposals found = model.propose(ctx, make_image_batch(ctx, model.config, {&raw, 1}));
  const Tensor boxes = found.boxes.to(Device{}), logits = found.scores.to(Device{});
  const auto count = found.count.to(Device{}).item<int32_t>();
  const ToImage to_image(model.config, image);
  std::vector<ScoredBox> result;
  for (int32_t i = 0; i < count; ++i) {
    const Box box = to_image(boxes.data<float>() + i * 4);
    result.push_back({box, 1 / (1 + std::exp(-logits.data<float>()[i]))});
  }
  return result;
}

/// The entries of one image, one per line.
std::string entries(const Sample& sample, const std::vector<ScoredBox>& boxes) {
  const auto dump = [](const nlohmann::json& value) {
    return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  };
  const std::string image = sample.coco_id ? dump(*sample.coco_id) : dump(sample.id);
  std::string text;
  for (const auto& [box, score] : boxes)
    text += fmt::format("{}{{\"image_id\":{},\"bbox\":[{:.2f},{:.2f},{:.2f},{:.2f}],\"score\":{:.6f}}}",
                        text.empty() ? "" : ",\n", image, box.x1, box.y1, box.x2 - box.x1, box.y2 - box.y1,
                        score);
  return text;
}

/// The entries with kWrittenHere in the first one, because the list itself has no place for it.
std::string marked(std::string text) {
  return text.insert(text.find(",\"score\":"), fmt::format(",\"info\":\"{}\"", kWrittenHere));
}

void count(const Sample& sample, const std::vector<ScoredBox>& boxes, ProposalCounts& counts) {
  ++counts.images;
  counts.boxes += std::ssize(boxes);
  const auto end = boxes.begin() + static_cast<ptrdiff_t>(std::min(kCounted, boxes.size()));
  for (const Object& object : sample.objects) {
    if (is_ignored(object)) continue;
    ++counts.objects;
    counts.found += std::any_of(boxes.begin(), end, [&](const ScoredBox& proposal) {
      return overlap(proposal.box, object.box) >= kFound;
    });
  }
}

}  // namespace

ProposalCounts write_proposals(Context& ctx, FasterRcnn& model, const Dataset& dataset, int workers,
                               const std::filesystem::path& path, std::vector<Fault>& faults, World& world,
                               const std::function<void()>& between_images) {
  ModelConfig& config = model.config;
  const ModelConfig before = config;
  config.rpn_pre_nms_top_n_test = config.rpn_pre_nms_top_n_train;
  config.rpn_post_nms_top_n_test = config.rpn_post_nms_top_n_train;
  ProposalCounts counts;
  // The images go round the ranks in groups, so that rank 0 never has to keep more than one group of each.
  constexpr int64_t kGroup = 16;
  LoaderOptions options;  // one image per batch, as in detect_dataset
  options.workers = workers;
  options.cache_bytes = 0;
  options.share = world.share(kGroup * world.size());
  Loader loader(dataset, options);
  const int64_t images = loader.batches_per_epoch();
  size_t unreadable = count_unreadable(dataset.faults);
  std::string last;  // the entries of the last image that has any, which are not written yet
  const auto write = [&](FileWriter* writer) {
    int64_t next = 0;  // image
    for (int64_t group = 0; group < images; group += options.share.of) {
      const int64_t end = std::min(images, group + options.share.end);
      Packer packer;
      for (int64_t i = group + options.share.begin; i < end; ++i) {
        std::vector<ScoredBox> boxes;
        uint8_t is_decoded = 0;
        for (const LoadedImage& loaded : loader.next().images) {
          if (loaded.sample != i) continue;  // the loader's stand-in for an image that cannot be decoded
          boxes = propose(ctx, model, loaded.image);
          is_decoded = 1;
        }
        packer.value(is_decoded);
        packer.list(boxes);
      }
      for (const Bytes& bytes : world.gather(packer.bytes()))
        for (Unpacker unpacker(bytes); !unpacker.is_empty();) {
          const Sample& sample = dataset.samples[static_cast<size_t>(next++)];
          const auto is_decoded = unpacker.value<uint8_t>();
          const auto boxes = unpacker.list<std::vector<ScoredBox>>();
          if (!boxes.empty()) {
            const bool is_first = last.empty();
            if (!is_first) writer->write(last + ",");
            last = "\n" + (is_first ? marked(entries(sample, boxes)) : entries(sample, boxes));
          }
          if (is_decoded)
            count(sample, boxes, counts);
          else
            ++unreadable;
        }
      if (between_images) between_images();
    }
  };
  if (world.is_first())
    write_atomically(path, [&](FileWriter& writer) {
      writer.write("[");
      write(&writer);
      if (!last.empty() && unreadable > 0)
        last.insert(last.size() - 1, fmt::format(R"(,"unreadable_images":{})", unreadable));
      writer.write(last + "\n]\n");
    });
  else
    write(nullptr);
  config = before;
  const std::vector<Fault> found = loader.faults_of(world);
  faults.insert(faults.end(), found.begin(), found.end());
  return counts;
}

std::string describe(const ProposalCounts& counts) {
  const auto share = [](int64_t part, int64_t of) {
    return static_cast<double>(part) / static_cast<double>(std::max<int64_t>(1, of));
  };
  std::string text = fmt::format("{}, {:.1f} proposals per image", counted(counts.images, "image"),
                                 share(counts.boxes, counts.images));
  if (counts.objects > 0)
    text += fmt::format("; recall {:.3f} with the best {} (IoU .5)", share(counts.found, counts.objects),
                        kCounted);
  return text;
}

void read_proposals(const std::filesystem::path& path, Dataset& dataset) {
  CocoNumbers numbers = coco_numbers(dataset);
  numbers.any_category = true;
  std::vector<CocoResult> results = read_coco_results(path, numbers);
  std::stable_sort(results.begin(), results.end(),
                   [](const CocoResult& a, const CocoResult& b) { return a.score > b.score; });
  std::unordered_map<int64_t, Sample*> samples;
  for (size_t i = 0; i < dataset.samples.size(); ++i) {
    Sample& sample = dataset.samples[i];
    sample.proposals.emplace();
    samples[sample.coco_id.value_or(static_cast<int64_t>(i))] = &sample;
  }
  for (const CocoResult& result : results) {
    const auto found = samples.find(result.image);
    check_input(found != samples.end(),
                "{} has a proposal on the image {}, which the data lacks; expected proposals of this split",
                path.string(), result.image);
    Sample& sample = *found->second;
    const auto clip = [](double at, int side) {
      return static_cast<float>(std::clamp(at, 0.0, static_cast<double>(side)));
    };
    const Box box{clip(result.x, sample.width), clip(result.y, sample.height),
                  clip(result.x + result.width, sample.width), clip(result.y + result.height, sample.height)};
    if (box.x2 > box.x1 && box.y2 > box.y1) sample.proposals->push_back(box);
  }
  for (Sample& sample : dataset.samples) sample.proposals->shrink_to_fit();
}

}  // namespace rcnn
