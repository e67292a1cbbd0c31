// Batch normalisation (Ioffe and Szegedy, "Batch Normalization", algorithm 1) with the residual sum and the
// ReLU that follow it in a residual network. Every channel is normalised with the mean and the variance of
// its values over the whole batch:
//
//     y = relu(weight (x - mean) / sqrt(variance + eps) + bias + residual)
//
// In evaluation, and in frozen layers, the running statistics take the place of the mean and the variance:
// `fold_batch_norm` turns them into the scale and the shift of the epilogue of the convolution.
#pragma once

#include "kernels/op.h"

namespace rcnn::kernels {

/// Training. The running statistics move towards those of the batch: running = (1 - momentum) running +
/// momentum batch, with the batch's variance divided by rows - 1 (by 1 if there is one row). Without rows
/// they stay as they are, and the mean is 0.
template <class T>
struct BatchNormArgs {
  int64_t rows = 0, c = 0;         // rows = N H W; C >= 1
  const T* x = nullptr;            // (rows, C)
  const T* weight = nullptr;       // (C)
  const T* bias = nullptr;         // (C)
  const T* residual = nullptr;     // (rows, C), or null
  bool relu = false;               // y = max(0, ...)
  T eps = 0;                       // added to the variance
  T momentum = 0;                  // the batch's share in the new running statistics, e.g. 0.1
  T* running_mean = nullptr;       // (C), read and written, or null: not kept
  T* running_var = nullptr;        // (C), likewise
  T* mean = nullptr;               // (C), written: saved for backward
  T* inverse_deviation = nullptr;  // (C), written: 1 / sqrt(variance + eps), variance divided by rows
  T* y = nullptr;                  // (rows, C)
};

/// Backward, through the mean and the variance too. With g = dy where y > 0, else 0 (dy itself without ReLU),
/// and z = (x - mean) inverse_deviation:
///
///     dweight = sum g z        dbias = sum g        dresidual = g
///     dx = weight inverse_deviation (g - dbias / rows - z dweight / rows)
///
/// No output may overlap another output or an input.
template <class T>
struct BatchNormBackwardArgs {
  int64_t rows = 0, c = 0;
  const T* x = nullptr;                  // (rows, C)
  const T* weight = nullptr;             // (C)
  const T* mean = nullptr;               // (C)
  const T* inverse_deviation = nullptr;  // (C)
  const T* y = nullptr;                  // (rows, C); null unless relu
  const T* dy = nullptr;                 // (rows, C)
  bool relu = false;
  T* dx = nullptr;  // (rows, C), or null: not needed
  Accumulate accumulate = Accumulate::no;
  T* dweight = nullptr;  // (C), or null
  Accumulate accumulate_weight = Accumulate::no;
  T* dbias = nullptr;  // (C), or null
  Accumulate accumulate_bias = Accumulate::no;
  T* dresidual = nullptr;  // (rows, C), or null
  Accumulate accumulate_residual = Accumulate::no;
};

/// What a batch knows of its channels, for batches that are normalised together (PyTorch's SyncBatchNorm): a
/// row of 2 C + 1 numbers, two for each channel and the number of rows of the batch. Both directions have two
/// halves. The first makes a batch's row; the second takes the table of all rows, in the order of the batches
/// in their step, so that its bits do not depend on which process made which row. Batches may have different
/// sizes; each of their values counts the same.
RCNN_HOST_DEVICE inline int64_t batch_norm_row(int64_t c) { return 2 * c + 1; }

/// The first half of the forward pass: the mean of each channel, the sums of the squared distances from it,
/// and the number of rows.
template <class T>
struct BatchNormMomentsArgs {
  int64_t rows = 0, c = 0;
  const T* x = nullptr;       // (rows, C)
  double* moments = nullptr;  // (2 C + 1), written
};

/// The second half: BatchNormArgs, with the moments of all batches in the place of those of x. The running
/// statistics move once, by the variance divided by all rows - 1.
template <class T>
struct SyncBatchNormArgs : BatchNormArgs<T> {
  int64_t batches = 0;
  const double* moments = nullptr;  // (batches, 2 C + 1)
};

/// The first half of backward: sum g, sum g (x - mean), and the number of rows; dresidual = g.
template <class T>
struct BatchNormGradientSumsArgs {
  int64_t rows = 0, c = 0;
  const T* x = nullptr;     // (rows, C)
  const T* mean = nullptr;  // (C)
  const T* y = nullptr;     // (rows, C); null unless relu
  const T* dy = nullptr;    // (rows, C)
  bool relu = false;
  T* dresidual = nullptr;  // (rows, C), or null
  Accumulate accumulate_residual = Accumulate::no;
  double* sums = nullptr;  // (2 C + 1), written
};

/// The second half: BatchNormBackwardArgs without dresidual. dweight and dbias are those of this batch's row;
/// dx has the sums of all batches in the place of this batch's, and the number of all rows.
template <class T>
struct SyncBatchNormBackwardArgs : BatchNormBackwardArgs<T> {
  int64_t batches = 0, own = 0;  // own: this batch's row
  const double* sums = nullptr;  // (batches, 2 C + 1)
};

/// Turns the running statistics into one multiplication and one addition: scale = weight / sqrt(running_var +
/// eps), shift = bias - running_mean scale.
template <class T>
struct FoldBatchNormArgs {
  int64_t c = 0;
  const T* weight = nullptr;  // (C), like all the others
  const T* bias = nullptr;
  const T* running_mean = nullptr;
  const T* running_var = nullptr;
  T eps = 0;
  T* scale = nullptr;
  T* shift = nullptr;
};

template <class T>
void batch_norm_reference(const Stream&, Workspace&, const BatchNormArgs<T>& a);
template <class T>
void batch_norm_backward_reference(const Stream&, Workspace&, const BatchNormBackwardArgs<T>& a);
template <class T>
void batch_norm_moments_reference(const Stream&, Workspace&, const BatchNormMomentsArgs<T>& a);
template <class T>
void sync_batch_norm_reference(const Stream&, Workspace&, const SyncBatchNormArgs<T>& a);
template <class T>
void batch_norm_gradient_sums_reference(const Stream&, Workspace&, const BatchNormGradientSumsArgs<T>& a);
template <class T>
void sync_batch_norm_backward_reference(const Stream&, Workspace&, const SyncBatchNormBackwardArgs<T>& a);
template <class T>
void fold_batch_norm_reference(const Stream&, Workspace&, const FoldBatchNormArgs<T>& a);

Run<BatchNormArgs<float>> batch_norm_folded_rows;
Run<BatchNormBackwardArgs<float>> batch_norm_backward_folded_rows;
Run<BatchNormMomentsArgs<float>> batch_norm_moments_folded_rows;
Run<SyncBatchNormArgs<float>> sync_batch_norm_folded_rows;
Run<BatchNormGradientSumsArgs<float>> batch_norm_gradient_sums_folded_rows;
Run<SyncBatchNormBackwardArgs<float>> sync_batch_norm_backward_folded_rows;

Run<BatchNormArgs<float>> batch_norm_two_level_sums;
Run<BatchNormBackwardArgs<float>> batch_norm_backward_two_level_sums;
Run<BatchNormMomentsArgs<float>> batch_norm_moments_two_level_sums;
Run<SyncBatchNormArgs<float>> sync_batch_norm_two_level_sums;
Run<BatchNormGradientSumsArgs<float>> batch_norm_gradient_sums_two_level_sums;
Run<SyncBatchNormBackwardArgs<float>> sync_batch_norm_backward_two_level_sums;
Run<FoldBatchNormArgs<float>> fold_batch_norm_thread_per_channel;

// clang-format off
inline constexpr RealTechnique<BatchNormArgs, BatchNormBackwardArgs, BatchNormMomentsArgs, SyncBatchNormArgs,
                               BatchNormGradientSumsArgs, SyncBatchNormBackwardArgs> batch_norm_techniques[] = {
    {"two_level_sums", on_cuda, batch_norm_two_level_sums, batch_norm_backward_two_level_sums,
     batch_norm_moments_two_level_sums, sync_batch_norm_two_level_sums,
     batch_norm_gradient_sums_two_level_sums, sync_batch_norm_backward_two_level_sums},
    {"folded_rows", on_cpu, batch_norm_folded_rows, batch_norm_backward_folded_rows,
     batch_norm_moments_folded_rows, sync_batch_norm_folded_rows,
     batch_norm_gradient_sums_folded_rows, sync_batch_norm_backward_folded_rows},
    {"reference", on_cpu, {batch_norm_reference<float>, batch_norm_reference<double>},
     {batch_norm_backward_reference<float>, batch_norm_backward_reference<double>},
     {batch_norm_moments_reference<float>, batch_norm_moments_reference<double>},
     {sync_batch_norm_reference<float>, sync_batch_norm_reference<double>},
     {batch_norm_gradient_sums_reference<float>, batch_norm_gradient_sums_reference<double>},
     {sync_batch_norm_backward_reference<float>, sync_batch_norm_backward_reference<double>}},
};
// clang-format on
inline constexpr Op batch_norm{"batch_norm", "batch_norm", column<0>(batch_norm_techniques)};
inline constexpr Op batch_norm_backward{"batch_norm_backward", "batch_norm",
                                        column<1>(batch_norm_techniques)};
inline constexpr Op batch_norm_moments{"batch_norm_moments", "batch_norm", column<2>(batch_norm_techniques)};
inline constexpr Op sync_batch_norm{"sync_batch_norm", "batch_norm", column<3>(batch_norm_techniques)};
inline constexpr Op batch_norm_gradient_sums{"batch_norm_gradient_sums", "batch_norm",
                                             column<4>(batch_norm_techniques)};
inline constexpr Op sync_batch_norm_backward{"sync_batch_norm_backward", "batch_norm",
                                             column<5>(batch_norm_techniques)};

// clang-format off
inline constexpr RealTechnique<FoldBatchNormArgs> fold_batch_norm_techniques[] = {
    {"thread_per_channel", on_cuda, fold_batch_norm_thread_per_channel},
    {"reference", on_cpu, {fold_batch_norm_reference<float>, fold_batch_norm_reference<double>}},
};
// clang-format on
inline constexpr Op fold_batch_norm{"fold_batch_norm", "fold_batch_norm",
                                    column<0>(fold_batch_norm_techniques)};

}  // namespace rcnn::kernels
