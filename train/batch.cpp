#include "train/batch.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "kernels/boxes/box_math.h"
#include "models/transform.h"

namespace rcnn {
namespace {

/// The best proposals of each image, followed by its ground truth.
Proposals with_truth(const ModelConfig& config, const Batch& batch, const GroundTruth& truth) {
  const auto n = static_cast<int64_t>(batch.images.size()), capacity = truth.boxes.dim(1);
  std::vector<std::vector<Box>> boxes(batch.images.size());
  size_t max_boxes = 1;
  for (size_t i = 0; i < boxes.size(); ++i) {
    const LoadedImage& loaded = batch.images[i];
    const ResizedImage size = resized(config, loaded.image.height, loaded.image.width, loaded.scale);
    for (const Box& box : *loaded.proposals) {
      if (std::ssize(boxes[i]) == config.rpn_post_nms_top_n_train) break;
      boxes[i].push_back(size.to_input(box));
    }
    const auto image = static_cast<int64_t>(i);
    for (int64_t j = 0; j < truth.count.data<int32_t>()[i]; ++j)
      boxes[i].push_back(kernels::load_box(truth.boxes.data<float>() + (image * capacity + j) * 4));
    max_boxes = std::max(max_boxes, boxes[i].size());
  }
  const auto room = static_cast<int64_t>(std::bit_ceil(max_boxes));
  Proposals proposals{Tensor::zeros({n, room, 4}, DType::f32), Tensor::zeros({n}, DType::i32)};
  for (size_t i = 0; i < boxes.size(); ++i) {
    float* row = proposals.boxes.mutable_data<float>() + static_cast<int64_t>(i) * room * 4;
    for (const Box& box : boxes[i]) kernels::store_box(std::exchange(row, row + 4), box);
    proposals.count.mutable_data<int32_t>()[i] = static_cast<int32_t>(boxes[i].size());
  }
  return proposals;
}

}  // namespace

TrainingBatch make_training_batch(Context& ctx, const ModelConfig& config, const Batch& batch) {
  const auto n = static_cast<int64_t>(batch.images.size());
  std::vector<RawImage> raw;
  size_t max_boxes = 1;
  for (const LoadedImage& loaded : batch.images) {
    raw.push_back({loaded.image.rgb.data(), loaded.image.height, loaded.image.width, loaded.scale});
    max_boxes = std::max(max_boxes, loaded.objects.size());
  }
  const auto capacity = static_cast<int64_t>(std::bit_ceil(max_boxes));

  GroundTruth truth{Tensor::zeros({n, capacity, 4}, DType::f32), Tensor::zeros({n, capacity}, DType::i32),
                    Tensor::zeros({n}, DType::i32), Tensor::zeros({n}, DType::i32)};
  for (int64_t i = 0; i < n; ++i) {
    const LoadedImage& loaded = batch.images[static_cast<size_t>(i)];
    const ResizedImage size = resized(config, loaded.image.height, loaded.image.width, loaded.scale);
    int32_t count = 0;
    for (const Object& object : loaded.objects) {
      if (is_ignored(object)) continue;
      kernels::store_box(truth.boxes.mutable_data<float>() + (i * capacity + count) * 4,
                         size.to_input(object.box));
      truth.labels.mutable_data<int32_t>()[i * capacity + count] = object.label;
      ++count;
    }
    truth.count.mutable_data<int32_t>()[i] = count;
    truth.image_id.mutable_data<int32_t>()[i] = loaded.sample;
  }
  Proposals proposals;
  if (batch.images.front().proposals) proposals = with_truth(config, batch, truth);
  for (Tensor* tensor : {&truth.boxes, &truth.labels, &truth.count, &truth.image_id})
    *tensor = tensor->to(ctx.device);
  ImageBatch images = make_image_batch(ctx, config, raw);
  if (proposals.boxes.defined())
    images.proposals = {proposals.boxes.to(ctx.device), proposals.count.to(ctx.device)};
  return {std::move(images), truth};
}

}  // namespace rcnn
