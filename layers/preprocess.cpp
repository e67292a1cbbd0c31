#include "layers/preprocess.h"

#include <algorithm>

#include "core/cuda/device.h"
#include "kernels/spatial/preprocess.h"

namespace rcnn {

Tensor preprocess(Context& ctx, std::span<const SourceImage> images, int64_t height, int64_t width,
                  const PreprocessOptions& options) {
  std::vector<kernels::PreprocessImage> slots;
  std::vector<Tensor> uploaded;  // kept until the op has read them
  for (const SourceImage& image : images) {
    check(image.height >= 1 && image.width >= 1 && image.resized_height >= 1 && image.resized_width >= 1 &&
              image.resized_height <= height && image.resized_width <= width,
          "preprocess: an image of {} x {} pixels cannot be resized to {} x {} in a batch of {} x {}",
          image.height, image.width, image.resized_height, image.resized_width, height, width);
    const uint8_t* pixels = image.pixels;
    if (ctx.device.type == DeviceType::cuda) {
      uploaded.push_back(ctx.empty({image.height, image.width, 3}, DType::u8));
      cuda::upload(ctx.device, uploaded.back().mutable_raw(), pixels, uploaded.back().bytes());
      pixels = uploaded.back().data<uint8_t>();
    }
    slots.push_back({pixels, image.height, image.width, image.resized_height, image.resized_width});
  }
  const Tensor list = bytes_of(std::span<const kernels::PreprocessImage>(slots)).to(ctx.device);
  const Tensor batch = ctx.empty({static_cast<int64_t>(images.size()), height, width, 3});
  kernels::PreprocessArgs args{.n = batch.dim(0),
                               .images = static_cast<const kernels::PreprocessImage*>(list.raw()),
                               .height = height,
                               .width = width,
                               .mean = {},
                               .deviation = {},
                               .range = options.range / 255,
                               .bgr = options.bgr,
                               .y = batch.mutable_data<float>()};
  std::copy(options.mean.begin(), options.mean.end(), args.mean);
  std::copy(options.deviation.begin(), options.deviation.end(), args.deviation);
  kernels::run(ctx, kernels::preprocess, args);
  return batch;
}

}  // namespace rcnn
