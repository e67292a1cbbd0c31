// The summary of a model: its layers in the order of a forward pass, with their outputs, parameters and cost.
#pragma once

#include <string>
#include <vector>

#include "models/faster_rcnn.h"

namespace rcnn {

/// One call of a layer. A layer that several levels share is called once for each.
struct LayerCall {
  std::string name;        // of the layer's parameters, without ".weight"; empty if it has none
  std::string kind;        // "conv2d", "max_pool", ...
  Shape output;            // of one image; rows of RoIs count as the first dimension
  int64_t parameters = 0;  // weight and bias; 0 from the second call on
  double flop = 0;         // of matrix products; a multiplication and an addition count as two
  int64_t bytes = 0;       // of the output
};

/// 1234567 as "1,234,567".
std::string with_commas(int64_t number);

/// Runs a detection on one synthetic image, height x width pixels of the network's input, already padded, and
/// lists its layers. Use a new model, because layers that need no gradient are not listed.
std::vector<LayerCall> list_layers(FasterRcnn& model, int64_t height, int64_t width);

/// The list as a table of at most 100 columns with totals. Every line ends with a newline.
std::string describe_layers(FasterRcnn& model, const std::vector<LayerCall>& layers);

}  // namespace rcnn
