// Whether all processes of a run begin with the same things.
#include <algorithm>
#include <array>
#include <string>

#include "core/files/sha256.h"
#include "core/log.h"
#include "train/run.h"

namespace rcnn {
namespace {

using Digest = std::array<char, 64>;

Digest digest_of(const Sha256& sha) {
  Digest digest;
  const std::string hex = sha.hex();
  std::copy_n(hex.begin(), digest.size(), digest.begin());
  return digest;
}

Digest digest_of(const std::map<std::string, std::string>& settings) {
  Sha256 sha;
  for (const auto& [key, value] : settings) sha.update(fmt::format("{} = {}\n", key, value));
  return digest_of(sha);
}

void add(Sha256& sha, const Dataset& data) {
  for (const Sample& sample : data.samples) {
    sha.update(fmt::format("{} {} {}\n", sample.id, sample.width, sample.height));
    for (const Object& object : sample.objects)
      sha.update(fmt::format("{} {} {} {} {} {}\n", object.box.x1, object.box.y1, object.box.x2,
                             object.box.y2, object.label, is_ignored(object)));
  }
}

void add(Sha256& sha, const Tensor& tensor) {
  const Tensor here = tensor.to(Device{});
  sha.update(std::span(static_cast<const std::byte*>(here.raw()), here.bytes()));
}

/// Parameters, buffers, momenta and averages.
Digest digest_of_weights(Run& run) {
  Sha256 sha;
  visit_module(
      *run.detector.model, [&](const std::string&, Var& v, const Shape&) { add(sha, v.value()); },
      [&](const std::string&, Tensor& value) { add(sha, value); });
  for (const Sgd::Parameter& p : run.sgd->parameters()) add(sha, p.momentum);
  if (run.ema)
    for (const Ema::Average& a : run.ema->averages()) add(sha, a.average);
  return digest_of(sha);
}

}  // namespace

void check_agreement(Run& run) {
  World& world = run.world;
  if (world.size() == 1) return;
  world.watch.place = "the start of training";
  Sha256 data;
  for (const Dataset* part : {&run.data.train, &run.data.val, &run.data.test}) add(data, *part);
  struct Start {
    int64_t step;
    Digest settings, data, weights, numerics;
  };
  Sha256 numerics;
  numerics.update(numerics_description());
  const std::vector<Start> all =
      world.of_all(Start{run.state.step, digest_of(result_settings(run.options, run.data.random)),
                         digest_of(data), digest_of_weights(run), digest_of(numerics)});
  const Start& first = all.front();
  for (size_t i = 1; i < all.size(); ++i) {
    const Start& other = all[i];
    const auto refuse = [&](bool equal, std::string_view what, std::string_view expected) {
      check_input(equal,
                  "{} begins with other {} than {}; expected {} that all machines see under the same path",
                  world.name_of(static_cast<int>(i)), what, world.name_of(0), expected);
    };
    refuse(other.data == first.data, "images or annotations", "data (--data)");
    refuse(other.step == first.step, fmt::format("steps done ({} and not {})", other.step, first.step),
           "a folder of the run (--out)");
    refuse(other.settings == first.settings, "settings", "a settings file (--config)");
    refuse(other.weights == first.weights, "weights", "files of weights");
    if (other.numerics != first.numerics)
      print_log(
          "warning: {} computes with other libraries, instructions or number of threads than {}: the result "
          "then depends on which process does what, in its last bits\n",
          world.name_of(static_cast<int>(i)), world.name_of(0));
  }
}

}  // namespace rcnn
