// Convolution by products with packed panels, on every instruction set that this machine has, against the
// reference of conv2d.
#include "kernels/gemm/panel_conv.h"

#include "core/parallel.h"
#include "kernels/gemm/conv2d_cases.h"
#include "tests/kernels/verify.h"

#if !defined(RCNN_STD_THREADS)
#include <omp.h>
#endif

namespace rcnn::kernels {
namespace {

template <size_t index>
const PanelKernels& kernels_of() {
  const auto all = panel_kernels();
  return *all[std::min(index, all.size() - 1)];
}
template <size_t index>
void forward(const Stream&, Workspace& workspace, const Conv2dArgs<float>& a) {
  conv2d_panels(kernels_of<index>(), workspace, a);
}
template <size_t index>
void backward_x(const Stream&, Workspace& workspace, const Conv2dDxArgs<float>& a) {
  conv2d_dx_panels(kernels_of<index>(), workspace, a);
}
// clang-format off
// The instruction sets of this machine, the best one first; on_this_machine leaves out those that it lacks.
constexpr RealTechnique<Conv2dArgs, Conv2dDxArgs> techniques[] = {
    {"panels 0", on_cpu, forward<0>, {backward_x<0>, panels_can_dx}},
    {"panels 1", on_cpu, forward<1>, {backward_x<1>, panels_can_dx}},
    {"panels 2", on_cpu, forward<2>, {backward_x<2>, panels_can_dx}},
    {"reference", on_cpu, {conv2d_reference<float>, conv2d_reference<double>},
     {conv2d_dx_reference<float>, conv2d_dx_reference<double>}},
};
// clang-format on
constexpr Op panels{"panels", "panels", column<0>(techniques)};
constexpr Op panels_dx{"panels_dx", "panels", column<1>(techniques)};

std::vector<Conv2dCase> panel_cases() {
  std::vector<Conv2dCase> cases = conv2d_cases();
  const Conv2dCase more[] = {
      {{2, 9, 13, 16, 32, 1, 1, 1, 0, 1}, true, true, true, true},   // whole panels
      {{1, 5, 31, 37, 41, 1, 1, 1, 0, 1}, true, true, true, true},   // prime channels: a panel filled up
      {{1, 7, 9, 8, 40, 1, 1, 1, 0, 1}, false, true, false, true},   // a narrow last panel
      {{1, 23, 29, 272, 16, 1, 1, 1, 0, 1}, false, true},            // sums that are interrupted and go on
      {{1, 19, 23, 64, 24, 3, 3, 2, 1, 1}, true, true, true, true},  // strided, several taps, several blocks
      {{2, 11, 7, 300, 17, 3, 3, 2, 1, 1}, false, true, true},       // a long sum, few rows per block
      {{1, 1, 1, 1, 1, 1, 1, 1, 0, 1}, true, true, true, true},
      {{1, 40, 37, 24, 5, 1, 1, 1, 2, 1}, true, true},  // padding around filters of one pixel
  };
  cases.insert(cases.end(), std::begin(more), std::end(more));
  return cases;
}

}  // namespace

// verify also fills with small integers, where every instruction set must agree with the reference exactly.
TEST_CASE("panels: every instruction set agrees with the reference") {
  const size_t sets = panel_kernels().size();
  verify(on_this_machine(panels, sets), panel_cases(),
         []<class T>(T, const auto& c, Filler filler) { return prepare_conv2d<T>(c, filler); });
  verify(on_this_machine(panels_dx, sets), panel_cases(),
         []<class T>(T, const auto& c, Filler filler) { return prepare_conv2d_dx<T>(c, filler); });
}

TEST_CASE("panels: a NaN in front of the ReLU stays a NaN, and stays where it is") {
  for (const PanelKernels* kernels : panel_kernels()) {
    CAPTURE(kernels->instruction_set);
    auto p = prepare_conv2d<float>({{1, 6, 6, 16, 19, 1, 1, 1, 0, 1}, true, true, true, true},
                                   Filler(3, Fill::normal));
    constexpr int64_t kAt = (2 * 6 + 3) * 19 + 18;
    p.inputs.back().mutable_data<float>()[kAt] = std::numeric_limits<float>::quiet_NaN();  // the residual
    Workspace workspace;
    conv2d_panels(*kernels, workspace, p.args);
    for (int64_t i = 0; i < p.outputs[0].numel(); ++i) CHECK(std::isnan(p.args.y[i]) == (i == kAt));
  }
}

TEST_CASE("panels: they go before the library for strided filters of several pixels on AVX2") {
  const Context ctx;
  const auto chosen = [&](const Conv2dShape& shape) {
    return std::string_view(choose(ctx, conv2d, {.shape = shape}).name);
  };
  const bool avx2 = std::string_view(panel_kernels()[0]->instruction_set) == "AVX2";
  const std::string_view library = kHasOneDnn ? "onednn" : "panels";
  CHECK(chosen({1, 30, 40, 64, 64, 3, 3, 2, 1, 1}) == (avx2 ? "panels" : library));
  CHECK(chosen({1, 30, 40, 64, 64, 1, 1, 2, 0, 1}) == library);
  CHECK(chosen({1, 30, 40, 64, 64, 1, 1, 1, 0, 1}) == library);
  CHECK(chosen({1, 30, 40, 3, 64, 7, 7, 2, 3, 1}) == library);
}

#if !defined(RCNN_STD_THREADS)
TEST_CASE("panels: one, two and five threads give the same bits") {
  const Conv2dShape shapes[] = {{2, 31, 33, 20, 48, 1, 1, 1, 0, 1}, {1, 33, 31, 300, 24, 3, 3, 2, 1, 1}};
  const int threads = thread_count();
  for (const PanelKernels* kernels : panel_kernels())
    for (const Conv2dShape& shape : shapes) {
      CAPTURE(kernels->instruction_set);
      const auto run_on = [&](int count) {
        omp_set_num_threads(count);
        Workspace workspace;
        const auto p = prepare_conv2d<float>({shape, true, true, true, true}, Filler(5, Fill::normal));
        conv2d_panels(*kernels, workspace, p.args);
        omp_set_num_threads(threads);
        return p.outputs[0];
      };
      const auto one = run_on(1);
      for (const int count : {2, 5}) CHECK(same_bits(run_on(count), one));
    }
}
#endif

}  // namespace rcnn::kernels
