#include "models/class_names.h"

#include <simdjson.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <sstream>

#include "core/error.h"
#include "core/files/source_file.h"
#include "core/files/tensor_file.h"

namespace rcnn {
namespace {

struct CocoClass {
  int64_t id;
  const char* name;
};
// The 80 categories of COCO 2014 and 2017. The numbers that are missing were given to categories that the
// data set does not have.
constexpr CocoClass kCoco[] = {{1, "person"},         {2, "bicycle"},       {3, "car"},
                               {4, "motorcycle"},     {5, "airplane"},      {6, "bus"},
                               {7, "train"},          {8, "truck"},         {9, "boat"},
                               {10, "traffic light"}, {11, "fire hydrant"}, {13, "stop sign"},
                               {14, "parking meter"}, {15, "bench"},        {16, "bird"},
                               {17, "cat"},           {18, "dog"},          {19, "horse"},
                               {20, "sheep"},         {21, "cow"},          {22, "elephant"},
                               {23, "bear"},          {24, "zebra"},        {25, "giraffe"},
                               {27, "backpack"},      {28, "umbrella"},     {31, "handbag"},
                               {32, "tie"},           {33, "suitcase"},     {34, "frisbee"},
                               {35, "skis"},          {36, "snowboard"},    {37, "sports ball"},
                               {38, "kite"},          {39, "baseball bat"}, {40, "baseball glove"},
                               {41, "skateboard"},    {42, "surfboard"},    {43, "tennis racket"},
                               {44, "bottle"},        {46, "wine glass"},   {47, "cup"},
                               {48, "fork"},          {49, "knife"},        {50, "spoon"},
                               {51, "bowl"},          {52, "banana"},       {53, "apple"},
                               {54, "sandwich"},      {55, "orange"},       {56, "broccoli"},
                               {57, "carrot"},        {58, "hot dog"},      {59, "pizza"},
                               {60, "donut"},         {61, "cake"},         {62, "chair"},
                               {63, "couch"},         {64, "potted plant"}, {65, "bed"},
                               {67, "dining table"},  {70, "toilet"},       {72, "tv"},
                               {73, "laptop"},        {74, "mouse"},        {75, "remote"},
                               {76, "keyboard"},      {77, "cell phone"},   {78, "microwave"},
                               {79, "oven"},          {80, "toaster"},      {81, "sink"},
                               {82, "refrigerator"},  {84, "book"},         {85, "clock"},
                               {86, "vase"},          {87, "scissors"},     {88, "teddy bear"},
                               {89, "hair drier"},    {90, "toothbrush"}};

}  // namespace

ClassNames coco_classes() {
  ClassNames classes;
  for (int64_t id = 1; id <= kCocoIds; ++id) {
    const auto* found = std::find_if(std::begin(kCoco), std::end(kCoco),
                                     [&](const CocoClass& entry) { return entry.id == id; });
    classes.names.push_back(found == std::end(kCoco) ? fmt::format("N/A ({})", id) : found->name);
    classes.category_ids.push_back(id);
  }
  return classes;
}

std::vector<std::string> read_class_names(const std::filesystem::path& path, int64_t count) {
  std::istringstream file(text_of_file(path));
  std::vector<std::string> names;
  std::set<std::string> seen;
  for (std::string line; std::getline(file, line);) {
    if (names.empty() && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
    line.erase(line.find_last_not_of(" \t\r") + 1);
    line.erase(0, line.find_first_not_of(" \t"));
    if (line.empty()) continue;
    check_input(simdjson::validate_utf8(line), "--classes {}: the name {} is not UTF-8.", path.string(),
                in_quotes(line));
    check_input(seen.insert(line).second, "--classes {} has the name {} twice.", path.string(),
                in_quotes(line));
    names.push_back(line);
  }
  if (std::ssize(names) == count + 1 && (names[0] == "background" || names[0] == "__background__"))
    names.erase(names.begin());
  check_input(std::ssize(names) == count,
              "--classes {} has {} names; the model has {} classes besides the background. Expected one name "
              "per line.",
              path.string(), names.size(), count);
  return names;
}

}  // namespace rcnn
