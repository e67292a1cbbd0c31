#include "eval/detect.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/files/atomic_file.h"
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

/// The detections on an image, with boxes in pixels of the image. Rows with the label -1 are left out.
std::vector<Detection> in_image(const Tensor& boxes, const Tensor& scores, const Tensor& labels, int index,
                                const ToImage& to_image) {
  const Tensor b = boxes.to(Device{}), s = scores.to(Device{}), l = labels.to(Device{});
  std::vector<Detection> detections;
  for (int64_t i = 0; i < l.numel(); ++i)
    if (l.data<int32_t>()[i] > 0)
      detections.push_back(
          {index, l.data<int32_t>()[i], s.data<float>()[i], to_image(b.data<float>() + i * 4)});
  return detections;
}

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
    trace->before_nms = in_image(boxes.boxes, boxes.scores, boxes.group, index, to_image);
  }
  return in_image(found.boxes, found.scores, found.labels, index, to_image);
}

std::vector<Detection> detect_dataset(Context& ctx, FasterRcnn& model, const Dataset& dataset, int workers,
                                      std::vector<Fault>& faults,
                                      const std::function<void(size_t, size_t)>& progress,
                                      std::vector<Trace>* traces) {
  // One image per batch: the detections on an image must not depend on the padding for other images.
  LoaderOptions options;
  options.workers = workers;
  options.cache_bytes = 0;
  Loader loader(dataset, options);
  std::vector<Detection> all;
  size_t done = 0;
  if (traces) traces->assign(dataset.samples.size(), {});
  for (int64_t i = 0; i < loader.batches_per_epoch(); ++i) {
    for (const LoadedImage& loaded : loader.next().images) {
      if (loaded.sample != i) continue;  // the loader's stand-in for an image that cannot be decoded
      const auto found = detect_image(ctx, model, loaded.image, loaded.sample,
                                      traces ? &traces->at(static_cast<size_t>(loaded.sample)) : nullptr,
                                      loaded.proposals ? &*loaded.proposals : nullptr);
      all.insert(all.end(), found.begin(), found.end());
    }
    if (progress) progress(++done, dataset.samples.size());
  }
  faults.insert(faults.end(), loader.faults().begin(), loader.faults().end());
  return all;
}

void write_detections(const std::filesystem::path& path, const std::vector<Detection>& detections,
                      const std::vector<Sample>& samples, const std::vector<std::string>& classes,
                      const std::vector<int64_t>& category_ids) {
  using Json = nlohmann::ordered_json;
  std::string text = "[";
  for (const Detection& d : detections) {
    const Sample& sample = samples.at(static_cast<size_t>(d.image));
    // In double, so that x + w is exactly x2.
    const double x = static_cast<double>(d.box.x1), y = static_cast<double>(d.box.y1);
    const auto index = static_cast<size_t>(d.label - 1);
    const Json entry = {
        {"image_id", sample.coco_id ? Json(*sample.coco_id) : Json(sample.id)},
        {"file_name", sample.image.filename().string()},
        {"category_id", category_ids.empty() ? d.label : category_ids.at(index)},
        {"category_name", classes.at(index)},
        {"bbox", {x, y, static_cast<double>(d.box.x2) - x, static_cast<double>(d.box.y2) - y}},
        {"score", static_cast<double>(d.score)}};
    text += (text.size() == 1 ? "\n" : ",\n") +
            entry.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  write_atomically(path, text + "\n]\n");
}

}  // namespace rcnn
