// A function that is compiled for several instruction sets is inlined into each of its callers: the linker
// must not merge the copies.
#pragma once

#define RCNN_ALWAYS_INLINE [[gnu::always_inline]] inline
