// The batches of a training step that are normalised together (train --sync-bn).
//
// Each trained batch normalisation is a meeting: every batch of the step comes there with what it knows (the
// moments of its values, in backward the sums of its gradient) and goes on with what all of them know. Who
// runs the batches (train/passes_together.h) decides how they wait for each other.
#pragma once

#include "core/context.h"

namespace rcnn {

class BatchMeeting {
 public:
  BatchMeeting() = default;
  virtual ~BatchMeeting() = default;
  BatchMeeting(const BatchMeeting&) = delete;
  BatchMeeting& operator=(const BatchMeeting&) = delete;

  /// The rows of all batches, (batches, n), given that of the batch that works now, (n); both f64. Row
  /// ctx.micro_batch is its own. Returns when all batches have called it; all make the same sequence of
  /// calls.
  virtual Tensor of_all(Context& ctx, const Tensor& mine) = 0;
  /// Whether the batch that works now moves the running statistics: one of each process does.
  virtual bool moves_statistics() const = 0;
};

/// In a workspace: the meeting of the batches that work in its context.
struct MeetingOfBatches {
  BatchMeeting* meeting = nullptr;
};

/// While it lives, trained batch normalisation in the context uses the statistics of all batches that meet.
class MeetingScope {
 public:
  MeetingScope(Context& ctx, BatchMeeting& meeting) : slot_(ctx.workspace.cache<MeetingOfBatches>()) {
    slot_.meeting = &meeting;
  }
  ~MeetingScope() { slot_.meeting = nullptr; }
  MeetingScope(const MeetingScope&) = delete;
  MeetingScope& operator=(const MeetingScope&) = delete;

 private:
  MeetingOfBatches& slot_;
};

/// Null if each batch is normalised alone.
inline BatchMeeting* meeting_of(Context& ctx) { return ctx.workspace.cache<MeetingOfBatches>().meeting; }

}  // namespace rcnn
