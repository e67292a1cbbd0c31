#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <utility>

namespace rcnn {

/// A cache of what was made for the keys used last. Photographs come in many sizes, for example, and oneDNN
/// needs its own primitives for each, which take milliseconds to make and memory to keep.
template <class Key, class Value>
class RecentlyUsed {
 public:
  explicit RecentlyUsed(size_t max_size = 1024) : max_size_(max_size) {}

  /// The value of `key`; if there is none, what `make()` returns is kept. The reference is valid until
  /// the next call.
  template <class Make>
  Value& get(const Key& key, Make make) {
    if (const auto found = places_.find(key); found != places_.end()) {
      entries_.splice(entries_.begin(), entries_, found->second);
      return entries_.front().second;
    }
    if (entries_.size() == max_size_) {
      places_.erase(entries_.back().first);
      entries_.pop_back();
    }
    entries_.emplace_front(key, make());
    places_[key] = entries_.begin();
    return entries_.front().second;
  }

  /// Calls f(key, value) for all that are kept.
  template <class F>
  void for_each(F f) {
    for (auto& [key, value] : entries_) f(key, value);
  }

 private:
  size_t max_size_;
  std::list<std::pair<Key, Value>> entries_;  // the one used last comes first
  std::map<Key, typename std::list<std::pair<Key, Value>>::iterator> places_;
};

}  // namespace rcnn
