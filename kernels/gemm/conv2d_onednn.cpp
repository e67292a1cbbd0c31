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
  RecentlyUsed<ForwardKey, ByThreads<dnnl::convolution_forward>> forward;
  RecentlyUsed<Conv2dShape, ByThreads<dnnl::convolution_backward_data>> backward_data;
  RecentlyUsed<Conv2dShape, ByThreads<dnnl::convolution_backward_weights>> backward_weights;

  dnnl::convolution_forward::primitive_desc describe_forward(const ForwardKey& key) const {
    const Descs d(key.shape);
    dnnl::primitive_attr attributes = workspace_attributes();
    dnnl::post_ops post;
    if (key.residual == Residual::in_y) post.append_sum();
    if (key.residual == Residual::other) post.append_binary(dnnl::algorithm::binary_add, d.y);
#if DNNL_VERSION_MAJOR >= 3
    if (key.relu) post.append_eltwise(dnnl::algorithm::eltwise_relu, 0, 0);
#else
    if (key.relu) post.append_eltwise(1, dnnl::algorithm::eltwise_relu, 0, 0);
#endif
    attributes.set_post_ops(post);
    return make_descriptor<dnnl::convolution_forward>(
        engine, attributes, dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, d.x,
        d.any_w, key.bias ? d.bias : memory::desc(), d.y, d.strides, d.dilates, d.pad_left, d.pad_right);
  }

  /// Of a gradient. It needs the descriptor of its forward primitive as a hint.
  template <class Primitive>
  typename Primitive::primitive_desc describe_backward(const Descs& d) const {
    const auto hint = make_descriptor<dnnl::convolution_forward>(
        engine, dnnl::primitive_attr(), dnnl::prop_kind::forward_training,
        dnnl::algorithm::convolution_direct, d.x, d.any_w, memory::desc(), d.y, d.strides, d.dilates,
        d.pad_left, d.pad_right);
    return make_backward_descriptor<Primitive>(engine, workspace_attributes(), hint,
                                               dnnl::algorithm::convolution_direct, d.x, d.any_w, d.y,
                                               d.strides, d.dilates, d.pad_left, d.pad_right);
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
  const ConvolutionCache::ForwardKey key{p, a.bias != nullptr, residual, a.relu};
  const auto describe = [&] { return cache.describe_forward(key); };
  auto& forward = cache.forward.get(key, [&] { return ByThreads<dnnl::convolution_forward>(describe()); });
  const Descs d(p);
  Arguments arguments{
      {DNNL_ARG_SRC, cache.wrap(d.x, a.x)},
      {DNNL_ARG_WEIGHTS, cache.pack(workspace, p, a.w, a.scale, a.weights, forward.all.desc.weights_desc())},
      {DNNL_ARG_DST, cache.wrap(d.y, a.y)},
  };
  if (a.bias) arguments[DNNL_ARG_BIAS] = cache.wrap(d.bias, a.bias);
  if (residual == Residual::other)
    arguments[DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1] = cache.wrap(d.y, a.residual);
  cache.execute(workspace, forward, describe, std::move(arguments));
}

void conv2d_dx_onednn(const Stream&, Workspace& workspace, const Conv2dDxArgs<float>& a) {
  const Conv2dShape& p = a.shape;
  if (p.n == 0) return;
  auto& cache = workspace.cache<ConvolutionCache>();
  const Descs d(p);
  using Primitive = dnnl::convolution_backward_data;
  const auto describe = [&] { return cache.describe_backward<Primitive>(d); };
  auto& backward = cache.backward_data.get(p, [&] { return ByThreads<Primitive>(describe()); });
  const int64_t size = p.n * p.h * p.w * p.c;
  float* dx = a.accumulate == Accumulate::yes ? workspace.take<float>(size) : a.dx;
  const auto packed = cache.pack(workspace, p, a.w, nullptr, a.weights, backward.all.desc.weights_desc());
  cache.execute(workspace, backward, describe,
                {
                    {DNNL_ARG_DIFF_DST, cache.wrap(d.y, a.g)},
                    {DNNL_ARG_WEIGHTS, packed},
                    {DNNL_ARG_DIFF_SRC, cache.wrap(d.x, dx)},
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
  const Descs d(p);
  using Primitive = dnnl::convolution_backward_weights;
  const auto describe = [&] { return cache.describe_backward<Primitive>(d); };
  auto& backward = cache.backward_weights.get(p, [&] { return ByThreads<Primitive>(describe()); });
  const memory::desc chosen = backward.all.desc.diff_weights_desc();
  float* dw = a.accumulate == Accumulate::yes ? workspace.take<float>(size) : a.dw;
  const memory target = cache.wrap(d.plain_w, dw);
  const memory diff = same(chosen, d.plain_w) ? target : cache.scratch(workspace, chosen);
  cache.execute(workspace, backward, describe,
                {
                    {DNNL_ARG_SRC, cache.wrap(d.x, a.x)},
                    {DNNL_ARG_DIFF_DST, cache.wrap(d.y, a.g)},
                    {DNNL_ARG_DIFF_WEIGHTS, diff},
                });
  if (!same(chosen, d.plain_w)) cache.reorder(diff, target);
  if (a.accumulate == Accumulate::yes) add(a.dw, dw, size);
}

}  // namespace rcnn::kernels
