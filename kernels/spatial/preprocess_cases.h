#pragma once

#include "kernels/cases.h"
#include "kernels/spatial/preprocess.h"

namespace rcnn::kernels {

struct PreprocessCase {
  struct Image {
    int64_t h, w, rh, rw;
  };
  std::vector<Image> images;
  int64_t height, width;
  bool bgr;
};

inline std::vector<PreprocessCase> preprocess_cases() {
  return {
      {{{7, 11, 13, 19}, {5, 3, 9, 5}}, 13, 19, false},              // enlarged, padded
      {{{31, 37, 7, 5}, {8, 8, 8, 8}, {0, 0, 0, 0}}, 11, 23, true},  // shrunk, same size, an empty slot
      {{{1, 1, 4, 5}, {2, 1, 1, 1}, {1, 9, 3, 2}}, 5, 5, false},     // single rows and columns
      {{}, 4, 4, false},                                             // no images
  };
}

/// nano-fpn's batch from photographs of 640 x 480, and one photograph for a ResNet-50 FPN.
inline std::vector<PreprocessCase> preprocess_bench_cases() {
  return {{{{480, 640, 240, 320}, {480, 640, 240, 320}, {480, 640, 240, 320}, {480, 640, 240, 320}},
           240,
           320,
           false},
          {{{480, 640, 800, 1066}}, 800, 1088, false}};
}

RCNN_CASE_FIELDS(PreprocessCase::Image, h, w, rh, rw)
RCNN_CASE_FIELDS(PreprocessCase, images, height, width, bgr)

inline PreprocessCase case_of(const PreprocessArgs& a, ArgumentReader& reader) {
  PreprocessCase c{{}, a.height, a.width, a.bgr};
  for (const PreprocessImage& image : reader.read(a.images, a.n))
    c.images.push_back({image.h, image.w, image.rh, image.rw});
  return c;
}

/// Always float, whatever T is: the op has no double version.
template <class T>
Prepared<PreprocessArgs> prepare_preprocess(const PreprocessCase& c, Filler fill) {
  Prepared<PreprocessArgs> p;
  const int64_t n = static_cast<int64_t>(c.images.size());
  // The array of structs that the arguments point to lives in a tensor of bytes.
  const Tensor list = Tensor::empty({n * static_cast<int64_t>(sizeof(PreprocessImage))}, DType::u8);
  PreprocessImage* images = static_cast<PreprocessImage*>(list.mutable_raw());
  for (int64_t i = 0; i < n; ++i) {
    const PreprocessCase::Image& image = c.images[static_cast<size_t>(i)];
    std::vector<Tensor> numbers;
    const Tensor pixels = fill.uniform<float>(numbers, {image.h, image.w, 3}, 0, 256).cast(DType::u8);
    p.inputs.push_back(pixels);
    images[i] = {
        .pixels = pixels.data<uint8_t>(), .h = image.h, .w = image.w, .rh = image.rh, .rw = image.rw};
  }
  p.inputs.push_back(list);
  const Tensor y = fill.poisoned<float>(p.outputs, {n, c.height, c.width, 3});
  p.args = {.n = n,
            .images = images,
            .height = c.height,
            .width = c.width,
            .mean = {0.485f, 0.456f, 0.406f},
            .deviation = {0.229f, 0.224f, 0.225f},
            .range = 1 / 255.0f,
            .bgr = c.bgr,
            .y = y.mutable_data<float>()};
  return p;
}

RCNN_OP_CASES(preprocess, preprocess_cases, preprocess_bench_cases, prepare_preprocess<T>)

}  // namespace rcnn::kernels
