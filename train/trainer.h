// Training, from data on disk to weights, metrics and a report in the run's folder:
//
//     best.safetensors    for detect and eval: the model that was best on the validation split, or the last
//                         one if there is no validation split
//     last.safetensors    for --resume: model, optimiser and step
//     metrics.jsonl       one line per step (losses, learning rate) and one per evaluation
//     splits/             the training and the validation split, if they were chosen at random
//     detections.json     on the test split, in COCO's results format
//     summary.json        the run's results in figures
//     learning.jsonl, learning.html
//                         with --explain-every: what the network made of one image during the training
//     report.html         the same for people, with advice on what to improve
#pragma once

#include "train/run_options.h"

namespace rcnn {

/// Trains in the mode that the settings name, evaluates and reports. Prints progress on standard output.
/// Throws InputError for unusable data or settings, Error when training cannot continue, Interrupted soon
/// after a signal (train/interrupt.h), with a checkpoint.
void train_detector(const RunOptions& options);

}  // namespace rcnn
