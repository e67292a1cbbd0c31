// How faults and notes are counted and listed.
#include "data/faults.h"

#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

void add(std::vector<Fault>& faults, size_t count, const std::string& what, FaultKind kind) {
  for (size_t i = 0; i < count; ++i) faults.push_back({"a", fmt::format("{} {}.", what, i), kind});
}

}  // namespace

TEST_CASE("faults: a few are listed plainly, and notes apart from them") {
  CHECK(list_faults({}).empty());
  CHECK(list_faults({}, {.say_none = true}) == "0 faults in the data\n");
  std::vector<Fault> entries;
  add(entries, 1, "The name", FaultKind::found_by_name);
  CHECK(list_faults(entries) == "1 note on how the data was read:\n  The name 0.\n");
  CHECK(count_faults(entries) == 0);
  CHECK(first_fault(entries).empty());
  add(entries, 2, "The box\n", FaultKind::empty_box);
  CHECK(list_faults(entries, {"  ", "in the images", false, true}) ==
        "  2 faults in the images:\n    The box\\x0A 0.\n    The box\\x0A 1.\n"
        "  1 note on how the data was read:\n    The name 0.\n");
  CHECK(count_faults(entries) == 2);
  CHECK(first_fault(entries) == "The box\n 0.");
}

TEST_CASE("faults: many are listed by their kinds, the first three of each, or all") {
  std::vector<Fault> entries;
  add(entries, 950, "Clipped", FaultKind::box_partly_outside);
  add(entries, 3, "Gone", FaultKind::missing_image);
  add(entries, 5, "Turned", FaultKind::exif);
  CHECK(list_faults(entries) ==
        "953 faults in the data:\n"
        "  missing images: 3\n"
        "    Gone 0.\n    Gone 1.\n    Gone 2.\n"
        "  boxes partly outside their image: 950\n"
        "    Clipped 0.\n    Clipped 1.\n    Clipped 2.\n"
        "    and 947 more like these: `rcnn check --all` lists them\n"
        "5 notes on how the data was read:\n"
        "  images turned by their EXIF entries: 5\n"
        "    Turned 0.\n    Turned 1.\n    Turned 2.\n"
        "    and 2 more like these: `rcnn check --all` lists them\n");
  const std::string all = list_faults(entries, {.all = true});
  CHECK(std::count(all.begin(), all.end(), '\n') == 2 + 3 + 953 + 5);
  CHECK(contains(all, "    Clipped 949.\n"));
  CHECK_FALSE(contains(all, "more like these"));
}
