// Batches to train on that need no data.
#pragma once

#include "core/rng.h"
#include "train/batch.h"

namespace rcnn::fixtures {

/// A training batch of noise, all images of one size. Image i of it is the one of noise(number + i).
inline TrainingBatch noise(uint64_t number, int64_t images = 1, int64_t width = 64, Device device = {}) {
  const Tensor pixels = Tensor::empty({images, 64, width, 3}, DType::f32),
               size = Tensor::empty({images, 2}, DType::f32),
               boxes = Tensor::zeros({images, 2, 4}, DType::f32),
               labels = Tensor::zeros({images, 2}, DType::i32), count = Tensor::zeros({images}, DType::i32),
               id = Tensor::zeros({images}, DType::i32);
  for (int64_t i = 0; i < images; ++i) {
    RandomSequence random(number + static_cast<uint64_t>(i), Purpose::test);
    const auto image = pixels.slice(i, i + 1);
    for (float& value : image.mutable_values<float>()) value = random.normal();
    size.mutable_data<float>()[i * 2] = 64;
    size.mutable_data<float>()[i * 2 + 1] = static_cast<float>(width);
    float* box = boxes.mutable_data<float>() + i * 8;
    box[0] = random.uniform(0, 20);
    box[1] = random.uniform(0, 20);
    box[2] = box[0] + random.uniform(15, 40);
    box[3] = box[1] + random.uniform(15, 40);
    labels.mutable_data<int32_t>()[i * 2] = 1 + static_cast<int32_t>(random.below(2));
    count.mutable_data<int32_t>()[i] = 1;
    id.mutable_data<int32_t>()[i] = static_cast<int32_t>(number) + static_cast<int32_t>(i);
  }
  return {{pixels.to(device), size.to(device)},
          {boxes.to(device), labels.to(device), count.to(device), id.to(device)}};
}

}  // namespace rcnn::fixtures
