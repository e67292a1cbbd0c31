#include "bench/cards.h"

#include <fmt/ranges.h>

#include <vector>

#include "core/error.h"

namespace rcnn {

const Card& card_of(const std::string& name) {
  std::vector<std::string> names;
  for (const Card& card : kCards) {
    if (name == card.name) return card;
    names.emplace_back(card.name);
  }
  throw InputError(fmt::format("--card {}: there are figures of {}", name, fmt::join(names, ", ")));
}

}  // namespace rcnn
