# rcnn.cu: one Makefile for everything. `make help` lists the targets, and V=1 shows the commands.
#
# Switches:  CUDA=auto|0|1|sim   ONEDNN=1|0   LIBJPEG, LIBWEBP, LIBTIFF=auto|0|1   ARCH=x86-64-v3|native|...
#            MPI, GLOO, NCCL=auto|0|1 (several processes and GPUs, docs/distributed.md)
#            CONFIG=release|debug|asan|ubsan|tsan|races   CUDA_ARCHS="75 80 90a"   CUDA_COMPRESS=size (nvcc 12.8)
#            PCH=1|0 (tools/precompiled.mk)
# Each configuration has its own folder, build/<configuration>/, so that objects never mix.

.DEFAULT_GOAL := all
comma := ,
space := $(subst ,, )
MAKEFLAGS += --no-builtin-rules --no-print-directory
# One job per processor, unless -j says otherwise.
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
  MAKEFLAGS += -j$(shell nproc)
endif
.SUFFIXES:
.DELETE_ON_ERROR:

CUDA    ?= auto
ONEDNN  ?= 1
LIBJPEG ?= auto
LIBWEBP ?= auto
LIBTIFF ?= auto
MPI     ?= auto
GLOO    ?= auto
NCCL    ?= auto
CONFIG  ?= release
# x86-64-v3 is AVX2 and FMA (Intel since 2013, AMD since 2015). Kernels that gain from AVX-512 are compiled for it as well
# and chosen at run time, so `native` is not faster. Where v3 cannot run, the default is `native`.
CPU_FLAGS := $(shell grep -m1 '^flags' /proc/cpuinfo 2>/dev/null)
ARCH    ?= $(if $(filter-out $(CPU_FLAGS),avx2 bmi1 bmi2 f16c fma abm movbe),native,x86-64-v3)
CXX    := $(if $(filter default undefined,$(origin CXX)),g++,$(CXX))
Q := $(if $(V),,@)
CCACHE := $(shell command -v ccache 2>/dev/null)

ifeq ($(filter auto 0 1 sim,$(CUDA)),)
  $(error CUDA=$(CUDA): expected auto, 0, 1 or sim)
endif
$(foreach library,LIBJPEG LIBWEBP LIBTIFF MPI GLOO NCCL,$(if $(filter auto 0 1,$($(library))),, \
  $(error $(library)=$($(library)): expected auto, 0 or 1)))
ifeq ($(filter $(CONFIG),release debug asan ubsan tsan races),)
  $(error CONFIG=$(CONFIG): expected release, debug, asan, ubsan, tsan or races)
endif

# auto: CUDA for this machine's GPU, or no CUDA if it has none. sim: kernels run on the CPU (core/cuda/sim).
ifeq ($(CUDA),auto)
  GPU_ARCH := $(shell nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | sort -u | tr -d .)
  override CUDA := $(if $(GPU_ARCH),$(if $(shell sh tools/find_cuda.sh),1,0),0)
  CUDA_ARCHS ?= $(patsubst 90,90a,$(GPU_ARCH))
endif
CUDA_ARCHS ?= 75 80 90a
ifeq ($(CUDA),1)
  $(foreach line,$(shell sh tools/find_cuda.sh | sed 's/ := */:=/; s/ /|/g'),$(eval $(subst |, ,$(line))))
  ifeq ($(NVCC),)
    $(error CUDA=1: no nvcc in CUDA_HOME, on the PATH, in /usr/local/cuda or in Python's packages)
  endif
endif
ifeq ($(CONFIG),races)
  override CUDA := sim
endif
# oneDNN and libgomp are not built for ThreadSanitizer, which would report every one of their barriers.
ifeq ($(CONFIG),tsan)
  ONEDNN := 0
endif

include tools/libraries.mk  # which of the optional libraries are there

BUILD ?= build/$(CONFIG)$(if $(filter 1,$(CUDA)),-cuda)$(if $(filter sim,$(CUDA)),-sim)$(if $(filter 0,$(ONEDNN)),-noonednn)$(if $(filter 0,$(LIBJPEG)),-nolibjpeg)$(if $(filter 0,$(LIBWEBP)),-nolibwebp)$(if $(filter 0,$(LIBTIFF)),-nolibtiff)$(NO_MPI)$(NO_GLOO)$(NO_NCCL)

# ---- flags -----------------------------------------------------------------------------------------------------
# -ffp-contract=off: the CPU and the GPU must round alike; the sources call `fma` explicitly where they mean it.
# -fno-math-errno, -fno-trapping-math: allow loops to be vectorised; neither changes a result.
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wdouble-promotion -Werror \
            -Wno-stringop-overflow -Wno-stringop-overread # false alarms of GCC 12 inside fmt and std::vector
CXXFLAGS_release := -O3 -g1
CXXFLAGS_debug   := -O0 -g
CXXFLAGS_asan    := -O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CXXFLAGS_ubsan   := -O1 -g1 -fsanitize=undefined -fno-sanitize-recover=all
CXXFLAGS_tsan    := -O1 -g1 -fsanitize=thread
CXXFLAGS_races   := $(CXXFLAGS_release) # so that everything except the kernels is already in ccache
# -ffile-prefix-map keeps the folder's name out of the objects, so that ccache finds them from another clone.
CXXFLAGS += -std=c++20 -march=$(ARCH) -ffp-contract=off -fno-math-errno -fno-trapping-math -MMD -MP -I. \
            -ffile-prefix-map="$$PWD"=. $(WARNINGS) $(CXXFLAGS_$(CONFIG))
LDFLAGS  += $(filter -fsanitize=%,$(CXXFLAGS_$(CONFIG)))
LDLIBS_FILES := -lfmt -lpugixml -lyaml-cpp -lexif -lsimdjson -lzip $(if $(filter 1,$(LIBJPEG)),-ljpeg) \
                $(if $(filter 1,$(LIBWEBP)),-lwebp) $(if $(filter 1,$(LIBTIFF)),-ltiff)
LDLIBS   += $(LDLIBS_FILES) -lcrypto -lpthread
ifeq ($(MPI),1)
  LDLIBS += $(filter -L% -l% -Wl%,$(MPI_FLAGS))
endif
ifeq ($(GLOO),1)
  LDLIBS += -lgloo
endif
ifeq ($(CONFIG),tsan)
  CXXFLAGS += -DRCNN_STD_THREADS
else
  CXXFLAGS += -fopenmp
  LDFLAGS  += -fopenmp
endif
ifeq ($(ONEDNN),1)
  CXXFLAGS += -DRCNN_ONEDNN
  LDLIBS   += -ldnnl
endif

ARCH_TEXT := "sm_$(subst $(space),$(comma) sm_,$(strip $(CUDA_ARCHS)))"
# Kernels (*.cu) are compiled by nvcc for a GPU and by g++ for the simulation. Both round as the CPU's sources do.
ifeq ($(CUDA),1)
  CXXFLAGS += -DRCNN_CUDA $(CUDA_INCLUDE)
  LDLIBS   += $(CUDART)
  # cuDNN, cuBLAS and NCCL are opened when they are first used (core/cuda/vendor_library.h), so only their folders matter.
  CXXFLAGS += $(if $(CUDNN),-DRCNN_CUDNN) $(if $(CUBLAS),-DRCNN_CUBLAS)
  ifeq ($(RPATH),)
    LDFLAGS += $(addprefix -Wl$(comma)-rpath$(comma),$(sort $(dir $(CUDNN) $(CUBLAS) $(if $(filter 1,$(NCCL)),$(NCCL_FILE)))))
  endif
  # Machine code for the architectures listed, and PTX that the driver translates for later ones.
  GENCODE   := $(foreach a,$(CUDA_ARCHS),-gencode=arch=compute_$(a),code=sm_$(a)) \
               $(if $(filter 80,$(CUDA_ARCHS)),-gencode=arch=compute_80$(comma)code=compute_80)
  NVCC_WARNINGS ?= -Werror all-warnings -Xcompiler -Wall,-Wextra
  NVCCFLAGS := -std=c++20 $(if $(filter debug,$(CONFIG)),-G,-O3 -lineinfo) --expt-relaxed-constexpr -fmad=false -DFMT_USE_CONSTEXPR=1 -DRCNN_CUDA \
               -DRCNN_CUDA_ARCHS='$(ARCH_TEXT)' -I. $(NVCC_WARNINGS) \
               -MMD -MP $(GENCODE) $(addprefix --compress-mode=,$(CUDA_COMPRESS)) \
               $(if $(CUDNN),-DRCNN_CUDNN) $(if $(CUBLAS),-DRCNN_CUBLAS) $(if $(filter 1,$(ONEDNN)),-DRCNN_ONEDNN)
endif
ifeq ($(CUDA),sim)
  CXXFLAGS += -DRCNN_CUDA -DRCNN_CUDA_SIM
  LDLIBS   += -lboost_context
  LDFLAGS  += -Wl,-rpath,'$$ORIGIN' -Wl,--export-dynamic-symbol='*cudaMemcpyAsync*' # for libnccl_simulated.so
  SIMFLAGS  = -x c++ $(subst -O1,-O2,$(CXXFLAGS)) -Wno-unused-parameter
  ifeq ($(CONFIG),races)
    # Only the instrumentation is used; core/cuda/sim/access_hooks.cpp implements its calls. -O2 would add loads that
    # no line of the source makes, and the replacement of structs by scalars (SRA) would make four of the one load of a
    # float4, which `rcnn lab explain` counts.
    SIMFLAGS += -O1 -g -fno-tree-sra -fsanitize=thread -DRCNN_RACE_CHECK
  endif
endif

# DEPS: a folder with headers, libraries and the font, for a machine without packages (see make deps-bundle).
ifneq ($(DEPS),)
  CXXFLAGS  += -isystem $(DEPS)/include
  NVCCFLAGS += -isystem $(DEPS)/include
  LDFLAGS   += -L$(DEPS)/lib -Wl,-rpath,$(abspath $(DEPS))/lib
  FONT      := $(DEPS)/share/DejaVuSans-Bold.ttf
endif

# RPATH: where the program looks for its libraries, and they for theirs, relative to itself (make gpu-bundle).
ifneq ($(RPATH),)
  LDFLAGS += -Wl,--disable-new-dtags -Wl,-rpath,'$$ORIGIN/$(RPATH)'
endif

# ---- sources ---------------------------------------------------------------------------------------------------
LIB_SOURCES  := $(sort $(wildcard core/*.cpp core/*/*.cpp kernels/*.cpp kernels/*/*.cpp layers/*.cpp models/*.cpp data/*.cpp \
                              eval/*.cpp report/*.cpp train/*.cpp))
ifeq ($(ONEDNN),0)
  LIB_SOURCES := $(filter-out %_onednn.cpp,$(LIB_SOURCES))
endif
# What data/codecs.cpp, which lists the libraries of images, is told, and the sources that need them.
CODEC_FLAGS := $(foreach library,LIBJPEG LIBWEBP LIBTIFF,$(if $(filter 1,$($(library))),-DRCNN_$(library)))
LIB_SOURCES := $(filter-out $(if $(filter 0,$(LIBJPEG)),data/codecs_turbo.cpp) $(if $(filter 0,$(LIBWEBP)),data/codecs_webp.cpp) \
                            $(if $(filter 0,$(LIBTIFF)),data/codecs_tiff.cpp),$(LIB_SOURCES))
ifneq ($(CUDA),0)
  LIB_SOURCES := $(filter-out core/cuda/absent.cpp,$(LIB_SOURCES))
  LIB_SOURCES += $(sort $(wildcard core/*/*.cu kernels/*/*.cu)) $(if $(filter sim,$(CUDA)),$(sort $(wildcard core/cuda/sim/*.cpp)))
else
  LIB_SOURCES := $(filter-out $(patsubst %,core/cuda/%.cpp,cuda device range side_work),$(LIB_SOURCES))
endif
LIB_SOURCES := $(filter-out $(if $(CUDNN),,%_cudnn.cpp) $(if $(CUBLAS),,%_cublas.cpp),$(LIB_SOURCES))
CLI_SOURCES  := $(sort $(wildcard cli/*.cpp))
BENCH_SOURCES := $(sort $(wildcard bench/*.cpp) $(if $(filter-out 0,$(CUDA)),$(wildcard bench/*.cu)))
TEST_SOURCES := $(sort $(wildcard tests/*.cpp tests/*/*.cpp tests/core/*/*.cpp tests/kernels/*/*.cpp) \
                       $(if $(filter sim,$(CUDA)),$(wildcard tests/core/*/*.cu)) \
                       $(if $(filter 1,$(CUDA)),$(patsubst %,tests/core/cuda/%.cu,intrinsics test_mma)))
EXAMPLE_SOURCES := $(sort $(wildcard examples/*.cpp))
object = $(patsubst %.cu,$(BUILD)/%.cu.o,$(patsubst %.cpp,$(BUILD)/%.o,$(1)))

# The heavy arithmetic is in core, kernels, layers and data. The other sources are compiled with -O1: their build time
# matters more than their speed, because the command line and the tests are half of the compiler's work.
LIGHT_SOURCES := $(filter models/% eval/% report/% train/%,$(LIB_SOURCES)) $(CLI_SOURCES) $(BENCH_SOURCES) $(TEST_SOURCES) $(EXAMPLE_SOURCES)
ifeq ($(CUDA),sim) # where the CPU's ops only serve as the reference
  LIGHT_SOURCES += $(filter core/%.cpp kernels/%.cpp layers/% data/%,$(filter-out core/cuda/sim/%,$(LIB_SOURCES)))
endif
$(call object,$(LIGHT_SOURCES)): private CXXFLAGS := $(subst -O3,-O1,$(CXXFLAGS))
# Under a sanitizer, sources with much code and little work are not optimised: that halves the time of the build.
ifneq ($(filter asan ubsan tsan,$(CONFIG)),)
# Pictures are painted pixel by pixel, in calls that only an optimiser removes.
$(call object,$(filter-out report/explain_drawing.cpp,$(filter cli/% bench/% report/% tests/%,$(LIGHT_SOURCES)))): \
  private CXXFLAGS := $(subst -O1,-O0,$(CXXFLAGS))
endif

LIB      := $(BUILD)/librcnn.a
PROGRAM  := $(BUILD)/rcnn
TESTS    := $(BUILD)/rcnn_tests
EXAMPLES := $(patsubst examples/%.cpp,$(BUILD)/examples/%,$(EXAMPLE_SOURCES))
# The path that the README names. Only release builds set it, so that it never stands for a sanitizer's slow program.
RCNN     := $(if $(filter release,$(CONFIG)),build/rcnn,$(PROGRAM))

.PHONY: all test kernel-tests run-kernel-tests test-kernels test-races exercise cuda-report cuda-table gpu-check gpu-bundle deps-bundle demo bench lint tidy format asan ubsan tsan fuzz torture parity install clean help FORCE
all: $(RCNN) $(EXAMPLES)  ## build the program and the examples (the default)

include tools/precompiled.mk
$(BUILD)/%.o: %.cpp $(BUILD)/flags | $(PRECOMPILED)
	@mkdir -p $(@D)
	@echo "  CXX $<"
	$(Q)$(CCACHE) $(CXX) $(CXXFLAGS) $(call precompiled,$(CXXFLAGS)) -c $< -o $@

ifeq ($(CUDA),1)
$(BUILD)/%.cu.o: %.cu $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  NVCC $<"
	$(Q)$(NVCC) $(NVCCFLAGS) -c $< -o $@
else
$(BUILD)/%.cu.o: %.cu $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  SIM $<"
	$(Q)$(CCACHE) $(CXX) $(SIMFLAGS) -c $< -o $@
endif

# Objects that were built with other flags are out of date.
$(BUILD)/flags: export FLAGS := $(CXX) $(CXXFLAGS) $(LDFLAGS) $(LDLIBS) $(NVCC) $(NVCCFLAGS) $(SIMFLAGS)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo "$$FLAGS" | cmp -s - $@ || echo "$$FLAGS" > $@

ifeq ($(CONFIG),races)
$(call object,$(filter core/cuda/sim/%,$(LIB_SOURCES))): private CXXFLAGS += -DRCNN_RACE_CHECK
endif

# The label font is embedded in the program, so that detections can be drawn on a machine without fonts.
FONT ?= $(firstword $(wildcard /usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf \
                               /usr/share/fonts/TTF/DejaVuSans-Bold.ttf /usr/share/fonts/dejavu/DejaVuSans-Bold.ttf))
$(BUILD)/data/draw.o: private CXXFLAGS += -DRCNN_FONT='"$(FONT)"'

$(BUILD)/data/codecs.o: private CXXFLAGS += $(CODEC_FLAGS)

ifeq ($(MPI),1)
$(BUILD)/core/world/mpi.o: private CXXFLAGS += -DRCNN_MPI $(patsubst -I%,-isystem %,$(filter -I%,$(MPI_FLAGS)))
endif

ifeq ($(GLOO),1)
$(BUILD)/core/world/gloo.o: private CXXFLAGS += -DRCNN_GLOO
endif

ifeq ($(NCCL),1)
$(BUILD)/core/world/nccl.o: private CXXFLAGS += -DRCNN_NCCL
endif

ifeq ($(CUDA),sim)
$(BUILD)/core/world/nccl.o: private CXXFLAGS += -DRCNN_NCCL -isystem tests/core/cuda/nccl
NCCL_SIMULATED := $(BUILD)/libnccl_simulated.so
$(NCCL_SIMULATED): tests/core/cuda/nccl/simulated_nccl.cpp $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  LINK $@"
	$(Q)$(CXX) $(CXXFLAGS) -isystem tests/core/cuda/nccl -fPIC -shared $< -o $@
endif

# When the commit changes, only the file that prints it is rebuilt.
COMMIT := $(shell git describe --always --dirty --tags 2>/dev/null || echo unreleased)
$(BUILD)/cli/version.o: private CXXFLAGS += -DRCNN_COMMIT='"$(COMMIT)"' $(if $(filter 1,$(CUDA)),-DRCNN_CUDA_ARCHS='$(ARCH_TEXT)')
$(BUILD)/cli/version.o: $(BUILD)/commit
ifeq ($(CUDA),1)
$(BUILD)/bench/lab_results.o: private CXXFLAGS += -DRCNN_NVCC='", nvcc $(shell $(NVCC) --version | sed -n 's/.*release \([0-9.]*\).*/\1/p')"'
endif
$(BUILD)/commit: FORCE
	@mkdir -p $(@D)
	@echo '$(COMMIT)' | cmp -s - $@ || echo '$(COMMIT)' > $@

# Compiled for any x86-64 processor, so that it can say what the program needs.
ifneq ($(filter x86-64-v%,$(ARCH)),)
$(BUILD)/cli/processor.o: private CXXFLAGS := $(subst -march=$(ARCH),-march=x86-64,$(CXXFLAGS)) -DRCNN_ARCH='"$(ARCH)"'
endif

$(LIB): $(call object,$(LIB_SOURCES))
	@rm -f $@
	$(Q)ar rcs $@ $^

# In CONFIG=races the kernels are linked first, as in rcnn_kernel_tests below, so that `rcnn lab verify` finds races.
$(PROGRAM): $(call object,$(if $(filter races,$(CONFIG)),$(filter kernels/%.cu,$(LIB_SOURCES))) $(CLI_SOURCES) $(BENCH_SOURCES)) $(LIB) | $(NCCL_SIMULATED)
	@echo "  LINK $@"
	$(Q)$(CXX) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# cli/usage.cpp: what the fuzz target of the command line needs of the command line's sources.
$(TESTS): $(call object,$(TEST_SOURCES) $(BENCH_SOURCES) cli/usage.cpp) $(LIB) | $(NCCL_SIMULATED)
	@echo "  LINK $@"
	$(Q)$(CXX) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(EXAMPLES): $(BUILD)/examples/%: $(BUILD)/examples/%.o $(LIB)
	@echo "  LINK $@"
	$(Q)$(CXX) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# The last release build, with or without CUDA. FORCE: a link's age is that of the program it points to, which says
# nothing of whether it points to this one.
build/rcnn: $(PROGRAM) FORCE
	@ln -sf $(patsubst build/%,%,$(PROGRAM)) $@

# Those that run the program or train.
RUNNING_TESTS := tests/cli/*,tests/train/*
test: $(RCNN) $(TESTS) $(EXAMPLES) $(if $(filter release/0,$(CONFIG)/$(CUDA)),test-kernels)  ## build and run the tests
	@# Most tests use one processor, so two processes share them.
	export RCNN_PROGRAM=$(PROGRAM) GOMP_SPINCOUNT=1000; \
	$(TESTS) -sf='$(RUNNING_TESTS)' > $(BUILD)/running_tests.log 2>&1 & running=$$!; \
	$(TESTS) -sfe='$(RUNNING_TESTS)'; rest=$$?; \
	wait $$running; status=$$?; cat $(BUILD)/running_tests.log; [ $$rest -eq 0 ] && exit $$status

# ---- kernels without a GPU: the tests of the simulation, in a build of their own -----------------------------------
# Only the sources that a training step and its tests need: everything that runs on a device.
KERNEL_LIB   := $(filter core/% kernels/% layers/% models/% train/sgd.cpp train/step.cpp train/step_record.cpp \
                   train/step_together.cpp train/passes_together.cpp train/gradient_tree.cpp train/gradient_sum.cpp \
                   train/ema.cpp train/config.cpp,$(LIB_SOURCES))
# Winograd and the panels have no kernel on a device, and their tests take a minute without optimisation.
KERNEL_TESTS := $(filter-out tests/kernels/gemm/test_winograd.cpp tests/kernels/gemm/test_panels.cpp, \
                  $(filter tests/main.cpp tests/kernels/% tests/core/cuda/% tests/layers/test_cuda_gradients.cpp \
                           tests/layers/test_packed_layers.cpp tests/train/test_cuda_step.cpp \
                           tests/train/test_ranks_step.cpp tests/bench/test_explain_counts.cpp tests/bench/test_peaks.cpp,$(TEST_SOURCES)))
# What `lab explain` needs of the lab.
KERNEL_LAB   := $(patsubst %,bench/%.cpp,checkout gpu_state lab_explain lab_advice lab_names lab_timer machine_code cards roofs timing) \
                $(filter %.cu,$(BENCH_SOURCES))
# The kernels are linked first: the linker keeps the first copy of an inline function, and CONFIG=races checks only the
# copies in the kernels' objects.
$(BUILD)/rcnn_kernel_tests: $(call object,$(KERNEL_TESTS) $(KERNEL_LAB) $(KERNEL_LIB)) | $(NCCL_SIMULATED)
	@echo "  LINK $@"
	$(Q)$(CXX) $(LDFLAGS) -o $@ $(filter %.cu.o,$^) $(filter-out %.cu.o,$^) $(LDLIBS)
kernel-tests: $(BUILD)/rcnn_kernel_tests
# The simulation runs on one thread, so the tests are split between two processes, of which each takes about half of the
# time.
run-kernel-tests: $(BUILD)/rcnn_kernel_tests
	export RCNN_TEST_ORDERS=$(RCNN_TEST_ORDERS); $< -tc='conv2d*,matmul*,ranks*' & some=$$!; \
	$< -tce='conv2d*,matmul*,ranks*'; rest=$$?; wait $$some && exit $$rest

# Runs every case of every CUDA kernel in one order of the threads; `make test CUDA=sim` and CI use five orders.
RCNN_TEST_ORDERS ?= 1
test-kernels:  ## test every CUDA kernel on the simulated device, in one order of its threads
	$(MAKE) CUDA=sim run-kernel-tests

test-races:  ## run the kernel tests and check every memory access of every thread for races
	$(MAKE) CONFIG=races RCNN_TEST_ORDERS=1 run-kernel-tests

exercise: $(PROGRAM)  ## follow docs/write-a-kernel.md: run its commands, make its edits, compare what is printed
	python3 -B tests/exercise.py

include tools/gpu.mk  # make cuda-report, gpu-check, gpu-bundle, deps-bundle

# ---- the demonstration: from generated scenes to a trained detector and its report, in out/demo ---------------------
DEMO := out/demo
demo: $(RCNN)  ## train a detector on generated scenes and write out/demo/report.html
	rm -rf $(DEMO)
	$(RCNN) synth --out $(DEMO)/scenes --count 900 --seed 1 --split train
	$(RCNN) synth --out $(DEMO)/scenes --count 50 --seed 1 --split val
	$(RCNN) synth --out $(DEMO)/scenes --count 100 --seed 2 --split test
	$(RCNN) train --config examples/demo.toml --data $(DEMO)/scenes --val val --test test --out $(DEMO)
	$(RCNN) detect --weights $(DEMO)/best.safetensors --out $(DEMO)/detections $(DEMO)/scenes/JPEGImages/test_0000*.png
	@echo "Look at $(DEMO)/report.html"

bench: $(RCNN)  ## time a training step, a detection, and every op
	$(RCNN) bench model --profile
	$(RCNN) bench ops

# ---- checks ----------------------------------------------------------------------------------------------------
lint:  ## check formatting, includes between floors, file lengths and shell scripts
	sh tools/lint.sh

tidy:  ## run clang-tidy on the files changed since the last commit (or BASE=COMMIT, BASE=all)
	@sh tools/tidy.sh $(BASE)

format:  ## format every source
	clang-format -i $$(git ls-files '*.h' '*.cpp' '*.cu')

# A sanitizer runs the same tests in a build of its own.
asan ubsan tsan:  ## run the tests under a sanitizer
	$(MAKE) CONFIG=$@ test

compile_commands.json: FORCE  ## write the compilation database for editors and clang-tidy
	@python3 tools/compile_commands.py '$(CXX) $(CXXFLAGS)' $(LIB_SOURCES) $(CLI_SOURCES) $(BENCH_SOURCES) \
	  $(TEST_SOURCES) $(EXAMPLE_SOURCES) > $@

include tests/attacks.mk  # make fuzz, make torture

# Runs both programs now, and rewrites the few numbers in tests/parity/expected that `make test` compares with. On
# Debian it needs python3-torch and python3-torchvision.
PYTHON ?= python3
parity: $(PROGRAM) $(TESTS)  ## compare every stage with torchvision and write docs/parity.md
	$(PYTHON) tests/parity/torchvision_side.py --full build/parity --expected tests/parity/expected
	RCNN_PARITY=build/parity RCNN_PARITY_TABLE=docs/parity.md $(TESTS) -tc='parity*'
	$(PYTHON) tests/parity/exchange.py --program $(PROGRAM) --folder build/parity/exchange

PREFIX ?= /usr/local
install: $(PROGRAM)  ## copy the program to $(PREFIX)/bin
	install -D -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/rcnn

clean:  ## remove everything that was built
	rm -rf build

help:  ## print this list
	@awk -F ':.*## ' '/^[a-z_. -]+:.*## / {printf "  make %-22s %s\n", $$1, $$2}' Makefile tools/gpu.mk tests/attacks.mk

-include $(patsubst %.o,%.d,$(call object,$(LIB_SOURCES) $(CLI_SOURCES) $(BENCH_SOURCES) $(TEST_SOURCES) $(EXAMPLE_SOURCES)))
