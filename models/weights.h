// A model's state as named tensors, in the layout that other programs use.
//
// In memory filters are (K, R, S, C); in files they are torchvision's (K, C, R, S), and the first fully
// connected layer behind pooling reads (C, PH, PW) there instead of (PH, PW, C). Every file goes through
// these functions.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/tensor.h"
#include "models/faster_rcnn.h"

namespace rcnn {

/// A parameter's tensor in the files' layout, and back. `pooled` is that of ParamVisitor::parameter. The
/// results are copies; the shape of the second is `shape`.
Tensor to_file_layout(const Tensor& tensor, const Shape& pooled);
Tensor from_file_layout(const Tensor& tensor, const Shape& shape, const Shape& pooled);
/// The shape in a file of a parameter that has this shape in memory.
Shape file_shape(const Shape& shape);

/// The model's parameters and buffers in the files' layout, in the model's order.
std::vector<std::pair<std::string, Tensor>> save_weights(FasterRcnn& model);

/// The same as torchvision has it: where batch normalisation is folded into the convolutions, it is written
/// as one that does nothing but add the convolution's bias.
std::vector<std::pair<std::string, Tensor>> export_weights(FasterRcnn& model);

/// torchvision's names of the normalisation behind a convolution: bn2 for conv2, downsample.1 for
/// downsample.0.
struct NormNames {
  std::string weight, bias, mean, variance;
  explicit NormNames(std::string conv);
};
/// Whether a tensor is the filters of a convolution that a normalisation may follow: of the backbone's body,
/// or of layer4 as the head.
bool may_be_normalised(std::string_view name, const Shape& shape);
/// A normalisation that adds `shift` (C) and changes nothing else.
void add_shifting_norm(std::map<std::string, Tensor>& tensors, const NormNames& names, const Tensor& shift,
                       float eps);

/// Sets every parameter and buffer from `tensors`. Throws InputError, before anything is changed, naming
/// `file` and a tensor that is missing, unexpected or of another shape or type.
void load_weights(FasterRcnn& model, const std::map<std::string, Tensor>& tensors, const std::string& file);

}  // namespace rcnn
