// A model's state as named tensors, in the layout that other programs use.
//
// In memory filters are (K, R, S, C); in files they are (K, C, R, S), as in torchvision. The first fully
// connected layer after RoI pooling reads (PH, PW, C) in memory and (C, PH, PW) in files. Every file is
// written and read with these functions.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/tensor.h"
#include "models/faster_rcnn.h"

namespace rcnn {

/// Convert a parameter's tensor to the layout of files, and back to one of shape `shape`. `pooled` is that
/// of ParamVisitor::parameter. The results are copies.
Tensor to_file_layout(const Tensor& tensor, const Shape& pooled);
Tensor from_file_layout(const Tensor& tensor, const Shape& shape, const Shape& pooled);
/// The shape that a parameter with this shape in memory has in files.
Shape file_shape(const Shape& shape);

/// The model's parameters and buffers in the layout of files, in the model's order.
std::vector<std::pair<std::string, Tensor>> save_weights(FasterRcnn& model);

/// The same as torchvision has it: batch normalisation that is folded into the convolutions is written as
/// one that does nothing but add the convolution's bias.
std::vector<std::pair<std::string, Tensor>> export_weights(FasterRcnn& model);

/// torchvision's names of a convolution's normalisation: bn2 for conv2, downsample.1 for downsample.0.
struct NormNames {
  std::string weight, bias, mean, variance;
  explicit NormNames(std::string conv);
};
/// Whether a tensor holds the filters of a convolution that a normalisation may follow: in the backbone's
/// body, or in layer4 as the head.
bool may_be_normalised(std::string_view name, const Shape& shape);
/// A normalisation that adds `shift` (C) and changes nothing else.
void add_shifting_norm(std::map<std::string, Tensor>& tensors, const NormNames& names, const Tensor& shift,
                       float eps);

/// Throws InputError naming `file` and the first tensor that holds a number that is not finite.
void check_finite(const std::map<std::string, Tensor>& tensors, const std::string& file);

/// Sets every parameter and buffer from `tensors`. If a tensor is missing, unexpected or of another shape or
/// type, throws InputError naming it and `file`, before anything is changed.
void load_weights(FasterRcnn& model, const std::map<std::string, Tensor>& tensors, const std::string& file);

}  // namespace rcnn
