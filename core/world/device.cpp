#include "core/world/device.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/world/nccl.h"
#include "core/world/packing.h"

namespace rcnn {

cuda::DeviceChoice choose_device(const std::string& asked, const World& world) {
  cuda::DeviceChoice choice = cuda::choose_device(asked);
  const bool is_open = asked == "auto" || asked == "cuda";
  if (world.size() > 1 && is_open && choice.device.type == DeviceType::cuda)
    choice = cuda::choose_device(fmt::format("cuda:{}", world.place_on_host() % cuda::device_count()));
  return choice;
}

std::string why_not_linked(const World& world, const std::vector<LinkEnd>& ends) {
  const auto name = [&](size_t i) { return world.name_of(static_cast<int>(i)); };
  for (size_t i = 0; i < ends.size(); ++i) {
    if (ends[i].gpu.empty()) return name(i) + " computes on the CPU";
    if (!ends[i].missing.empty()) return fmt::format("{}: {}", name(i), ends[i].missing);
    for (size_t k = 0; k < i; ++k)
      if (ends[k].gpu == ends[i].gpu && world.are_on_one_host(static_cast<int>(k), static_cast<int>(i)))
        return fmt::format("{} and {} share the GPU {}", name(k), name(i), ends[i].gpu);
  }
  return "";
}

std::string link_gpus(World& world, Device device) {
  if (world.size() == 1 || world.has_device_link()) return "";
  const bool has_gpu = device.type == DeviceType::cuda;
  Packer packer;
  packer.list(has_gpu ? nccl_name_of(device) : std::string());
  packer.list(has_gpu ? why_no_nccl() : std::string());
  std::vector<LinkEnd> ends;
  for (const Bytes& bytes : world.all_gather(packer.bytes())) {
    Unpacker unpacker(bytes);
    auto gpu = unpacker.list<std::string>();
    ends.push_back({std::move(gpu), unpacker.list<std::string>()});
  }
  if (std::all_of(ends.begin(), ends.end(), [](const LinkEnd& end) { return end.gpu.empty(); })) return "";
  if (const std::string why = why_not_linked(world, ends); !why.empty())
    return "gradients pass through the memory of the host: " + why;
  world.link_devices(make_nccl_link(world, device));
  return fmt::format("gradients pass from GPU to GPU ({})", nccl_description());
}

// ---- without a link ---------------------------------------------------------------------------------
namespace {

/// Spans of a GPU's memory and their places in one piece of the host's. Spans that are equal or lie side by
/// side are one copy: the host waits for each copy from the device.
struct Places {
  struct Piece {
    std::byte* begin;
    size_t bytes, place;
  };
  std::vector<Piece> pieces;
  size_t bytes = 0;

  /// The place of this span.
  size_t add(std::byte* begin, size_t size) {
    if (size == 0) return 0;
    if (!pieces.empty() && pieces.back().begin == begin && pieces.back().bytes == size)
      return pieces.back().place;
    const size_t place = bytes;
    bytes += size;
    if (!pieces.empty() && pieces.back().begin + pieces.back().bytes == begin)
      pieces.back().bytes += size;
    else
      pieces.push_back({begin, size, place});
    return place;
  }
};

}  // namespace

void World::exchange_through_host(Device device, const Outgoing& to, const Incoming& from) {
  const auto me = static_cast<size_t>(rank_);
  if (from[me].data() != to[me].data()) cuda::copy(device, from[me].data(), to[me].data(), to[me].size());
  Places sent, received;
  std::vector<size_t> sent_at(to.size()), received_at(from.size());
  for (size_t i = 0; i < to.size(); ++i) {
    if (i == me) continue;
    sent_at[i] = sent.add(const_cast<std::byte*>(to[i].data()), to[i].size());
    received_at[i] = received.add(from[i].data(), from[i].size());
  }
  Bytes sent_here(sent.bytes), received_here(received.bytes);
  for (const Places::Piece& piece : sent.pieces)
    cuda::download(device, sent_here.data() + piece.place, piece.begin, piece.bytes,
                   std::source_location::current());
  Outgoing to_here(to.size());
  Incoming from_here(from.size());
  for (size_t i = 0; i < to.size(); ++i) {
    if (i == me) continue;
    to_here[i] = std::span(sent_here).subspan(sent_at[i], to[i].size());
    from_here[i] = std::span(received_here).subspan(received_at[i], from[i].size());
  }
  exchange_with_others(to_here, from_here);
  for (const Places::Piece& piece : received.pieces)
    cuda::upload(device, piece.begin, received_here.data() + piece.place, piece.bytes);
}

void World::exchange_on(Device device, const Outgoing& to, const Incoming& from) {
  if (device.type == DeviceType::cpu) return exchange(to, from);
  if (link_) {
    begin_exchange_on(device, to, from);
    return finish_exchanges_on(device);
  }
  count(to, from);
  exchange_through_host(device, to, from);
}

void World::begin_exchange_on(Device device, const Outgoing& to, const Incoming& from) {
  check(has_device_link(), "an exchange was begun on {}, which no link connects with others", device.str());
  count(to, from);
  link_->begin(*this, device, to, from);
}

void World::finish_exchanges_on(Device device) {
  check(has_device_link(), "exchanges are to be finished on {}, which no link connects with others",
        device.str());
  link_->finish(*this, device);
}

}  // namespace rcnn
