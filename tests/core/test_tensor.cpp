#include <doctest/doctest.h>

#include "core/tensor.h"

namespace rcnn {

TEST_CASE("views share storage, copies do not, and writing changes the version") {
  const Tensor t = Tensor::of<float>({2, 3}, {0, 1, 2, 3, 4, 5});
  const Tensor row = t.slice(1, 2), flat = t.reshape({-1}), copy = t.clone();
  CHECK(row.shape() == Shape{1, 3});
  CHECK(row.values<float>()[0] == 3);
  const uint64_t before = t.version();
  row.mutable_data<float>()[0] = 7;
  CHECK(t.version() > before);
  CHECK(flat.values<float>()[3] == 7);
  CHECK(copy.values<float>()[3] == 3);
  CHECK(copy.storage().id != t.storage().id);
}

TEST_CASE("reshape infers one size and refuses shapes that do not fit") {
  const Tensor t = Tensor::zeros({2, 3, 4}, DType::f32);
  CHECK(t.reshape({6, -1}).shape() == Shape{6, 4});
  CHECK(Tensor::zeros({0, 4}, DType::f32).reshape({0, 2, 2}).shape() == Shape{0, 2, 2});
  CHECK_THROWS_WITH_AS(t.reshape({5, -1}), doctest::Contains("(2, 3, 4)"), Error);
  CHECK_THROWS_WITH_AS(t.reshape({-1, -1}), doctest::Contains("only one"), Error);
  CHECK_THROWS_AS(t.slice(1, 3), Error);
}

TEST_CASE("elements are accessed in their own type, and cast between types") {
  const Tensor t = Tensor::of<float>({3}, {1.5f, -2, 0});
  CHECK_THROWS_WITH_AS(t.data<int32_t>(), doctest::Contains("f32"), Error);
  CHECK(t.cast(DType::f64).values<double>()[0] == 1.5);
  CHECK(t.cast(DType::i32).values<int32_t>()[1] == -2);
  CHECK_THROWS_AS(t.item<float>(), Error);
  CHECK(Tensor::of<int64_t>({}, {9}).item<int64_t>() == 9);
  CHECK_THROWS_WITH_AS(Tensor().data<float>(), doctest::Contains("undefined"), Error);
}

TEST_CASE("a device that does not exist is named") {
  CHECK_THROWS_WITH_AS(Tensor::zeros({1}, DType::f32).to({DeviceType::cuda, 99}),
                       doctest::Contains("cuda:99"), Error);
  CHECK_THROWS_AS((Tensor::empty({2, -1}, DType::f32)), Error);
}

}  // namespace rcnn
