// The inputs of the ops' cases.
#include "kernels/cases_device.h"

#include <doctest/doctest.h>

#include <set>

namespace rcnn::kernels {
namespace {

TEST_CASE("uniform numbers have mean 0 and deviation 1, and few of them are equal") {
  double sum = 0, squares = 0, furthest = 0;
  std::set<float> distinct;
  constexpr int kCount = 1 << 16;
  for (uint32_t i = 0; i < kCount; ++i) {
    const auto value = static_cast<double>(uniform_number(12345, i));
    sum += value, squares += value * value, furthest = std::max(furthest, std::fabs(value));
    distinct.insert(uniform_number(12345, i));
  }
  CHECK(std::fabs(sum / kCount) < 0.02);
  CHECK(std::fabs(squares / kCount - 1) < 0.02);
  CHECK(furthest <= 1.7320508);
  CHECK(distinct.size() > kCount - 300);  // 2^24 values: about 128 pairs are equal
  CHECK(uniform_number(0, 0) == 0);
  CHECK(uniform_number(1, 2) == 0x1.22cb3cp+0f);  // on every machine
}

struct Args {
  const float *plain, *changed;
  const int32_t* whole;
  float *output, *written;
};

TEST_CASE("on_device makes uniform numbers and poison on the device, and copies what changed") {
  if (cuda::device_count() == 0) return;
  const Device device{DeviceType::cuda, 0};
  UniformTensors noted;
  Filler fill(3, Fill::uniform, Accumulate::no, &noted);
  Prepared<Args> host;
  const Shape shape{70, 1000};  // more than one grain and more than one grid
  host.args.plain = fill.numbers<float>(host.inputs, shape).data<float>();
  const Tensor changed = fill.numbers<float>(host.inputs, shape);
  changed.mutable_data<float>()[69'999] = 42;
  host.args.changed = changed.data<float>();
  host.args.whole = fill.integers(host.inputs, {5}, 1, 9).data<int32_t>();
  host.args.output = fill.result<float>(host, {300});
  const Tensor written = fill.poisoned<float>(host.outputs, {300});
  written.mutable_data<float>()[299] = 7;
  host.args.written = written.mutable_data<float>();
  CHECK(noted.size() == 2);

  const Prepared<Args> moved = on_device(host, device, noted);
  CHECK(moved.args.plain == moved.inputs[0].data<float>());
  CHECK(moved.args.written == moved.outputs[1].data<float>());
  const auto same = [&](const Tensor& a, const Tensor& b) {
    const Tensor back = b.to(Device{});
    return a.bytes() == back.bytes() && std::memcmp(a.raw(), back.raw(), a.bytes()) == 0;
  };
  for (size_t i = 0; i < 3; ++i) CHECK(same(host.inputs[i], moved.inputs[i]));
  for (size_t i = 0; i < 2; ++i) CHECK(same(host.outputs[i], moved.outputs[i]));
  // What is noted is not copied: the host's contents do not matter, as long as its version is the same.
  const_cast<float*>(host.args.plain)[0] = 9;
  CHECK(!same(host.inputs[0], on_device(host, device, noted).inputs[0]));
}

}  // namespace
}  // namespace rcnn::kernels
