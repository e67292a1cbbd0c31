// What became of the objects that are missed on the worst images.
#include <algorithm>

#include "data/image.h"
#include "eval/biography.h"

namespace rcnn {

void tell_worst(Context& ctx, FasterRcnn& model, const Dataset& dataset, Diagnosis& diagnosis) {
  constexpr size_t kTold = 20;  // images
  std::vector<float> thresholds;
  for (const ScoreCurve& curve : diagnosis.classes) thresholds.push_back(curve.best_score);
  for (size_t i = 0; i < std::min(kTold, diagnosis.worst.size()); ++i) {
    JudgedImage& judged = diagnosis.worst[i];
    const Sample& sample = dataset.samples.at(static_cast<size_t>(judged.image));
    judged.stories.clear();
    if (judged.missed.empty() || sample.proposals) continue;  // given proposals have no anchors to tell of
    Image image;
    try {
      image = read_image(sample.image);
    } catch (const InputError&) {
      continue;  // this was reported when the image was loaded
    }
    const Biographies told = tell_biographies(detect_stages(ctx, model, image), model.config, sample.objects,
                                              dataset.classes, thresholds);
    for (const Miss& miss : judged.missed)
      judged.stories.push_back(told.objects.at(static_cast<size_t>(miss.object)).sentence);
  }
}

}  // namespace rcnn
