// Convolution through oneDNN.
#include <algorithm>

#include "core/parallel.h"
#include "kernels/gemm/conv2d.h"
#include "kernels/gemm/onednn.h"

namespace rcnn::kernels {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;
using Type = memory::data_type;

/// The sizes as oneDNN takes them: it writes (N, C, H, W) for every layout.
struct Descs {
  explicit Descs(const Conv2dShape& p)
      : x({p.n, p.c, p.h, p.w}, Type::f32, Tag::nhwc),
        y({p.n, p.k, p.oh(), p.ow()}, Type::f32, Tag::nhwc),
        plain_w({p.k, p.c, p.r, p.s}, Type::f32, Tag::ohwi),
        any_w({p.k, p.c, p.r, p.s}, Type::f32, Tag::any),
        bias({p.k}, Type::f32, Tag::a),
        strides{p.stride, p.stride},
        dilates{p.dilation - 1, p.dilation - 1},
        pad_left{p.pad, p.pad},
        // What is read beyond the lower and the right border: exactly enough for the last output.
        pad_right{(p.oh() - 1) * p.stride + p.dilation * (p.r - 1) + 1 - p.h - p.pad,
                  (p.ow() - 1) * p.stride + p.dilation * (p.s - 1) + 1 - p.w - p.pad} {}
  memory::desc x, y, plain_w, any_w, bias;
  memory::dims strides, dilates, pad_left, pad_right;
};

struct Forward {
  dnnl::convolution_forward::primitive_desc desc;
  dnnl::convolution_forward primitive;
};
struct BackwardData {
  dnnl::convolution_backward_data::primitive_desc desc;
  dnnl::convolution_backward_data primitive;
};
struct BackwardWeights {
  dnnl::convolution_backward_weights::primitive_desc desc;
  dnnl::convolution_backward_weights primitive;
};

/// How the residual is added. oneDNN's fastest kernels for filters of one pixel add the former content of y,
/// but no other tensor.
enum class Residual { none, other, in_y };

struct ConvolutionCache : OneDnn {
  struct ForwardKey {
    Conv2dShape shape;
    bool bias;
    Residual residual;
    bool relu;
    auto operator<=>(const ForwardKey&) const = default;
  };
  RecentlyUsed<ForwardKey, Forward> forward;
  RecentlyUsed<Conv2dShape, BackwardData> backward_data;
  RecentlyUsed<Conv2dShape, BackwardWeights> backward_weights;

  const Forward& get_forward(const Conv2dShape& shape, bool bias, Residual residual, bool relu) {
    return forward.get({shape, bias, residual, relu},
                       [&] { return make_forward(shape, bias, residual, relu); });
  }

  Forward make_forward(const Conv2dShape& shape, bool bias, Residual residual, bool relu) const {
    const Descs d(shape);
    dnnl::primitive_attr attributes = workspace_attributes();
    dnnl::post_ops post;
    if (residual == Residual::in_y) post.append_sum();
    if (residual == Residual::other) post.append_binary(dnnl::algorithm::binary_add, d.y);
#if DNNL_VERSION_MAJOR >= 3
    if (relu) post.append_eltwise(dnnl::algorithm::eltwise_relu, 0, 0);
#else
    if (relu) post.append_eltwise(1, dnnl::algorithm::eltwise_relu, 0, 0);
#endif
    attributes.set_post_ops(post);
    const auto desc = make_descriptor<dnnl::convolution_forward>(
        engine, attributes, dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, d.x,
        d.any_w, bias ? d.bias : memory::desc(), d.y, d.strides, d.dilates, d.pad_left, d.pad_right);
    return {desc, dnnl::convolution_forward(desc)};
  }

  /// Backward primitives need the descriptor of their forward primitive as a hint.
  dnnl::convolution_forward::primitive_desc hint(const Descs& d) const {
    return make_descriptor<dnnl::convolution_forward>(
        engine, dnnl::primitive_attr(), dnnl::prop_kind::forward_training,
        dnnl::algorithm::convolution_direct, d.x, d.any_w, memory::desc(), d.y, d.strides, d.dilates,
        d.pad_left, d.pad_right);
  }

  const BackwardData& get_backward_data(const Conv2dShape& shape) {
    return backward_data.get(shape, [&]() -> BackwardData {
      const Descs d(shape);
      const auto desc = make_backward_descriptor<dnnl::convolution_backward_data>(
          engine, workspace_attributes(), hint(d), dnnl::algorithm::convolution_direct, d.x, d.any_w, d.y,
          d.strides, d.dilates, d.pad_left, d.pad_right);
      return {desc, dnnl::convolution_backward_data(desc)};
    });
  }

  const BackwardWeights& get_backward_weights(const Conv2dShape& shape) {
    return backward_weights.get(shape, [&]() -> BackwardWeights {
      const Descs d(shape);
      const auto desc = make_backward_descriptor<dnnl::convolution_backward_weights>(
          engine, workspace_attributes(), hint(d), dnnl::algorithm::convolution_direct, d.x, d.any_w, d.y,
          d.strides, d.dilates, d.pad_left, d.pad_right);
      return {desc, dnnl::convolution_backward_weights(desc)};
    });
  }

  /// `w`, multiplied by `scale` for each output channel (unless null), in the layout `wanted`: packed now, or
  /// the copy kept from the last call with weights of this key.
  memory pack(Workspace& workspace, const Conv2dShape& p, const float* w, const float* scale,
              const WeightsKey& key, const memory::desc& wanted) {
    const memory::desc plain = Descs(p).plain_w;
    if (!scale && same(wanted, plain)) return wrap(plain, w);
    Packed unkept{wanted, {}, {}};
    Packed& slot = key.id != 0 ? packed_slot(key, wanted) : unkept;
    if (key.id != 0 && slot.key == key) return slot.memory;
    if (!slot.memory) slot.memory = memory(wanted, engine);
    slot.key = key;
    if (scale) {
      const int64_t size = p.r * p.s * p.c;
      float* scaled = workspace.take<float>(p.k * size);
      for (int64_t k = 0; k < p.k; ++k)
        for (int64_t i = 0; i < size; ++i) scaled[k * size + i] = w[k * size + i] * scale[k];
      w = scaled;
    }
    reorder(wrap(plain, w), slot.memory);
    return slot.memory;
  }
};

void add(float* target, const float* values, int64_t size) {
  parallel_for(size, 1 << 15, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) target[i] += values[i];
  });
}

}  // namespace

void conv2d_onednn(const Stream&, Workspace& workspace, const Conv2dArgs<float>& a) {
  const Conv2dShape& p = a.shape;
  if (p.n == 0) return;
  auto& cache = workspace.cache<ConvolutionCache>();
  const Residual residual = !a.residual         ? Residual::none
                            : a.residual == a.y ? Residual::in_y
                                                : Residual::other;
  const Forward& f = cache.get_forward(p, a.bias != nullptr, residual, a.relu);
  const Descs d(p);
  std::unordered_map<int, memory> arguments{
      {DNNL_ARG_SRC, cache.wrap(d.x, a.x)},
      {DNNL_ARG_WEIGHTS, cache.pack(workspace, p, a.w, a.scale, a.weights, f.desc.weights_desc())},
      {DNNL_ARG_DST, cache.wrap(d.y, a.y)},
      {DNNL_ARG_SCRATCHPAD, cache.scratch(workspace, f.desc.scratchpad_desc())},
  };
  if (a.bias) arguments[DNNL_ARG_BIAS] = cache.wrap(d.bias, a.bias);
  if (residual == Residual::other)
    arguments[DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1] = cache.wrap(d.y, a.residual);
  f.primitive.execute(cache.stream, arguments);
}

void conv2d_dx_onednn(const Stream&, Workspace& workspace, const Conv2dDxArgs<float>& a) {
  const Conv2dShape& p = a.shape;
  if (p.n == 0) return;
  auto& cache = workspace.cache<ConvolutionCache>();
  const BackwardData& b = cache.get_backward_data(p);
  const Descs d(p);
  const int64_t size = p.n * p.h * p.w * p.c;
  float* dx = a.accumulate == Accumulate::yes ? workspace.take<float>(size) : a.dx;
  b.primitive.execute(
      cache.stream,
      {
          {DNNL_ARG_DIFF_DST, cache.wrap(d.y, a.g)},
          {DNNL_ARG_WEIGHTS, cache.pack(workspace, p, a.w, nullptr, a.weights, b.desc.weights_desc())},
          {DNNL_ARG_DIFF_SRC, cache.wrap(d.x, dx)},
          {DNNL_ARG_SCRATCHPAD, cache.scratch(workspace, b.desc.scratchpad_desc())},
      });
  if (a.accumulate == Accumulate::yes) add(a.dx, dx, size);
}

void conv2d_dw_onednn(const Stream&, Workspace& workspace, const Conv2dDwArgs<float>& a) {
  const Conv2dShape& p = a.shape;
  const int64_t size = p.k * p.r * p.s * p.c;
  if (p.n == 0) {
    if (a.accumulate == Accumulate::no) std::fill(a.dw, a.dw + size, 0.0f);
    return;
  }
  auto& cache = workspace.cache<ConvolutionCache>();
  const BackwardWeights& b = cache.get_backward_weights(p);
  const Descs d(p);
  const memory::desc chosen = b.desc.diff_weights_desc();
  float* dw = a.accumulate == Accumulate::yes ? workspace.take<float>(size) : a.dw;
  const memory target = cache.wrap(d.plain_w, dw);
  const memory diff = same(chosen, d.plain_w) ? target : cache.scratch(workspace, chosen);
  b.primitive.execute(cache.stream,
                      {
                          {DNNL_ARG_SRC, cache.wrap(d.x, a.x)},
                          {DNNL_ARG_DIFF_DST, cache.wrap(d.y, a.g)},
                          {DNNL_ARG_DIFF_WEIGHTS, diff},
                          {DNNL_ARG_SCRATCHPAD, cache.scratch(workspace, b.desc.scratchpad_desc())},
                      });
  if (!same(chosen, d.plain_w)) cache.reorder(diff, target);
  if (a.accumulate == Accumulate::yes) add(a.dw, dw, size);
}

}  // namespace rcnn::kernels
