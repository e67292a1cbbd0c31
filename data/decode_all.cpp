#include "data/decode_all.h"

#include "core/error.h"
#include "core/parallel.h"
#include "data/image.h"

namespace rcnn {

void report_undecodable(Dataset& dataset) {
  std::vector<std::string> sentences(dataset.samples.size());
  parallel_each(std::ssize(dataset.samples), 1, [&](int64_t i) {
    const auto index = static_cast<size_t>(i);
    try {
      read_image(dataset.samples[index].image);
    } catch (const InputError& error) {
      sentences[index] = error.what();
    }
  });
  for (size_t i = 0; i < sentences.size(); ++i)
    if (!sentences[i].empty())
      dataset.faults.push_back({dataset.samples[i].image, sentences[i], FaultKind::undecodable});
}

}  // namespace rcnn
