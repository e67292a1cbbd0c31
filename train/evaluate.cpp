#include "train/evaluate.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "data/loader.h"
#include "models/transform.h"

namespace rcnn {

std::vector<Detection> detect_image(Context& ctx, FasterRcnn& model, const Image& image, int index) {
  const bool grad = std::exchange(ctx.grad, false), training = std::exchange(ctx.training, false);
  const RawImage raw{image.rgb.data(), image.height, image.width};
  const Detections found = model.detect(ctx, make_image_batch(ctx, model.config, {&raw, 1}));
  ctx.grad = grad;
  ctx.training = training;

  const auto [rh, rw] = resized(model.config, image.height, image.width);
  const float sx = static_cast<float>(image.width) / static_cast<float>(rw);
  const float sy = static_cast<float>(image.height) / static_cast<float>(rh);
  const Tensor boxes = found.boxes.to(Device{}), scores = found.scores.to(Device{}),
               labels = found.labels.to(Device{});
  const int32_t count = found.count.to(Device{}).item<int32_t>();
  std::vector<Detection> detections;
  for (int32_t i = 0; i < count; ++i) {
    const float* box = boxes.data<float>() + i * 4;
    detections.push_back({index,
                          labels.data<int32_t>()[i],
                          scores.data<float>()[i],
                          {box[0] * sx, box[1] * sy, std::min(box[2] * sx, static_cast<float>(image.width)),
                           std::min(box[3] * sy, static_cast<float>(image.height))}});
  }
  return detections;
}

std::vector<Detection> detect_dataset(Context& ctx, FasterRcnn& model, const Dataset& dataset, int workers,
                                      std::vector<Fault>& faults,
                                      const std::function<void(size_t, size_t)>& progress) {
  // One image a batch: what is found on an image must not depend on its neighbours' padding.
  LoaderOptions options;
  options.workers = workers;
  options.cache_bytes = 0;
  Loader loader(dataset, options);
  std::vector<Detection> all;
  size_t done = 0;
  for (int64_t i = 0; i < loader.batches_per_epoch(); ++i) {
    for (const LoadedImage& loaded : loader.next().images) {
      if (loaded.sample != i) continue;  // the loader's stand-in for an image that cannot be decoded
      const auto found = detect_image(ctx, model, loaded.image, loaded.sample);
      all.insert(all.end(), found.begin(), found.end());
    }
    if (progress) progress(++done, dataset.samples.size());
  }
  faults.insert(faults.end(), loader.faults().begin(), loader.faults().end());
  return all;
}

void write_detections(const std::filesystem::path& path, const std::vector<Detection>& detections,
                      const std::vector<Sample>& samples, const std::vector<std::string>& classes) {
  std::string text = "[";
  for (const Detection& d : detections) {
    const Sample& sample = samples.at(static_cast<size_t>(d.image));
    // In double, so that x + w gives back the right border exactly.
    const double x = static_cast<double>(d.box.x1), y = static_cast<double>(d.box.y1);
    const nlohmann::ordered_json entry = {
        {"image_id", sample.id},
        {"file_name", sample.image.filename().string()},
        {"category_id", d.label},
        {"category_name", classes.at(static_cast<size_t>(d.label - 1))},
        {"bbox", {x, y, static_cast<double>(d.box.x2) - x, static_cast<double>(d.box.y2) - y}},
        {"score", static_cast<double>(d.score)}};
    text += (text.size() == 1 ? "\n" : ",\n") +
            entry.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  write_atomically(path, text + "\n]\n");
}

}  // namespace rcnn
