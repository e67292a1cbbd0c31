#include "eval/detect.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "core/files/atomic_file.h"
#include "core/files/output.h"
#include "core/text.h"
#include "core/world/packing.h"
#include "data/loader.h"
#include "kernels/boxes/box_math.h"

namespace rcnn {

ToImage::ToImage(const ModelConfig& config, const Image& image)
    : size(resized(config, image.height, image.width)),
      width(static_cast<float>(image.width)),
      height(static_cast<float>(image.height)) {}

Box ToImage::operator()(const float* box) const {
  const Box back = size.from_input(kernels::load_box(box));
  return {back.x1, back.y1, std::min(back.x2, width), std::min(back.y2, height)};
}

namespace {

/// Rows of a batch, on the host: boxes (N, M, 4), scores and labels (N, M).
struct Rows {
  Tensor boxes, scores, labels;

  Rows(const Tensor& b, const Tensor& s, const Tensor& l)
      : boxes(b.to(Device{})), scores(s.to(Device{})), labels(l.to(Device{})) {}

  /// The detections on the image with this place in the batch, in pixels of the image. Rows with the label -1
  /// are left out.
  std::vector<Detection> in_image(int64_t place, int index, const ToImage& to_image) const {
    std::vector<Detection> detections;
    for (int64_t i = place * labels.dim(1); i < (place + 1) * labels.dim(1); ++i)
      if (const int32_t label = labels.data<int32_t>()[i]; label > 0)
        detections.push_back({index, label, scores.data<float>()[i], to_image(boxes.data<float>() + i * 4)});
    return detections;
  }
};

/// The best of the given boxes of an image, as input for the head.
Proposals given_proposals(Context& ctx, const ModelConfig& config, const ResizedImage& size,
                          const std::vector<Box>& boxes) {
  const int64_t count = std::min<int64_t>(std::ssize(boxes), config.rpn_post_nms_top_n_test);
  Proposals proposals{Tensor::zeros({1, std::max<int64_t>(1, count), 4}, DType::f32),
                      Tensor::zeros({1}, DType::i32)};
  for (int64_t i = 0; i < count; ++i)
    kernels::store_box(proposals.boxes.mutable_data<float>() + i * 4,
                       size.to_input(boxes[static_cast<size_t>(i)]));
  proposals.count.fill(static_cast<double>(count));
  return {proposals.boxes.to(ctx.device), proposals.count.to(ctx.device)};
}

}  // namespace

std::vector<Detection> detect_image(Context& ctx, FasterRcnn& model, const Image& image, int index,
                                    Trace* trace, const std::vector<Box>* proposals) {
  const RawImage raw{image.rgb.data(), image.height, image.width};
  const ToImage to_image(model.config, image);
  ImageBatch batch = make_image_batch(ctx, model.config, {&raw, 1});
  if (proposals) batch.proposals = given_proposals(ctx, model.config, to_image.size, *proposals);
  DetectionTrace looked_at;
  const Detections found = model.detect(ctx, batch, trace ? &looked_at : nullptr);

  if (trace) {
    *trace = {};
    const Tensor seen = looked_at.proposals.boxes.to(Device{});
    const auto count = looked_at.proposals.count.to(Device{}).item<int32_t>();
    for (int32_t i = 0; i < count; ++i) trace->proposals.push_back(to_image(seen.data<float>() + i * 4));
    const Candidates& boxes = looked_at.before_nms;
    trace->before_nms = Rows(boxes.boxes, boxes.scores, boxes.group).in_image(0, index, to_image);
  }
  return Rows(found.boxes, found.scores, found.labels).in_image(0, index, to_image);
}

std::vector<std::vector<Detection>> detect_images(Context& ctx, FasterRcnn& model,
                                                  std::span<const Image* const> images) {
  std::vector<ToImage> to_image;
  for (const Image* image : images) to_image.emplace_back(model.config, *image);
  const auto same_size = [&](size_t a, size_t b) {
    return to_image[a].size.height == to_image[b].size.height &&
           to_image[a].size.width == to_image[b].size.width;
  };
  std::vector<std::vector<Detection>> all;
  while (all.size() < images.size()) {
    const size_t first = all.size();
    std::vector<RawImage> raw;
    for (size_t i = first; i < images.size() && same_size(first, i); ++i)
      raw.push_back({images[i]->rgb.data(), images[i]->height, images[i]->width});
    const Detections found = model.detect(ctx, make_image_batch(ctx, model.config, raw));
    const Rows rows(found.boxes, found.scores, found.labels);
    for (size_t place = 0; place < raw.size(); ++place)
      all.push_back(rows.in_image(static_cast<int64_t>(place), static_cast<int>(first + place),
                                  to_image[first + place]));
  }
  return all;
}

namespace {

/// Called with the detections on image `image` and, if they are asked for, what led to them.
using Receive = std::function<void(int64_t image, const std::vector<Detection>& found, Trace& trace)>;

/// Detects on the images of a share of the dataset, one by one, and returns their faults on all ranks.
std::vector<Fault> detect_share(World& world, Context& ctx, FasterRcnn& model, const Dataset& dataset,
                                int workers, bool traced, const Receive& receive) {
  // One image per batch: the detections on an image must not depend on the padding for other images.
  LoaderOptions options;
  options.workers = workers;
  options.cache_bytes = 0;
  const Share share = world.share(std::ssize(dataset.samples));
  Loader loader(dataset, options, share.begin);
  for (int64_t i = share.begin; i < share.end; ++i) {
    std::vector<Detection> found;
    Trace trace;
    for (const LoadedImage& loaded : loader.next().images) {
      if (loaded.sample != i) continue;  // the loader's stand-in for an image that cannot be decoded
      found = detect_image(ctx, model, loaded.image, loaded.sample, traced ? &trace : nullptr,
                           loaded.proposals ? &*loaded.proposals : nullptr);
    }
    receive(i, found, trace);
  }
  return loader.faults_of(world);
}

}  // namespace

std::vector<Detection> detect_dataset(Context& ctx, FasterRcnn& model, const Dataset& dataset, int workers,
                                      std::vector<Fault>& faults,
                                      const std::function<void(size_t, size_t)>& progress,
                                      std::vector<Trace>* traces) {
  std::vector<Detection> all;
  if (traces) traces->assign(dataset.samples.size(), {});
  const auto receive = [&](int64_t image, const std::vector<Detection>& found, Trace& trace) {
    all.insert(all.end(), found.begin(), found.end());
    const auto i = static_cast<size_t>(image);
    if (traces) traces->at(i) = std::move(trace);
    if (progress) progress(i + 1, dataset.samples.size());
  };
  const auto found = detect_share(alone(), ctx, model, dataset, workers, traces != nullptr, receive);
  faults.insert(faults.end(), found.begin(), found.end());
  return all;
}

std::vector<Detection> detect_dataset(World& world, Context& ctx, FasterRcnn& model, const Dataset& dataset,
                                      int workers, std::vector<Fault>& faults, std::vector<Trace>* traces,
                                      const std::function<void()>& between_images) {
  if (world.size() == 1) {
    const auto progress = [&](size_t, size_t) {
      if (between_images) between_images();
    };
    return detect_dataset(ctx, model, dataset, workers, faults, progress, traces);
  }
  constexpr int64_t kBetween = 8;  // images of a rank, so that ranks seldom wait for each other
  const int64_t smallest_share = std::ssize(dataset.samples) / world.size();
  int64_t done = 0;
  Packer packer;
  const auto receive = [&](int64_t, const std::vector<Detection>& found, const Trace& trace) {
    packer.list(found);
    packer.list(trace.proposals);
    packer.list(trace.before_nms);
    ++done;
    if (between_images && done % kBetween == 0 && done <= smallest_share) between_images();
  };
  const auto bad = detect_share(world, ctx, model, dataset, workers, traces != nullptr, receive);
  std::vector<Detection> all;
  if (world.is_first()) faults.insert(faults.end(), bad.begin(), bad.end());
  if (traces) traces->clear();
  for (const Bytes& bytes : world.gather(packer.bytes()))  // the shares are in the order of the images
    for (Unpacker unpacker(bytes); !unpacker.is_empty();) {
      const auto found = unpacker.list<std::vector<Detection>>();
      all.insert(all.end(), found.begin(), found.end());
      Trace trace{unpacker.list<std::vector<Box>>(), unpacker.list<std::vector<Detection>>()};
      if (traces) traces->push_back(std::move(trace));
    }
  return all;
}

void ignore_undecodable(Dataset& dataset, const std::vector<Fault>& faults) {
  std::set<std::filesystem::path> files;
  for (const Fault& fault : faults)
    if (fault.kind == FaultKind::undecodable) files.insert(fault.file);
  for (Sample& sample : dataset.samples)
    if (files.contains(sample.image))
      for (Object& object : sample.objects) object.difficult = true;
}

size_t count_unreadable(const std::vector<Fault>& faults) {
  std::set<std::filesystem::path> files;
  for (const Fault& fault : faults)
    if (fault.kind == FaultKind::undecodable || fault.kind == FaultKind::bad_image) files.insert(fault.file);
  return files.size();
}

std::string unreadable_words(const std::vector<Fault>& faults) {
  const size_t count = count_unreadable(faults);
  return count == 0 ? "" : fmt::format("{}, which {} left out", count, count == 1 ? "was" : "were");
}

DetectionList::DetectionList(FileWriter& file, const std::vector<std::string>& classes,
                             const std::vector<int64_t>& category_ids)
    : file_(file), classes_(classes), category_ids_(category_ids) {
  append("[");
}

void DetectionList::append(const std::string& text) {
  constexpr size_t kPiece = size_t{1} << 16;
  buffer_ += text;
  if (buffer_.size() < kPiece) return;
  file_.write(buffer_);
  buffer_.clear();
}

void DetectionList::add(const Sample& sample, std::span<const Detection> detections) {
  using Json = nlohmann::ordered_json;
  for (const Detection& d : detections) {
    // In double, so that x + w is exactly x2.
    const double x = static_cast<double>(d.box.x1), y = static_cast<double>(d.box.y1);
    const auto index = static_cast<size_t>(d.label - 1);
    Json entry = {{"image_id", sample.coco_id ? Json(*sample.coco_id) : Json(sample.id)},
                  {"file_name", escaped(sample.image.filename().string())},
                  {"category_id", category_ids_.empty() ? d.label : category_ids_.at(index)},
                  {"category_name", classes_.at(index)},
                  {"bbox", {x, y, static_cast<double>(d.box.x2) - x, static_cast<double>(d.box.y2) - y}},
                  {"score", static_cast<double>(d.score)}};
    if (first_) entry["info"] = kWrittenHere;  // the list itself has no place for it
    if (!first_) append(last_ + "},");
    first_ = false;
    last_ = "\n" + entry.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    last_.pop_back();
  }
}

void DetectionList::finish(size_t unreadable_images) {
  if (!first_ && unreadable_images > 0) last_ += fmt::format(R"(,"unreadable_images":{})", unreadable_images);
  if (!first_) append(last_ + "}");
  append("\n]\n");
  file_.write(buffer_);
  buffer_.clear();
}

void write_detections(const std::filesystem::path& path, const std::vector<Detection>& detections,
                      const std::vector<Sample>& samples, const std::vector<std::string>& classes,
                      const std::vector<int64_t>& category_ids, size_t unreadable_images) {
  write_atomically(path, [&](FileWriter& file) {
    DetectionList list(file, classes, category_ids);
    for (const Detection& d : detections) list.add(samples.at(static_cast<size_t>(d.image)), {&d, 1});
    list.finish(unreadable_images);
  });
}

}  // namespace rcnn
