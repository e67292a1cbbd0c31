// Ranks as processes that TCP connects, by Gloo, the library that PyTorch uses for it: for systems without
// MPI. Compiled where its header is found (GLOO=auto|0|1).
#pragma once

#include <memory>
#include <string>

#include "core/world.h"
#include "core/world/rendezvous.h"

namespace rcnn {

/// Connects this process with the others; every rank must call it. They wait so many seconds for each other
/// (0: for ever). Throws Error that names those that do not come, and InputError if this build has no Gloo or
/// the rendezvous cannot be used.
std::unique_ptr<World> make_gloo_world(const Rendezvous& rendezvous, double seconds);

/// "Gloo 0.5.0"; "" if this build has none.
std::string gloo_description();

}  // namespace rcnn
