#include "bench/plan_file.h"
#include "kernels/gemm/plan_names.h"
#include "tests/fuzz/targets.h"

using namespace rcnn;

namespace {

/// A shape that is read is that of a call: its text is the same, and no size of it is negative.
void check_shape(const std::string& text) {
  kernels::Conv2dShape shape;
  if (kernels::read_plan_shape(text, shape))
    check(kernels::plan_shape(shape) == text && shape.oh() > 0 && shape.ow() > 0 && shape.flop() >= 0,
          "the shape of a convolution was read as another one");
  kernels::MatmulArgs<float> product;
  if (kernels::read_plan_shape(text, product))
    check(kernels::plan_shape(product) == text && product.m >= 0 && product.n >= 0 && product.k >= 0,
          "the shape of a product was read as another one");
}

}  // namespace

void rcnn::fuzz::plans(const std::filesystem::path& file) {
  const std::vector<PlanEntry> entries = read_plan_file(file);
  for (const PlanEntry& entry : entries) {
    check(entry.place.threads >= 0 && !entry.times.empty(), "an entry has no times or no place");
    check_shape(entry.call.shape);
  }
  // What is written is read back: one entry for the same calls at the same place.
  const std::string text = plan_file_text(entries);
  const MemoryFile written(std::as_bytes(std::span(text)));
  const std::vector<PlanEntry> again = read_plan_file(written.path());
  check(again.size() + replaced_entries(entries).size() == entries.size(), "entries were lost");
  check(replaced_entries(again).empty(), "two entries for the same calls were written");
  check(plan_file_text(again) == text, "what was written is read as something else");
}
