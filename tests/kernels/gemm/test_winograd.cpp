// Winograd's convolution: the transforms against plain loops, and both tile sizes on every instruction set
// that this machine has against the reference of conv2d.
#include "kernels/gemm/winograd.h"

#include <array>

#include "core/parallel.h"
#include "kernels/gemm/conv2d_cases.h"
#include "kernels/gemm/winograd_math.h"
#include "tests/kernels/verify.h"

#if !defined(RCNN_STD_THREADS)
#include <omp.h>
#endif

namespace rcnn::kernels {
namespace {

/// One tile of one channel, in double: the transforms, the elementwise product and the way back, and direct
/// convolution.
template <class F>
void check_transforms() {
  RandomSequence random(1, Purpose::test, F::kTile);
  double d[F::kPatch][F::kPatch], g[3][3];
  for (auto& row : d)
    for (double& value : row) value = static_cast<double>(random.normal());
  for (auto& row : g)
    for (double& value : row) value = static_cast<double>(random.normal());
  double v[F::kPatch][F::kPatch], u[F::kPatch][F::kPatch], y[F::kTile][F::kTile];
  transform_input<F>(d, v);
  transform_filter<F>(g, u);
  for (int i = 0; i < F::kPatch; ++i)
    for (int j = 0; j < F::kPatch; ++j) v[i][j] *= u[i][j];
  transform_output<F>(v, y);
  for (int i = 0; i < F::kTile; ++i)
    for (int j = 0; j < F::kTile; ++j) {
      double expected = 0;
      for (int r = 0; r < 3; ++r)
        for (int s = 0; s < 3; ++s) expected += d[i + r][j + s] * g[r][s];
      CHECK(y[i][j] / (F::kDivisor * F::kDivisor) == doctest::Approx(expected).epsilon(1e-13));
    }
}

/// A one-dimensional transform is the product with the matrix that the header gives.
template <int kIn, int kOut, class Transform>
void check_matrix(const double (&matrix)[kOut][kIn], Transform transform) {
  for (int j = 0; j < kIn; ++j) {
    double in[kIn] = {}, out[kOut];
    in[j] = 1;
    transform(in, out);
    for (int i = 0; i < kOut; ++i) CHECK(out[i] == matrix[i][j]);
  }
}

template <class F>
const WinogradKernels& kernels_of(size_t index) {
  const auto all = winograd_kernels(F::kTile);
  return *all[std::min(index, all.size() - 1)];
}
template <class F, size_t index>
void forward(const Stream&, Workspace& workspace, const Conv2dArgs<float>& a) {
  conv2d_winograd(kernels_of<F>(index), workspace, a);
}
template <class F, size_t index>
void backward_x(const Stream&, Workspace& workspace, const Conv2dDxArgs<float>& a) {
  conv2d_dx_winograd(kernels_of<F>(index), workspace, a);
}
template <class F, size_t index>
void backward_w(const Stream&, Workspace& workspace, const Conv2dDwArgs<float>& a) {
  conv2d_dw_winograd(kernels_of<F>(index), workspace, a);
}
// clang-format off
// The instruction sets of this machine, the best one first; on_this_machine leaves out those that it lacks.
constexpr RealTechnique<Conv2dArgs, Conv2dDxArgs, Conv2dDwArgs> techniques[] = {
    {"f4 0", on_cpu, {forward<WinogradF4, 0>, winograd_can},
     {backward_x<WinogradF4, 0>, winograd_can}, {backward_w<WinogradF4, 0>, winograd_can}},
    {"f4 1", on_cpu, {forward<WinogradF4, 1>, winograd_can},
     {backward_x<WinogradF4, 1>, winograd_can}, {backward_w<WinogradF4, 1>, winograd_can}},
    {"f4 2", on_cpu, {forward<WinogradF4, 2>, winograd_can},
     {backward_x<WinogradF4, 2>, winograd_can}, {backward_w<WinogradF4, 2>, winograd_can}},
    {"f2 0", on_cpu, {forward<WinogradF2, 0>, winograd_can},
     {backward_x<WinogradF2, 0>, winograd_can}, {backward_w<WinogradF2, 0>, winograd_can}},
    {"f2 1", on_cpu, {forward<WinogradF2, 1>, winograd_can},
     {backward_x<WinogradF2, 1>, winograd_can}, {backward_w<WinogradF2, 1>, winograd_can}},
    {"f2 2", on_cpu, {forward<WinogradF2, 2>, winograd_can},
     {backward_x<WinogradF2, 2>, winograd_can}, {backward_w<WinogradF2, 2>, winograd_can}},
    {"reference", on_cpu, {conv2d_reference<float>, conv2d_reference<double>},
     {conv2d_dx_reference<float>, conv2d_dx_reference<double>},
     {conv2d_dw_reference<float>, conv2d_dw_reference<double>}},
};
// clang-format on
constexpr Op winograd{"winograd", "winograd", column<0>(techniques)};
constexpr Op winograd_dx{"winograd_dx", "winograd", column<1>(techniques)};
constexpr Op winograd_dw{"winograd_dw", "winograd", column<2>(techniques)};

std::vector<Conv2dCase> winograd_cases() {
  std::vector<Conv2dCase> cases = conv2d_cases();
  const Conv2dCase more[] = {
      {{1, 8, 8, 16, 16, 3, 3, 1, 1, 1}},                            // whole tiles
      {{2, 9, 6, 16, 32, 3, 3, 1, 0, 1}, true, true, true, true},    // no padding; the whole epilogue
      {{1, 7, 11, 32, 16, 3, 3, 1, 1, 1}, true, true, true, true},   // odd sizes
      {{3, 5, 6, 48, 16, 3, 3, 1, 2, 1}, true, true, true, true},    // padded by 2; a narrow last panel
      {{1, 3, 3, 16, 16, 3, 3, 1, 0, 1}, false, true},               // one output
      {{2, 1, 1, 16, 16, 3, 3, 1, 1, 1}, true, false, true},         // a pixel
      {{1, 1, 9, 16, 48, 3, 3, 1, 1, 1}, false, true, false, true},  // a line
      {{1, 2, 3, 32, 32, 3, 3, 1, 2, 1}, false, false, true},        // smaller than a tile
      {{0, 6, 6, 16, 16, 3, 3, 1, 1, 1}, true, true},                // no image
      {{1, 5, 7, 272, 16, 3, 3, 1, 1, 1}, false, true},              // sums that are interrupted and go on
      {{1, 45, 43, 16, 16, 3, 3, 1, 1, 1}, false, true},             // several blocks, one thread each
      {{2, 12, 11, 48, 16, 3, 3, 1, 2, 1}},                          // long sums of dw, padded by 2
      {{1, 6, 6, 352, 352, 3, 3, 1, 1, 1}},                          // large filters: threads share a block
  };
  cases.insert(cases.end(), std::begin(more), std::end(more));
  return cases;
}

}  // namespace

TEST_CASE("winograd: transformed, multiplied and transformed back, a tile equals direct convolution") {
  check_transforms<WinogradF2>();
  check_transforms<WinogradF4>();
}

TEST_CASE("winograd: the transforms are products with their matrices") {
  check_matrix<4, 4>({{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, -1, 0, 1}},
                     [](const auto& in, auto& out) { WinogradF2::input(in, out); });
  check_matrix<3, 4>({{2, 0, 0}, {1, 1, 1}, {1, -1, 1}, {0, 0, 2}},
                     [](const auto& in, auto& out) { WinogradF2::filter(in, out); });
  check_matrix<4, 2>({{1, 1, 1, 0}, {0, 1, -1, 1}},
                     [](const auto& in, auto& out) { WinogradF2::output(in, out); });
  check_matrix<2, 4>({{1, 0}, {1, 1}, {1, -1}, {0, 1}},
                     [](const auto& in, auto& out) { WinogradF2::output_gradient(in, out); });
  check_matrix<4, 3>({{2, 1, 1, 0}, {0, 1, -1, 0}, {0, 1, 1, 2}},
                     [](const auto& in, auto& out) { WinogradF2::filter_gradient(in, out); });
  check_matrix<6, 6>({{4, 0, -5, 0, 1, 0},
                      {0, -4, -4, 1, 1, 0},
                      {0, 4, -4, -1, 1, 0},
                      {0, -2, -1, 2, 1, 0},
                      {0, 2, -1, -2, 1, 0},
                      {0, 4, 0, -5, 0, 1}},
                     [](const auto& in, auto& out) { WinogradF4::input(in, out); });
  check_matrix<3, 6>({{6, 0, 0}, {-4, -4, -4}, {-4, 4, -4}, {1, 2, 4}, {1, -2, 4}, {0, 0, 24}},
                     [](const auto& in, auto& out) { WinogradF4::filter(in, out); });
  check_matrix<6, 4>({{1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 1}},
                     [](const auto& in, auto& out) { WinogradF4::output(in, out); });
  check_matrix<4, 6>({{1, 0, 0, 0}, {1, 1, 1, 1}, {1, -1, 1, -1}, {1, 2, 4, 8}, {1, -2, 4, -8}, {0, 0, 0, 1}},
                     [](const auto& in, auto& out) { WinogradF4::output_gradient(in, out); });
  check_matrix<6, 3>({{6, -4, -4, 1, 1, 0}, {0, -4, 4, 2, -2, 0}, {0, -4, -4, 4, 4, 24}},
                     [](const auto& in, auto& out) { WinogradF4::filter_gradient(in, out); });
}

// verify also fills with small integers, where every instruction set must agree with the reference exactly.
TEST_CASE("winograd: both tile sizes on every instruction set agree with the reference") {
  const size_t sets = winograd_kernels(WinogradF4::kTile).size();
  REQUIRE(winograd_kernels(WinogradF2::kTile).size() == sets);
  verify(on_this_machine(winograd, sets), winograd_cases(),
         []<class T>(T, const auto& c, Filler filler) { return prepare_conv2d<T>(c, filler); });
  verify(on_this_machine(winograd_dx, sets), winograd_cases(),
         []<class T>(T, const auto& c, Filler filler) { return prepare_conv2d_dx<T>(c, filler); });
  std::vector<Conv2dCase> dw_cases = winograd_cases();
  dw_cases.push_back({{1, 66, 70, 16, 16, 3, 3, 1, 1, 1}});    // several lanes
  dw_cases.push_back({{1, 46, 46, 16, 896, 3, 3, 1, 1, 1}});   // with several blocks each
  dw_cases.push_back({{1, 46, 46, 16, 1296, 3, 3, 1, 1, 1}});  // blocks that threads share
  verify(on_this_machine(winograd_dw, sets), dw_cases,
         []<class T>(T, const auto& c, Filler filler) { return prepare_conv2d_dw<T>(c, filler); });
}

namespace {

/// The largest error of some thousands of outputs against double, divided by the largest output.
template <class Run>
double error_of(const Conv2dShape& s, Run run) {
  Workspace workspace;
  const auto p = prepare_conv2d<float>({s}, Filler(1, Fill::normal));
  run(workspace, p.args);
  RandomSequence random(2, Purpose::test, 1);
  double error = 0, largest = 0;
  for (int sample = 0; sample < 20000; ++sample) {
    const auto below = [&](int64_t size) { return int64_t{random.below(static_cast<uint32_t>(size))}; };
    const int64_t n = below(s.n), i = below(s.oh()), j = below(s.ow()), k = below(s.k);
    double sum = 0;
    for (int64_t tap = 0; tap < 9; ++tap) {
      const int64_t row = i + tap / 3 - s.pad, column = j + tap % 3 - s.pad;
      if (row < 0 || row >= s.h || column < 0 || column >= s.w) continue;
      const float* x = p.args.x + ((n * s.h + row) * s.w + column) * s.c;
      const float* w = p.args.w + (k * 9 + tap) * s.c;
      for (int64_t c = 0; c < s.c; ++c) sum += static_cast<double>(x[c]) * static_cast<double>(w[c]);
    }
    const double y = static_cast<double>(p.args.y[((n * s.oh() + i) * s.ow() + j) * s.k + k]);
    largest = std::max(largest, std::fabs(sum));
    error = std::max(error, std::fabs(y - sum));
  }
  return error / largest;
}
template <class F>
double error_of(const Conv2dShape& s) {
  return error_of(s, [](Workspace& workspace, const Conv2dArgs<float>& args) {
    conv2d_winograd(kernels_of<F>(0), workspace, args);
  });
}

}  // namespace

// About three times what is measured on these shapes: see docs/winograd.md.
TEST_CASE("winograd: the error against double is small") {
  CHECK(error_of<WinogradF4>({1, 12, 12, 64, 64, 3, 3, 1, 1, 1}) < 2e-5);
  CHECK(error_of<WinogradF4>({1, 12, 12, 512, 64, 3, 3, 1, 1, 1}) < 5e-5);
  CHECK(error_of<WinogradF2>({1, 12, 12, 64, 64, 3, 3, 1, 1, 1}) < 1e-6);
  CHECK(error_of<WinogradF2>({1, 12, 12, 512, 64, 3, 3, 1, 1, 1}) < 3e-6);
}

TEST_CASE("winograd: the errors of the models' convolutions" * doctest::skip()) {
  fmt::print("| N x H x W, C -> K | F(4 x 4) | F(2 x 2) | direct: {} |\n| --- | --- | --- | --- |\n",
             kHasOneDnn ? "oneDNN" : "reference");
  for (const Conv2dCase& c : conv2d_gradient_bench_cases()) {
    const Conv2dShape& s = c.shape;
    if (!winograd_can(Conv2dArgs<float>{.shape = s})) continue;
    const double direct = error_of(s, [](Workspace& workspace, const Conv2dArgs<float>& args) {
#if defined(RCNN_ONEDNN)
      conv2d_onednn({}, workspace, args);
#else
      conv2d_reference<float>({}, workspace, args);
#endif
    });
    fmt::print("| {} x {} x {}, {} -> {} | {:.1e} | {:.1e} | {:.1e} |\n", s.n, s.h, s.w, s.c, s.k,
               error_of<WinogradF4>(s), error_of<WinogradF2>(s), direct);
  }
}

TEST_CASE("winograd: a NaN in front of the ReLU stays a NaN, and stays where it is") {
  for (const WinogradKernels* kernels : winograd_kernels(4)) {
    CAPTURE(kernels->instruction_set);
    auto p = prepare_conv2d<float>({{1, 6, 6, 16, 16, 3, 3, 1, 1, 1}, true, true, true, true},
                                   Filler(3, Fill::normal));
    constexpr int64_t kAt = (2 * 6 + 3) * 16 + 5;
    p.inputs.back().mutable_data<float>()[kAt] = std::numeric_limits<float>::quiet_NaN();  // the residual
    Workspace workspace;
    conv2d_winograd(*kernels, workspace, p.args);
    for (int64_t i = 0; i < p.outputs[0].numel(); ++i) CHECK(std::isnan(p.args.y[i]) == (i == kAt));
  }
}

TEST_CASE("winograd: tiles of 4 x 4 go before the library where there is work enough, whatever the batch") {
  const Context ctx;
  const auto chosen = [&](const Op<Conv2dArgs<float>, Conv2dArgs<double>>& op, const Conv2dShape& shape) {
    return std::string_view(choose(ctx, op, {.shape = shape}).name);
  };
  const std::string_view otherwise = kHasOneDnn ? "onednn" : "winograd_f4";
  for (const int64_t n : {1, 8}) {
    CHECK(chosen(conv2d, {n, 30, 40, 64, 64, 3, 3, 1, 1, 1}) == "winograd_f4");
    CHECK(chosen(conv2d, {n, 7, 7, 64, 64, 3, 3, 1, 1, 1}) == otherwise);      // few tiles
    CHECK(chosen(conv2d, {n, 200, 336, 16, 16, 3, 3, 1, 1, 1}) == otherwise);  // few channels
  }

  const std::vector<float> g(60 * 80 * 64, 1.0F);  // has_few_rows reads it
  CHECK(std::string_view(
            choose(ctx, conv2d_dw, {{1, 60, 80, 64, 64, 3, 3, 1, 1, 1}, nullptr, g.data()}).name) ==
        "winograd_f4");
  CHECK(std::string_view(
            choose(ctx, conv2d_dw, {{1, 30, 40, 64, 64, 3, 3, 1, 1, 1}, nullptr, g.data()}).name) ==
        "winograd_f4");
  CHECK(std::string_view(
            choose(ctx, conv2d_dw, {{1, 15, 20, 64, 64, 3, 3, 1, 1, 1}, nullptr, g.data()}).name) ==
        (std::string_view(winograd_kernels(4)[0]->instruction_set) == "AVX-512" ? otherwise : "winograd_f4"));
}

TEST_CASE("winograd: transformed filters are kept until the weights change") {
  const WinogradKernels& kernels = *winograd_kernels(4)[0];
  Workspace workspace;
  auto p = prepare_conv2d<float>({{1, 4, 4, 16, 16, 3, 3, 1, 1, 1}}, Filler(3, Fill::normal));
  const auto result = [&](WeightsKey key) {
    p.args.weights = key;
    const Workspace::Scope scope(workspace);
    conv2d_winograd(kernels, workspace, p.args);
    const auto y = p.outputs[0].values<float>();
    return std::vector<float>(y.begin(), y.end());
  };
  const auto before = result({.id = 7, .version = 1});
  std::fill_n(p.inputs[1].mutable_data<float>(), p.inputs[1].numel(), 0.5F);
  CHECK(result({.id = 7, .version = 1}) == before);  // nothing says that the weights have changed
  const auto after = result({.id = 7, .version = 2});
  CHECK(after != before);
  CHECK(result({}) == after);  // weights without a name are transformed every time
  CHECK(result({.id = 8, .version = 1}) == after);
}

#if !defined(RCNN_STD_THREADS)
TEST_CASE("winograd: one, two and five threads give the same bits") {
  // Small, with blocks that threads share; large, with one thread per block; filters too large for a cache.
  const Conv2dShape shapes[] = {{2, 9, 13, 32, 48, 3, 3, 1, 1, 1},
                                {1, 90, 87, 16, 32, 3, 3, 1, 1, 1},
                                {1, 9, 9, 352, 352, 3, 3, 1, 1, 1}};
  const int threads = thread_count();
  for (const int tile : {2, 4})
    for (const WinogradKernels* kernels : winograd_kernels(tile))
      for (const Conv2dShape& shape : shapes) {
        CAPTURE(kernels->instruction_set);
        CAPTURE(tile);
        const auto run_on = [&](int count) {
          omp_set_num_threads(count);
          Workspace workspace;
          const auto forward =
              prepare_conv2d<float>({shape, true, true, true, true}, Filler(5, Fill::normal));
          const auto dx = prepare_conv2d_dx<float>({shape}, Filler(6, Fill::normal, Accumulate::yes));
          const auto dw = prepare_conv2d_dw<float>({shape}, Filler(7, Fill::normal, Accumulate::yes));
          conv2d_winograd(*kernels, workspace, forward.args);
          conv2d_dx_winograd(*kernels, workspace, dx.args);
          conv2d_dw_winograd(*kernels, workspace, dw.args);
          omp_set_num_threads(threads);
          return std::array{forward.outputs[0], dx.outputs[0], dw.outputs[0]};
        };
        const auto one = run_on(1);
        for (const int count : {2, 5}) {
          const auto more = run_on(count);
          for (size_t o = 0; o < one.size(); ++o) CHECK(same_bits(more[o], one[o]));
        }
      }
}
#endif

}  // namespace rcnn::kernels
