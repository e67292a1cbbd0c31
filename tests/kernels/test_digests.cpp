// Golden digests. The f32 kernels of this project round alike in the simulation and on a card: no
// contraction, no atomic additions of floats, sums in a fixed order. So their outputs have known bits, and
// tests/kernels/digests.txt holds a digest of them for every case. A card is compared with it in seconds, and
// in the simulation a change that alters bits is noticed.
//
// A change that is meant to alter bits rewrites the file, in the simulation:
//
//     RCNN_DIGESTS=write build/release-sim/rcnn_kernel_tests -tc='digests*'
//
// A digest cannot tell which element differs, so the element that is furthest from the reference is named.
// With RCNN_DIGEST_VALUES=FILE a card writes its outputs that differ to FILE (safetensors), and in the
// simulation
//
//     RCNN_DIGEST_VALUES=FILE build/release-sim/rcnn_kernel_tests -tc='digests*'
//
// names the first element of each that differs, with both values.
#if defined(RCNN_CUDA) && !defined(RCNN_RACE_CHECK)

#include <fstream>
#include <sstream>

#include "core/files/atomic_file.h"
#include "core/files/safetensors.h"
#include "kernels/op_cases.h"
#include "tests/kernels/verify.h"

namespace rcnn::kernels {
namespace {

const std::string kFile = "tests/kernels/digests.txt";

/// Ops whose bits depend on a math library. Those that take exponentials and logarithms through double
/// (kernels/boxes/box_math.h, kernels/roi/roi_levels.h) are not among them: there two libraries round to the
/// same float except in about one of 2^28 values.
constexpr std::pair<std::string_view, const char*> kExcluded[] = {
    {"softmax", "expf"},
    {"softmax_cross_entropy", "expf and logf"},
    {"softmax_cross_entropy_backward", "expf and logf"},
    {"sigmoid_cross_entropy", "expf and log1pf"},
    {"sigmoid_cross_entropy_backward", "expf"},
};

/// Whether a variant has digests: a kernel of this project, without tensor cores (which add in an order of
/// their own), of an op that is not excluded.
template <class A, class A64>
bool has_digests(const Op<A, A64>& op, const Variant<A, A64>& variant) {
  const Backend& backend = variant.backend;
  return backend.device == DeviceType::cuda && std::string_view(backend.needs) == on_cuda.needs &&
         backend.precision == Precision::f32 &&
         std::ranges::none_of(kExcluded, [&](const auto& entry) { return entry.first == op.name; });
}

/// FNV-1a of 64 bits over the tensors' bytes. All NaN count as one, and -0 as 0: which of them a minimum or a
/// maximum returns is left to the processor.
class Digest {
 public:
  void add(const Tensor& tensor) {
    if (tensor.dtype() == DType::f32) {
      for (const float value : tensor.values<float>())
        add_word(std::isnan(value) ? 0x7FC00000u : value == 0 ? 0u : std::bit_cast<uint32_t>(value));
    } else {
      const auto* bytes = static_cast<const unsigned char*>(tensor.raw());
      for (size_t i = 0; i < tensor.bytes(); ++i) add_byte(bytes[i]);
    }
  }
  std::string str() const { return fmt::format("{:016x}", state_); }

 private:
  void add_byte(uint32_t byte) { state_ = (state_ ^ byte) * 0x100000001B3ull; }
  void add_word(uint32_t word) {
    for (int shift = 0; shift < 32; shift += 8) add_byte(word >> shift & 0xFFu);
  }
  uint64_t state_ = 0xCBF29CE484222325ull;
};

std::string digest_of(const std::vector<Tensor>& tensors) {
  Digest digest;
  for (const Tensor& tensor : tensors) digest.add(tensor);
  return digest.str();
}

/// The digests of a case: when outputs are written, and when they are added to.
using Pair = std::array<std::string, 2>;
/// By "op variant case", and the op's inputs by "op inputs".
using Digests = std::map<std::string, Pair>;

/// A line is "DIGEST DIGEST op variant case"; "=" stands for a second digest that equals the first.
Digests read_digests(std::istream& file) {
  Digests digests;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    Pair pair;
    std::string key;
    words >> pair[0] >> pair[1] >> std::ws;
    std::getline(words, key);
    if (pair[1] == "=") pair[1] = pair[0];
    digests[key] = pair;
  }
  return digests;
}

std::string text_of(const Digests& digests) {
  std::string text =
      "# Digests of the outputs of kernels: see tests/kernels/test_digests.cpp, which also says how to "
      "rewrite\n"
      "# this file. Written; added to (= if the same); op, variant, number of the case.\n";
  for (const auto& [key, pair] : digests)
    text += fmt::format("{} {} {}\n", pair[0], pair[1] == pair[0] ? "=" : pair[1], key);
  return text;
}

bool same_value(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

/// The first element that differs from the simulation's, which may be undefined; otherwise the element that
/// is furthest from the reference.
std::string where_it_differs(const Tensor& found, const Tensor& simulated, const Tensor& reference) {
  const Tensor f = found.cast(DType::f64), r = reference.cast(DType::f64);
  const auto mine = f.values<double>(), truth = r.values<double>();
  if (simulated.defined()) {
    const Tensor s = simulated.cast(DType::f64);
    const auto wanted = s.values<double>();
    size_t first = mine.size(), count = 0;
    for (size_t i = mine.size(); i-- > 0;)
      if (!same_value(mine[i], wanted[i])) first = i, ++count;
    if (count == 0) return "no element differs";
    return fmt::format(
        "{} of {} elements differ, first element {} of shape {}: {}, in the simulation {}, in the reference "
        "{}",
        count, mine.size(), first, found.shape().str(), mine[first], wanted[first], truth[first]);
  }
  size_t furthest = 0;
  double distance = -1;
  for (size_t i = 0; i < mine.size(); ++i) {
    if (same_value(mine[i], truth[i])) continue;
    const double away = std::fabs(mine[i] - truth[i]);
    if (!(away <= distance)) furthest = i, distance = away;  // a NaN is furthest
    if (std::isnan(away)) break;
  }
  if (distance < 0 && !std::isnan(distance)) return "every element equals the reference";
  return fmt::format("element {} of shape {} is furthest from the reference: {}, in the reference {}",
                     furthest, found.shape().str(), mine[furthest], truth[furthest]);
}

struct Comparison {
  Digests known, found;
  bool writes = false;
  std::map<std::string, Tensor> of_card;  // its outputs that differ, by "op variant case write|add output"
  std::vector<std::pair<std::string, Tensor>> differing;  // the same of this device
};

/// Runs the op's variants that have digests on all cases.
template <class A, class A64>
void run_op(const Op<A, A64>& op, Context& ctx, Comparison& c) {
  const auto op_cases = cases_of(op);
  const auto cases = op_cases.tested();
  if (std::ranges::none_of(op.variants, [&](const auto& variant) { return has_digests(op, variant); }))
    return;
  Digest inputs;
  for (size_t index = 0; index < cases.size(); ++index)
    for (const Accumulate accumulate : {Accumulate::no, Accumulate::yes}) {
      const auto make = [&](auto zero) {
        return op_cases.prepare(zero, cases[index], Filler(index + 1, Fill::uniform, accumulate));
      };
      const auto host = make(float{});
      for (const Tensor& input : host.inputs)
        if (input.dtype() == DType::f32) inputs.add(input);
      for (const auto& variant : op.variants) {
        if (!has_digests(op, variant) || !fits(ctx, variant, host.args)) continue;
        const auto mode = static_cast<size_t>(accumulate == Accumulate::yes);
        const std::string key = fmt::format("{} {} {}", op.name, variant.name, index);
        const auto name = [&](size_t output) {
          return fmt::format("{} {} {}", key, mode == 0 ? "write" : "add", output);
        };
        const std::vector<Tensor> outputs = run_variant(ctx, variant, host);
        const std::string digest = c.found[key][mode] = digest_of(outputs);
        const auto reference = [&] {
          Context cpu;
          if constexpr (std::is_same_v<A64, NoArgs>) {
            const auto p = make(float{});
            op.variants.back().run(cpu.stream, cpu.workspace, p.args);
            return p.outputs;
          } else {
            const auto p = make(double{});
            op.variants.back().run64(cpu.stream, cpu.workspace, p.args);
            return p.outputs;
          }
        };
        for (size_t o = 0; o < outputs.size(); ++o)
          if (const auto card = c.of_card.find(name(o)); card != c.of_card.end())
            FAIL_CHECK(fmt::format("{}, on the card: {}", name(o),
                                   where_it_differs(card->second, outputs[o], reference()[o])));
        const auto known = c.known.find(key);
        if (c.writes || known == c.known.end() || known->second[mode] == digest) continue;
        const std::vector<Tensor> expected = reference();
        for (size_t o = 0; o < outputs.size(); ++o) {
          c.differing.emplace_back(name(o), outputs[o]);
          FAIL_CHECK(fmt::format("{} has the digest {} instead of {}: {}", name(o), digest,
                                 known->second[mode], where_it_differs(outputs[o], Tensor(), expected[o])));
        }
      }
    }
  const std::string key = fmt::format("{} inputs", op.name);
  c.found[key] = {inputs.str(), inputs.str()};
  const auto known = c.known.find(key);
  if (!c.writes && known != c.known.end() && known->second != c.found[key])
    FAIL_CHECK(
        fmt::format("the cases of {} or their numbers changed; its outputs cannot be compared", op.name));
}

TEST_CASE("digests: kernels give the bits that are written down") {
  if (cuda::device_count() == 0) return;
  const auto variable = [](const char* name) -> std::string {
    const char* text = std::getenv(name);
    return text ? text : "";
  };
  const std::string values = variable("RCNN_DIGEST_VALUES");
  Comparison c;
  c.writes = variable("RCNN_DIGESTS") == "write";
  REQUIRE_MESSAGE((!c.writes || cuda::is_simulated()), "digests are written by the simulation");
  std::ifstream file(kFile);
  if (!c.writes) {
    REQUIRE_MESSAGE(file.good(), "cannot read ", kFile);
    c.known = read_digests(file);
    if (!values.empty() && cuda::is_simulated()) c.of_card = read_safetensors(values).tensors;
  }
  use_order(simulated_orders().front());
  Context ctx(Device{DeviceType::cuda, 0});
  for_each_op([&](const auto& op) { run_op(op, ctx, c); });
  if (c.writes) {
    write_atomically(kFile, text_of(c.found));
    return;
  }
  if (!values.empty() && !cuda::is_simulated() && !c.differing.empty())
    write_safetensors(values, c.differing, {});
  for (const auto& [key, pair] : c.found)
    CHECK_MESSAGE(c.known.contains(key), kFile, " has no line for ", key,
                  "; the test's source says how to rewrite it");
  for (const auto& [key, pair] : c.known)
    CHECK_MESSAGE(c.found.contains(key), kFile, " has a line for ", key, ", which does not exist");
  CHECK(c.found.size() > 500);
}

TEST_CASE("digests: all NaN and both zeros count as one, and any other bit counts") {
  const auto digest = [](std::initializer_list<float> values) {
    return digest_of({Tensor::of<float>({static_cast<int64_t>(values.size())}, values)});
  };
  CHECK(digest({}) == "cbf29ce484222325");
  CHECK(digest({0.0f, NAN}) == digest({-0.0f, -NAN}));
  CHECK(digest({1.0f}) != digest({std::nextafter(1.0f, 2.0f)}));
  CHECK(digest({1, 2}) != digest({2, 1}));
  const Tensor word = Tensor::of<int32_t>({1}, {0x61});  // FNV-1a of "a" and three bytes of 0
  uint64_t state = 0xAF63DC4C8601EC8Cull;                // of "a", from the definition's test vectors
  for (int i = 0; i < 3; ++i) state *= 0x100000001B3ull;
  CHECK(digest_of({word}) == fmt::format("{:016x}", state));
}

TEST_CASE("digests: the element that differs is named") {
  const Tensor reference = Tensor::of<double>({3}, {1, 2, 3}),
               simulated = Tensor::of<float>({3}, {1, 2.5f, 3});
  const Tensor found = Tensor::of<float>({3}, {1, 2.25f, 4});
  CHECK(where_it_differs(found, simulated, reference) ==
        "2 of 3 elements differ, first element 1 of shape (3): 2.25, in the simulation 2.5, in the reference "
        "2");
  CHECK(where_it_differs(found, Tensor(), reference) ==
        "element 2 of shape (3) is furthest from the reference: 4, in the reference 3");
  const Tensor broken = Tensor::of<float>({3}, {NAN, 2, 9});
  CHECK(where_it_differs(broken, Tensor(), reference) ==
        "element 0 of shape (3) is furthest from the reference: nan, in the reference 1");
}

}  // namespace
}  // namespace rcnn::kernels

#endif
