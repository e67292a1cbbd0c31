# Included by the Makefile: which of the libraries that a build can do without are there, and are used.

# $(call has_macro,MACRO,HEADERS): 1 if the compiler finds the headers and the macro is a number in them, otherwise 0.
has_macro = $(shell echo '$(1)' | $(CXX) -E -P -x c++ $(if $(DEPS),-isystem $(DEPS)/include) $(addprefix -include ,$(2)) - \
  2>/dev/null | tail -n 1 | grep -q '^[0-9]' && echo 1 || echo 0)
# auto: a library if its header is found. The original libjpeg decodes with other bits than libjpeg-turbo and is not used;
# libtiff is used from 4.5 on, which has this macro and can be told to print nothing.
ifeq ($(LIBJPEG),auto)
  override LIBJPEG := $(call has_macro,LIBJPEG_TURBO_VERSION_NUMBER,stdio.h jpeglib.h)
endif
ifeq ($(LIBWEBP),auto)
  override LIBWEBP := $(call has_macro,WEBP_DECODER_ABI_VERSION,webp/decode.h)
endif
ifeq ($(LIBTIFF),auto)
  override LIBTIFF := $(call has_macro,TIFFLIB_MAJOR_VERSION,tiffvers.h)
endif
# auto: MPI if its header is found, by its compiler, which knows where header and library are. Not under sanitizers,
# which report what MPI's libraries leave behind.
NO_MPI := $(if $(filter 0,$(MPI)),-nompi)
ifneq ($(filter asan ubsan tsan races,$(CONFIG)),)
  override MPI := 0
endif
ifneq ($(MPI),0)
  MPI_FLAGS := $(shell mpicc -show 2>/dev/null)
  MPI_HEADER := $(wildcard $(patsubst -I%,%/mpi.h,$(filter -I%,$(MPI_FLAGS))))
  ifeq ($(MPI)/$(MPI_HEADER),1/)
    $(error MPI=1: mpicc on the PATH names no folder with mpi.h)
  endif
  override MPI := $(if $(MPI_HEADER),1,0)
endif
# auto: Gloo if its header is found. Not where threads are watched, of which it has one of its own.
NO_GLOO := $(if $(filter 0,$(GLOO)),-nogloo)
ifneq ($(filter tsan races,$(CONFIG)),)
  override GLOO := 0
endif
ifeq ($(GLOO),auto)
  override GLOO := $(call has_macro,GLOO_VERSION_MINOR,gloo/config.h)
endif
# auto: NCCL if CUDA is used and find_cuda.sh finds it with its header.
NO_NCCL := $(if $(filter 0,$(NCCL)),-nonccl)
NCCL_FOUND := $(if $(filter 1,$(CUDA)),$(NCCL_FILE))
ifeq ($(NCCL)/$(NCCL_FOUND)/$(filter release debug,$(CONFIG))/$(filter sim,$(CUDA)),1//$(CONFIG)/)
  $(error NCCL=1: expected CUDA=1, and nccl.h with its library beside nvcc or in Python's packages)
endif
override NCCL := $(if $(and $(filter-out 0,$(NCCL)),$(NCCL_FOUND)),1,0)
