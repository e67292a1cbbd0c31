// The confusion matrix: how often an object of one class was detected as another. Most of its cells are 0
// where there are many classes, and a thousand classes would make a million of them, so only the others are
// kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <vector>

namespace rcnn {

/// matrix[truth][found] for labels from 0, the background.
class Confusion {
 public:
  /// The cells of one row that were counted, by label.
  class Row {
   public:
    int64_t operator[](size_t found) const {
      const auto cell = cells_.find(found);
      return cell == cells_.end() ? 0 : cell->second;
    }
    int64_t& operator[](size_t found) { return cells_[found]; }
    int64_t sum() const {
      int64_t sum = 0;
      for (const auto& [found, count] : cells_) sum += count;
      return sum;
    }
    /// Pairs of label and count.
    auto begin() const { return cells_.begin(); }
    auto end() const { return cells_.end(); }

   private:
    std::map<size_t, int64_t> cells_;
  };

  Confusion() = default;
  explicit Confusion(size_t labels) : rows_(labels) {}
  /// A square matrix with all of its cells.
  Confusion(std::initializer_list<std::vector<int64_t>> rows) : rows_(rows.size()) {
    size_t truth = 0;
    for (const std::vector<int64_t>& row : rows) {
      for (size_t found = 0; found < row.size(); ++found)
        if (row[found] != 0) rows_[truth][found] = row[found];
      ++truth;
    }
  }

  size_t size() const { return rows_.size(); }
  bool empty() const { return rows_.empty(); }
  const Row& operator[](size_t truth) const { return rows_.at(truth); }
  Row& operator[](size_t truth) { return rows_.at(truth); }

  struct Cell {
    size_t truth, found;
    int64_t count;
    bool operator==(const Cell&) const = default;
  };
  /// The cells that are not 0, row by row.
  std::vector<Cell> cells() const {
    std::vector<Cell> all;
    for (size_t truth = 0; truth < rows_.size(); ++truth)
      for (const auto& [found, count] : rows_[truth])
        if (count != 0) all.push_back({truth, found, count});
    return all;
  }
  friend bool operator==(const Confusion& a, const Confusion& b) {
    return a.size() == b.size() && a.cells() == b.cells();
  }

 private:
  std::vector<Row> rows_;
};

}  // namespace rcnn
