// The images that the diagnosis shows: the worst, three good ones, and examples.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "eval/image_findings.h"

namespace rcnn {
namespace {

constexpr size_t kWorstImages = 20, kGoodImages = 3, kExamples = 8;

/// Describes the error of a wrong detection, with the names of the classes. Each begins with the name of its
/// kind or contains it.
std::string mistake(const Wrong& wrong, const std::vector<Object>& objects, const Dataset& dataset) {
  const auto name = [&](int label) { return dataset.classes[static_cast<size_t>(label - 1)]; };
  const std::string found = name(wrong.detection->label);
  const auto truth = [&] { return name(objects[static_cast<size_t>(wrong.mistaken)].label); };
  switch (wrong.kind) {
    case FalsePositive::wrong_class:
    case FalsePositive::wrong_class_and_place:
      return fmt::format("{}: {} detected as {}", name_of(wrong.kind), truth(), found);
    case FalsePositive::duplicate:
      return "duplicate detection of " + found;
    case FalsePositive::poorly_placed:
      return fmt::format("{}: {}", name_of(wrong.kind), found);
    case FalsePositive::background:
      break;
  }
  return "background detected as " + found;
}

std::vector<std::string> reasons_for(const ImageFindings& image, const std::vector<Object>& objects,
                                     const Dataset& dataset) {
  std::vector<std::string> reasons;
  std::map<int, std::map<MissCause, int>> missed;  // by label
  for (const Miss& miss : image.missed) ++missed[objects[static_cast<size_t>(miss.object)].label][miss.cause];
  for (const auto& [label, causes] : missed) {
    int count = 0;
    std::string list;
    for (const auto& [cause, times] : causes) {
      count += times;
      list += list.empty() ? "" : ", ";
      list += causes.size() == 1 ? std::string(name_of(cause)) : fmt::format("{} {}", times, name_of(cause));
    }
    const auto asked = std::count_if(objects.begin(), objects.end(), [label = label](const Object& object) {
      return object.label == label && !is_ignored(object);
    });
    reasons.push_back(fmt::format("{}: {} of {} missed ({})", dataset.classes[static_cast<size_t>(label - 1)],
                                  count, asked, list));
  }
  std::vector<std::tuple<std::string, int, float>> mistakes;  // text, count and best score, best first
  for (const Wrong& wrong : image.wrong) {
    const std::string what = mistake(wrong, objects, dataset);
    const auto same = std::find_if(mistakes.begin(), mistakes.end(),
                                   [&](const auto& other) { return std::get<0>(other) == what; });
    if (same == mistakes.end())
      mistakes.emplace_back(what, 1, wrong.detection->score);
    else
      ++std::get<1>(*same);
  }
  for (const auto& [what, times, score] : mistakes)
    reasons.push_back(times == 1 ? fmt::format("{} (score {:.2f})", what, score)
                                 : fmt::format("{}, {} times (scores up to {:.2f})", what, times, score));
  return reasons;
}

double badness_of(const ImageFindings& image) {
  auto badness = static_cast<double>(image.missed.size());
  for (const Wrong& wrong : image.wrong) badness += double{wrong.detection->score};
  return badness;
}

JudgedImage judged(size_t index, const std::vector<ImageFindings>& images, const Dataset& dataset) {
  const ImageFindings& findings = images[index];
  JudgedImage image{static_cast<int>(index), badness_of(findings), findings.missed, {}, findings.right, {}};
  for (const Wrong& wrong : findings.wrong) image.wrong.push_back({*wrong.detection, wrong.kind});
  image.reasons = reasons_for(findings, dataset.samples[index].objects, dataset);
  return image;
}

}  // namespace

std::vector<JudgedImage> worst_images(const std::vector<ImageFindings>& images, const Dataset& dataset,
                                      bool every_image) {
  std::vector<size_t> order;
  for (size_t i = 0; i < images.size(); ++i)
    if (every_image || !images[i].missed.empty() || !images[i].wrong.empty()) order.push_back(i);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return badness_of(images[a]) > badness_of(images[b]); });
  if (!every_image) order.resize(std::min(order.size(), kWorstImages));
  std::vector<JudgedImage> worst;
  for (const size_t i : order) worst.push_back(judged(i, images, dataset));
  return worst;
}

std::vector<JudgedImage> good_images(const std::vector<ImageFindings>& images, const Dataset& dataset) {
  struct Candidate {
    size_t image, found;
    double errors;  // for each object that is found
  };
  std::vector<Candidate> left;
  for (size_t i = 0; i < images.size(); ++i)
    if (const size_t found = images[i].right.size(); found > 0)
      left.push_back({i, found, badness_of(images[i]) / static_cast<double>(found)});
  std::stable_sort(left.begin(), left.end(), [](const Candidate& a, const Candidate& b) {
    return std::tuple(a.errors, b.found) < std::tuple(b.errors, a.found);
  });
  std::vector<JudgedImage> good;
  std::set<int> seen;  // labels
  while (!left.empty() && good.size() < kGoodImages) {
    // Of several images without errors, the first that shows another class.
    const auto shows_more = [&](const Candidate& candidate) {
      const std::vector<Detection>& right = images[candidate.image].right;
      return candidate.errors == 0 && std::any_of(right.begin(), right.end(), [&](const Detection& d) {
               return !seen.contains(d.label);
             });
    };
    auto next = std::find_if(left.begin(), left.end(), shows_more);
    if (next == left.end()) next = left.begin();
    good.push_back(judged(next->image, images, dataset));
    for (const Detection& d : good.back().right) seen.insert(d.label);
    left.erase(next);
  }
  return good;
}

std::vector<JudgedImage> example_images(const std::vector<ImageFindings>& images, const Dataset& dataset) {
  std::vector<size_t> with_objects;
  for (size_t i = 0; i < images.size(); ++i)
    if (!dataset.samples[i].objects.empty()) with_objects.push_back(i);
  const size_t stride = std::max<size_t>(1, with_objects.size() / kExamples);
  std::vector<JudgedImage> examples;
  for (size_t i = 0; i < with_objects.size() && examples.size() < kExamples; i += stride)
    examples.push_back(judged(with_objects[i], images, dataset));
  return examples;
}

}  // namespace rcnn
