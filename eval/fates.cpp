// The names of the fates of objects, and what changes them.
#include "eval/biography.h"

namespace rcnn {

std::string_view name_of(Fate fate) {
  switch (fate) {
    case Fate::found:
      return "found";
    case Fate::not_counted:
      return "not counted";
    case Fate::dropped:
      return "dropped by the head";
    case Fate::over_detections:
      return "over the number of detections";
    case Fate::over_proposals:
      return "over the number of proposals";
    case Fate::lost_in_rpn_nms:
      return "lost in the RPN's NMS";
    case Fate::left_out:
      return "left out";
    case Fate::below_top_k:
      return "below the top k";
    case Fate::no_box:
      return "no box came close";
    default:
      return name_of(cause_of(fate));
  }
}

std::string_view setting_for(Fate fate) {
  switch (fate) {
    case Fate::found:
    case Fate::not_counted:
      return "";
    case Fate::poorly_placed:
    case Fate::wrong_class:
      return "--epochs";
    case Fate::low_score:
      return "--score";
    case Fate::dropped:
      return "--box-score-thresh";
    case Fate::lost_in_nms:
      return "--box-nms-thresh";
    case Fate::over_detections:
      return "--box-detections-per-img";
    case Fate::over_proposals:
      return "--rpn-post-nms-top-n-test";
    case Fate::lost_in_rpn_nms:
      return "--rpn-nms-thresh";
    case Fate::left_out:
      return "--rpn-min-size";
    case Fate::below_top_k:
      return "--rpn-pre-nms-top-n-test";
    case Fate::no_box:
      return "--anchor-sizes";
  }
  return "";
}

bool is_of_training(Fate fate) {
  const std::string_view setting = setting_for(fate);
  return !setting.empty() && setting != "--score";
}

std::string_view setting_for(const ObjectStory& story) {
  return setting_for(story.below >= 0 ? Fate::low_score : story.fate);
}

bool is_of_training(const ObjectStory& story) {
  return is_of_training(story.below >= 0 ? Fate::low_score : story.fate);
}

MissCause cause_of(Fate fate) {
  switch (fate) {
    case Fate::poorly_placed:
      return MissCause::poorly_placed;
    case Fate::wrong_class:
      return MissCause::wrong_class;
    case Fate::low_score:
    case Fate::dropped:
      return MissCause::low_score;
    case Fate::lost_in_nms:
    case Fate::over_detections:
      return MissCause::lost_in_nms;
    default:
      return MissCause::not_proposed;
  }
}

}  // namespace rcnn
