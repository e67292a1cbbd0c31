#include <algorithm>
#include <cmath>

#include "core/parallel.h"
#include "kernels/spatial/preprocess_math.h"

namespace rcnn::kernels {
namespace {

constexpr int64_t kGrain = 8;  // rows of the batch per chunk

}  // namespace

void preprocess_reference(const Stream&, Workspace&, const PreprocessArgs& a) {
  const Channels channels = channels_of(a);
  parallel_for(a.n * a.height, kGrain, [&](int64_t begin, int64_t end) {
    std::fill(a.y + begin * a.width * 3, a.y + end * a.width * 3, 0.0f);
    for (int64_t row = begin; row < end; ++row) {
      const PreprocessImage& image = a.images[row / a.height];
      const int64_t i = row % a.height;
      if (i >= image.rh) continue;
      const SourcePair rows = source_pair(i, image.h, image.rh);
      for (int64_t j = 0; j < image.rw; ++j) {
        const SourcePair columns = source_pair(j, image.w, image.rw);
        for (int k = 0; k < 3; ++k)
          a.y[(row * a.width + j) * 3 + k] = resized_value(image, rows, columns, channels, k);
      }
    }
  });
}

void preprocess_mixed_rows(const Stream&, Workspace& workspace, const PreprocessArgs& a) {
  const Channels channels = channels_of(a);
  int64_t widest = 0;
  for (int64_t n = 0; n < a.n; ++n) widest = std::max(widest, a.images[n].w);
  SourcePair* pairs = workspace.take<SourcePair>(a.n * a.width);
  for (int64_t n = 0; n < a.n; ++n)
    for (int64_t j = 0; j < a.images[n].rw; ++j)
      pairs[n * a.width + j] = source_pair(j, a.images[n].w, a.images[n].rw);
  const int64_t rows_in_all = a.n * a.height, chunks = (rows_in_all + kGrain - 1) / kGrain;
  float* mixed_rows = workspace.take<float>(chunks * widest * 3);  // one row for each chunk

  parallel_for(rows_in_all, kGrain, [&](int64_t begin, int64_t end) {
    float* mixed = mixed_rows + begin / kGrain * widest * 3;
    for (int64_t row = begin; row < end; ++row) {
      const PreprocessImage& image = a.images[row / a.height];
      const int64_t i = row % a.height, width = i < image.rh ? image.rw : 0;
      float* y = a.y + row * a.width * 3;
      std::fill(y + width * 3, y + a.width * 3, 0.0f);
      if (width == 0) continue;
      const SourcePair rows = source_pair(i, image.h, image.rh);
      const uint8_t *low = image.pixels + rows.low * image.w * 3,
                    *high = image.pixels + rows.high * image.w * 3;
      for (int64_t b = 0; b < image.w * 3; ++b)
        mixed[b] = mix(static_cast<float>(low[b]), static_cast<float>(high[b]), rows.high_weight);
      const SourcePair* columns = pairs + row / a.height * a.width;
      for (int64_t j = 0; j < width; ++j)
        for (int k = 0; k < 3; ++k) {
          const int64_t from = channels.source[k];
          const float value = mix(mixed[columns[j].low * 3 + from], mixed[columns[j].high * 3 + from],
                                  columns[j].high_weight);
          y[j * 3 + k] = value * channels.normal[k].gain + channels.normal[k].offset;
        }
    }
  });
}

}  // namespace rcnn::kernels
