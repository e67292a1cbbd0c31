// Matrix product through oneDNN. The weights of a fully connected layer stay in plain row-major order, which
// was measured to be as fast as a packed copy.
#include <algorithm>

#include "kernels/gemm/matmul.h"
#include "kernels/gemm/onednn.h"

namespace rcnn::kernels {
namespace {

using dnnl::memory;

struct MatmulCache : OneDnn {
  struct Key {
    int64_t m, n, k;
    bool transpose_a, transpose_b, bias, relu, accumulate;
    auto operator<=>(const Key&) const = default;
  };
  RecentlyUsed<Key, ByThreads<dnnl::matmul>> products;
};

memory::desc matrix(int64_t rows, int64_t columns, bool transposed) {
  return memory::desc({rows, columns}, memory::data_type::f32,
                      transposed ? memory::format_tag::ba : memory::format_tag::ab);
}

}  // namespace

void matmul_onednn(const Stream&, Workspace& workspace, const MatmulArgs<float>& x) {
  const bool add = x.accumulate == Accumulate::yes;
  if (x.m == 0 || x.n == 0) return;
  if (x.k == 0) {  // an empty sum
    for (int64_t i = 0; i < x.m * x.n; ++i) {
      const float bias = x.bias ? x.bias[i % x.n] : 0;
      put(x.c[i], x.relu ? std::max(bias, 0.0f) : bias, x.accumulate);
    }
    return;
  }
  auto& cache = workspace.cache<MatmulCache>();
  const auto a = matrix(x.m, x.k, x.transpose_a), b = matrix(x.k, x.n, x.transpose_b),
             c = matrix(x.m, x.n, false);
  const auto bias = matrix(1, x.n, false);
  const MatmulCache::Key key{x.m, x.n, x.k, x.transpose_a, x.transpose_b, x.bias != nullptr, x.relu, add};
  const auto describe = [&] {
    dnnl::primitive_attr attributes = workspace_attributes();
    dnnl::post_ops post;
    if (add) post.append_sum(1.0f);
#if DNNL_VERSION_MAJOR >= 3
    if (x.relu) post.append_eltwise(dnnl::algorithm::eltwise_relu, 0, 0);
#else
    if (x.relu) post.append_eltwise(1, dnnl::algorithm::eltwise_relu, 0, 0);
#endif
    attributes.set_post_ops(post);
    return x.bias ? make_descriptor<dnnl::matmul>(cache.engine, attributes, a, b, bias, c)
                  : make_descriptor<dnnl::matmul>(cache.engine, attributes, a, b, c);
  };
  auto& product = cache.products.get(key, [&] { return ByThreads<dnnl::matmul>(describe()); });
  Arguments arguments{
      {DNNL_ARG_SRC, cache.wrap(a, x.a)},
      {DNNL_ARG_WEIGHTS, cache.wrap(b, x.b)},
      {DNNL_ARG_DST, cache.wrap(c, x.c)},
  };
  if (x.bias) arguments[DNNL_ARG_BIAS] = cache.wrap(bias, x.bias);
  cache.execute(workspace, product, describe, std::move(arguments));
}

}  // namespace rcnn::kernels
