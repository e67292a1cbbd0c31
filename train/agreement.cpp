#include "train/agreement.h"

#include <algorithm>
#include <map>
#include <string_view>

#include "core/files/sha256.h"
#include "core/log.h"
#include "train/checkpoint.h"
#include "train/fingerprint.h"
#include "train/run.h"

namespace rcnn {
namespace {

void add(Sha256& sha, const Tensor& tensor) {
  const Tensor here = tensor.to(Device{});
  sha.update(std::span(static_cast<const std::byte*>(here.raw()), here.bytes()));
}

void add(Sha256& sha, FasterRcnn& model) {
  visit_module(
      model, [&](const std::string&, Var& v, const Shape&) { add(sha, v.value()); },
      [&](const std::string&, Tensor& value) { add(sha, value); });
}

/// Parameters, buffers, momenta and averages.
std::string digest_of_weights(Run& run) {
  Sha256 sha;
  add(sha, *run.detector.model);
  for (const Sgd::Parameter& p : run.sgd->parameters()) add(sha, p.momentum);
  if (run.ema)
    for (const Ema::Average& a : run.ema->averages()) add(sha, a.average);
  return sha.hex();
}

std::string lines_of(const std::map<std::string, std::string>& settings) {
  std::string text;
  for (const auto& [key, value] : settings) text += fmt::format("{} = {}\n", key, value);
  return text;
}

/// The first line of each text that the other one does not have at this place: " (seed = 7, not seed = 0)".
/// Empty for digests.
std::string difference(std::string_view other, std::string_view first) {
  while (other.find('\n') != other.npos && first.find('\n') != first.npos) {
    const size_t a = other.find('\n'), b = first.find('\n');
    if (other.substr(0, a) != first.substr(0, b))
      return fmt::format(" ({}, not {})", other.substr(0, a), first.substr(0, b));
    other.remove_prefix(a + 1);
    first.remove_prefix(b + 1);
  }
  return "";
}

}  // namespace

Beginning beginning_of(const std::vector<const Dataset*>& data) {
  Sha256 sha;
  for (const Dataset* part : data) {
    try {
      sha.update(fingerprint_of(*part).text);
    } catch (const InputError& error) {
      sha.update(error.what());
    }
  }
  return {"images or annotations", sha.hex(), "data (--data)"};
}

Beginning beginning_of(FasterRcnn& model) {
  Sha256 sha;
  add(sha, model);
  return {"weights", sha.hex(), "files of weights"};
}

void check_agreement(World& world, const std::vector<Beginning>& mine, const kernels::Plans* plans) {
  if (world.size() == 1) return;
  std::vector<std::vector<Bytes>> all;
  for (const Beginning& one : mine) all.push_back(world.all_gather(std::as_bytes(std::span(one.value))));
  const std::string numerics = numerics_description(plans);
  const std::vector<Bytes> all_numerics = world.all_gather(std::as_bytes(std::span(numerics)));
  const auto text = [](const Bytes& bytes) {
    return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  for (int rank = 1; rank < world.size(); ++rank) {
    const auto r = static_cast<size_t>(rank);
    for (size_t i = 0; i < mine.size(); ++i)
      check_input(all[i][r] == all[i][0],
                  "{} begins with other {} than {}{}; expected the same {} in all processes",
                  world.name_of(rank), mine[i].name, world.name_of(0),
                  difference(text(all[i][r]), text(all[i][0])), mine[i].expected);
    if (all_numerics[r] != all_numerics[0])
      print_log(
          "warning: {} computes with other libraries, instructions, number of threads or plans than {}: the "
          "result then depends on which process does what, in its last bits\n",
          world.name_of(rank), world.name_of(0));
  }
}

void check_agreement(Run& run) {
  if (run.world.size() == 1) return;
  run.world.watch.place = "the start of training";
  check_agreement(run.world,
                  {beginning_of({&run.data.train, &run.data.val, &run.data.test}),
                   {"steps done", fmt::format("{}\n", run.state.step), "folder of the run (--out)"},
                   {"settings", lines_of(result_settings(run.options, run.data.random)), "options"},
                   {"weights", digest_of_weights(run), "files of weights"}},
                  run.options.plans.get());
}

}  // namespace rcnn
