#include "train/run_data.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "core/files/look.h"
#include "core/text.h"
#include "data/orientation.h"
#include "eval/proposals.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNone = "none";

/// The name of the split to use: `asked`, or `usual` if nothing is asked for, the data has it and it may be
/// assumed.
std::string chosen(const DataFolder& folder, const std::string& asked, const char* usual, bool may_assume) {
  if (asked == kNone) return "";
  if (!asked.empty()) return asked;
  return may_assume && folder.has(usual) ? usual : "";
}

fs::path list_path(const fs::path& out, const char* part) {
  return out / "splits" / (std::string(part) + ".txt");
}

/// A file of proposals on the training images alone has none for the others.
void forget_missing_proposals(Dataset& part) {
  for (const Sample& sample : part.samples)
    if (sample.proposals && !sample.proposals->empty()) return;
  for (Sample& sample : part.samples) sample.proposals.reset();
}

/// Removes the images that the data no longer has from the list of a random split, if that is allowed.
void leave_out_missing(std::vector<std::string>& ids, const Dataset& all, const fs::path& list,
                       bool allowed) {
  std::set<std::string> known;
  for (const Sample& sample : all.samples) known.insert(sample.id);
  std::vector<std::string> missing;
  for (const std::string& id : ids)
    if (!known.contains(id) && !known.contains(escaped(id))) missing.push_back(id);
  check_input(
      missing.empty() || allowed,
      "{} lists {} image{} of the random split that the data no longer has, '{}' first. Put {} back, or "
      "go on without with --allow-changed-data",
      list.string(), missing.size(), missing.size() == 1 ? "" : "s", missing.empty() ? "" : missing.front(),
      missing.size() == 1 ? "it" : "them");
  const std::set<std::string> gone(missing.begin(), missing.end());
  std::erase_if(ids, [&](const std::string& id) { return gone.contains(id); });
}

void split_at_random(RunData& data, const TrainConfig& config, const fs::path& out, bool resume,
                     bool allow_changed_data) {
  data.random = true;
  const Dataset all = std::move(data.train);
  if (resume && is_there(list_path(out, "train")) && is_there(list_path(out, "val"))) {
    const auto take = [&](const char* part) {
      std::vector<std::string> ids = read_id_list(list_path(out, part));
      leave_out_missing(ids, all, list_path(out, part), allow_changed_data);
      return take_samples(all, ids, list_path(out, part));
    };
    data.train = take("train");
    data.val = take("val");
  } else {
    std::tie(data.train, data.val) =
        random_split(all, static_cast<double>(config.val_share), static_cast<uint64_t>(config.seed));
  }
  forget_missing_proposals(data.val);
  data.train.faults = all.faults;
  data.val.faults.clear();
  data.train_name = "train, at random";
  data.val_name = "val, at random";
}

}  // namespace

RunData read_run_data(const TrainConfig& config, const fs::path& out, bool resume, bool allow_changed_data) {
  check_input(!config.data.empty(),
              "--data is missing: expected a folder of labelled images, or a COCO annotation file");
  DataFolder folder = find_data(config.data);
  folder.options.rescale_boxes = config.rescale_boxes;
  folder.options.exif_boxes = parse_exif_boxes(config.exif_boxes);
  folder.options.allow_outside = config.allow_outside;
  RunData data;
  const bool assumed = config.train.empty() || config.train == "train";
  const std::string train = chosen(folder, config.train, "train", true);
  check_input(!train.empty() || folder.splits.empty(),
              "{}: no split is called train; name one of these splits with --train: {}", config.data,
              fmt::join(folder.splits, ", "));
  data.train = read_split(folder, train);
  data.train_name = train;
  if (!config.proposals.empty()) read_proposals(config.proposals, data.train);

  std::string val = chosen(folder, config.val, "val", assumed);
  const std::string test = chosen(folder, config.test, "test", assumed);
  if (train.empty() && config.val.empty() && config.val_share > 0 && data.train.samples.size() >= 2) {
    split_at_random(data, config, out, resume, allow_changed_data);
  } else if (!val.empty()) {
    data.val = read_split(folder, val, data.train.classes);
    data.val_name = val;
    if (!config.val_proposals.empty()) read_proposals(config.val_proposals, data.val);
  }
  check_input(config.val_proposals.empty() || (!val.empty() && !data.random),
              "--val-proposals {}: the data has no validation split to which the file could belong",
              config.val_proposals);
  check_input(config.test_proposals.empty() || !test.empty(),
              "--test-proposals {}: the data has no test split", config.test_proposals);
  if (!config.empty_images) {
    std::erase_if(data.train.samples, [](const Sample& sample) {
      return std::all_of(sample.objects.begin(), sample.objects.end(), is_ignored);
    });
    check_input(!data.train.samples.empty(), "{}: no image of the training split has an object", config.data);
  }
  data.test_is_val = !test.empty() && test == val;
  if (!test.empty()) {
    data.test = data.test_is_val ? data.val : read_split(folder, test, data.train.classes);
    data.test_name = test;
    if (!config.test_proposals.empty()) read_proposals(config.test_proposals, data.test);
  }
  data.notes = folder.notes;
  data.train.name = data.train_name;
  data.val.name = data.val_name;
  data.test.name = data.test_name;
  return data;
}

void write_random_split(const RunData& data, const fs::path& out) {
  if (!data.random) return;
  std::error_code error;
  fs::create_directories(out / "splits", error);
  check_input(!error, "{}: cannot create the folder: {}", (out / "splits").string(), error.message());
  write_id_list(list_path(out, "train"), data.train);
  write_id_list(list_path(out, "val"), data.val);
}

}  // namespace rcnn
