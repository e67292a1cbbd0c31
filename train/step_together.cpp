// A step with synchronised batch normalisation: the passes of its batches run side by side.
#include "train/gradient_sum.h"
#include "train/step.h"
#include "train/step_record.h"

namespace rcnn {
namespace {

/// The trained parameters of a model as leaves of their own for each batch, with the same values, so that
/// each batch has a gradient of its own. While a batch works, its leaves are in the model. The first batch
/// has the model's, which come back at the end.
class LeavesOfBatches {
 public:
  LeavesOfBatches(FasterRcnn& model, size_t batches) : leaves_(batches) {
    for_each_parameter(model, [&](const std::string&, Var& v) {
      if (!v.requires_grad()) return;
      places_.push_back(&v);
      v.clear_gradient();
      for (size_t i = 0; i < batches; ++i) leaves_[i].push_back(i == 0 ? v : Var::parameter(v.value()));
    });
  }
  ~LeavesOfBatches() { enter(0); }
  LeavesOfBatches(const LeavesOfBatches&) = delete;
  LeavesOfBatches& operator=(const LeavesOfBatches&) = delete;

  void enter(size_t batch) {
    for (size_t k = 0; k < places_.size(); ++k) *places_[k] = leaves_[batch][k];
  }
  /// The optimiser's parameters with the leaves of one batch.
  std::vector<Sgd::Parameter> parameters(size_t batch, std::vector<Sgd::Parameter> all) const {
    check(all.size() == places_.size(), "the optimiser has {} parameters, and the model {}", all.size(),
          places_.size());
    for (size_t k = 0; k < all.size(); ++k) {
      check(all[k].value.value().storage().id == leaves_[batch][k].value().storage().id,
            "{} is not the parameter that the model has in its place", all[k].name);
      all[k].value = leaves_[batch][k];
    }
    return all;
  }
  /// Frees the gradients of a batch other than the first.
  void forget(size_t batch) {
    if (batch > 0) leaves_[batch].clear();
  }

 private:
  std::vector<Var*> places_;
  std::vector<std::vector<Var>> leaves_;  // by batch
};

}  // namespace

void TrainingStep::pass_together(std::span<const TrainingBatch> own, int64_t micro_batches,
                                 StepRecord& record, GradientSum& gradients) {
  if (!together_ || together_->batches() != micro_batches)
    together_ = std::make_unique<PassesTogether>(ctx_, world_, micro_batches);
  LeavesOfBatches leaves(model_, own.size());
  std::vector<Losses> losses(own.size());
  together_->run(
      [&](int64_t batch) {
        const auto i = static_cast<size_t>(batch);
        losses[i] = model_.losses(ctx_, own[i].images, own[i].truth);
        backward(ctx_, losses[i].total, 1.0 / static_cast<double>(micro_batches));
      },
      [&](int64_t batch) { leaves.enter(static_cast<size_t>(batch)); });
  for (size_t i = 0; i < own.size(); ++i) {
    record.end(losses[i]);
    gradients.add(leaves.parameters(i, sgd_.parameters()));
    leaves.forget(i);
  }
}

}  // namespace rcnn
