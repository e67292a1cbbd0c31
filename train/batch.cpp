#include "train/batch.h"

#include <algorithm>
#include <bit>

#include "models/transform.h"

namespace rcnn {

TrainingBatch make_training_batch(Context& ctx, const ModelConfig& config, const Batch& batch) {
  const auto n = static_cast<int64_t>(batch.images.size());
  std::vector<RawImage> raw;
  size_t most = 1;
  for (const LoadedImage& loaded : batch.images) {
    raw.push_back({loaded.image.rgb.data(), loaded.image.height, loaded.image.width, loaded.scale});
    most = std::max(most, loaded.objects.size());
  }
  const auto capacity = static_cast<int64_t>(std::bit_ceil(most));

  GroundTruth truth{Tensor::zeros({n, capacity, 4}, DType::f32), Tensor::zeros({n, capacity}, DType::i32),
                    Tensor::zeros({n}, DType::i32), Tensor::zeros({n}, DType::i32)};
  for (int64_t i = 0; i < n; ++i) {
    const LoadedImage& loaded = batch.images[static_cast<size_t>(i)];
    const ResizedImage size = resized(config, loaded.image.height, loaded.image.width, loaded.scale);
    int32_t count = 0;
    for (const Object& object : loaded.objects) {
      if (is_ignored(object)) continue;
      const Box& box = object.box;
      kernels::store_box(truth.boxes.mutable_data<float>() + (i * capacity + count) * 4,
                         size.to_input(box.x1, box.y1, box.x2, box.y2));
      truth.labels.mutable_data<int32_t>()[i * capacity + count] = object.label;
      ++count;
    }
    truth.count.mutable_data<int32_t>()[i] = count;
    truth.image_id.mutable_data<int32_t>()[i] = loaded.sample;
  }
  for (Tensor* tensor : {&truth.boxes, &truth.labels, &truth.count, &truth.image_id})
    *tensor = tensor->to(ctx.device);
  return {make_image_batch(ctx, config, raw), truth};
}

}  // namespace rcnn
