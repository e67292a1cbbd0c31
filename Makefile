# rcnn.cu: one Makefile for everything. `make help` lists what it can do.
#
# V=1 shows the commands.
# Switches:  CUDA=auto|0|1|sim   ONEDNN=1|0   ARCH=native|x86-64-v3|...   CONFIG=release|debug|asan|ubsan|tsan
# Objects live in build/<configuration>/, so that configurations never mix.

.DEFAULT_GOAL := all
MAKEFLAGS += --no-builtin-rules --no-print-directory
# As many jobs as there are processors, unless -j says otherwise.
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
  MAKEFLAGS += -j$(shell nproc)
endif
.SUFFIXES:
.DELETE_ON_ERROR:

CUDA   ?= auto
ONEDNN ?= 1
ARCH   ?= native
CONFIG ?= release
CXX    := $(if $(filter default undefined,$(origin CXX)),g++,$(CXX))
Q := $(if $(V),,@)
CCACHE := $(shell command -v ccache 2>/dev/null)

ifneq ($(filter-out auto 0,$(CUDA)),)
  $(error CUDA=$(CUDA): this version has no CUDA backend yet; use CUDA=0)
endif
ifeq ($(filter $(CONFIG),release debug asan ubsan tsan),)
  $(error CONFIG=$(CONFIG): expected release, debug, asan, ubsan or tsan)
endif
# oneDNN and libgomp are not built for ThreadSanitizer: it would report their every barrier.
ifeq ($(CONFIG),tsan)
  ONEDNN := 0
endif

BUILD ?= build/$(CONFIG)$(if $(filter 0,$(ONEDNN)),-noonednn)

# ---- flags -----------------------------------------------------------------------------------------------------
# -ffp-contract=off: CPU and GPU must round alike; `fma` is written where it is meant.
# -fno-math-errno, -fno-trapping-math: let loops vectorise; neither changes a result.
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wdouble-promotion -Werror \
            -Wno-stringop-overflow -Wno-stringop-overread # GCC 12's false alarms inside fmt and std::vector
CXXFLAGS_release := -O3 -g1
CXXFLAGS_debug   := -O0 -g
CXXFLAGS_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CXXFLAGS_ubsan   := -O1 -g -fsanitize=undefined -fno-sanitize-recover=all
CXXFLAGS_tsan    := -O1 -g -fsanitize=thread
CXXFLAGS += -std=c++20 -march=$(ARCH) -ffp-contract=off -fno-math-errno -fno-trapping-math -MMD -MP -I. \
            $(WARNINGS) $(CXXFLAGS_$(CONFIG))
LDFLAGS  += $(filter -fsanitize=%,$(CXXFLAGS_$(CONFIG)))
LDLIBS   += -lfmt -lpugixml -lsimdjson -lcrypto -lpthread
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

# ---- sources ---------------------------------------------------------------------------------------------------
LIB_SOURCES  := $(sort $(wildcard core/*.cpp kernels/*.cpp layers/*.cpp models/*.cpp data/*.cpp train/*.cpp))
ifeq ($(ONEDNN),0)
  LIB_SOURCES := $(filter-out %_onednn.cpp core/onednn.cpp,$(LIB_SOURCES))
endif
CLI_SOURCES  := $(sort $(wildcard cli/*.cpp))
BENCH_SOURCES := $(sort $(wildcard bench/*.cpp))
TEST_SOURCES := $(sort $(wildcard tests/*.cpp tests/*/*.cpp))
EXAMPLE_SOURCES := $(sort $(wildcard examples/*.cpp))
object = $(patsubst %.cpp,$(BUILD)/%.o,$(1))

# Arithmetic happens in core, kernels, layers and data. Elsewhere quick to build matters more than quick to run: the
# command line and the tests are half of the compiler's work.
LIGHT_SOURCES := $(filter models/% train/%,$(LIB_SOURCES)) $(CLI_SOURCES) $(BENCH_SOURCES) $(TEST_SOURCES) $(EXAMPLE_SOURCES)
$(call object,$(LIGHT_SOURCES)): private CXXFLAGS := $(subst -O3,-O1,$(CXXFLAGS))

LIB      := $(BUILD)/librcnn.a
PROGRAM  := $(BUILD)/rcnn
TESTS    := $(BUILD)/rcnn_tests
EXAMPLES := $(patsubst examples/%.cpp,$(BUILD)/examples/%,$(EXAMPLE_SOURCES))

.PHONY: all test demo bench lint tidy format asan ubsan tsan install clean help FORCE
all: build/rcnn $(EXAMPLES)  ## build the program and the examples (the default)

$(BUILD)/%.o: %.cpp $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  CXX $<"
	$(Q)$(CCACHE) $(CXX) $(CXXFLAGS) -c $< -o $@

# Anything built with other flags is out of date.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CXX) $(CXXFLAGS) $(LDFLAGS) $(LDLIBS)' | cmp -s - $@ || echo '$(CXX) $(CXXFLAGS) $(LDFLAGS) $(LDLIBS)' > $@

# The label font travels inside the program: detections can be drawn on a machine without fonts.
FONT ?= $(firstword $(wildcard /usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf \
                               /usr/share/fonts/TTF/DejaVuSans-Bold.ttf /usr/share/fonts/dejavu/DejaVuSans-Bold.ttf))
$(BUILD)/data/draw.o: private CXXFLAGS += -DRCNN_FONT='"$(FONT)"'

# Only the file that prints the commit is rebuilt when the commit changes.
COMMIT := $(shell git describe --always --dirty --tags 2>/dev/null || echo unreleased)
$(BUILD)/cli/version.o: private CXXFLAGS += -DRCNN_COMMIT='"$(COMMIT)"'
$(BUILD)/cli/version.o: $(BUILD)/commit
$(BUILD)/commit: FORCE
	@mkdir -p $(@D)
	@echo '$(COMMIT)' | cmp -s - $@ || echo '$(COMMIT)' > $@

$(LIB): $(call object,$(LIB_SOURCES))
	@rm -f $@
	$(Q)ar rcs $@ $^

$(PROGRAM): $(call object,$(CLI_SOURCES) $(BENCH_SOURCES)) $(LIB)
	@echo "  LINK $@"
	$(Q)$(CXX) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(TESTS): $(call object,$(TEST_SOURCES)) $(LIB)
	@echo "  LINK $@"
	$(Q)$(CXX) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(EXAMPLES): $(BUILD)/examples/%: $(BUILD)/examples/%.o $(LIB)
	@echo "  LINK $@"
	$(Q)$(CXX) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# The one short path that the README names; always the last configuration built by `make all`.
build/rcnn: $(PROGRAM)
	@ln -sf $(patsubst build/%,%,$(PROGRAM)) $@

test: $(PROGRAM) $(TESTS) build/rcnn  ## build and run the tests
	RCNN_PROGRAM=$(PROGRAM) $(TESTS)

# ---- the demonstration: from nothing to a trained detector and its report, in out/demo ------------------------------
DEMO := out/demo
demo: build/rcnn  ## train a detector on generated scenes and write out/demo/report.html
	rm -rf $(DEMO)
	build/rcnn synth --out $(DEMO)/scenes --count 900 --seed 1 --split train
	build/rcnn synth --out $(DEMO)/scenes --count 50 --seed 1 --split val
	build/rcnn synth --out $(DEMO)/scenes --count 100 --seed 2 --split test
	build/rcnn train --config examples/demo.toml --data $(DEMO)/scenes --val val --test test --out $(DEMO)
	build/rcnn detect --weights $(DEMO)/model.safetensors --out $(DEMO)/detections $(DEMO)/scenes/JPEGImages/test_0000*.png
	@echo "Look at $(DEMO)/report.html"

bench: build/rcnn  ## time a training step, a detection, and every op
	build/rcnn bench model --profile
	build/rcnn bench ops

# ---- checks ----------------------------------------------------------------------------------------------------
lint:  ## check formatting, the floors' includes, file lengths, scripts
	sh tools/lint.sh

tidy:  ## clang-tidy over what changed since the last commit; BASE=COMMIT or BASE=all
	@sh tools/tidy.sh $(BASE)

format:  ## format every source
	clang-format -i $$(git ls-files '*.h' '*.cpp')

# A sanitizer's run is the same tests in a build of its own.
asan ubsan tsan:  ## run the tests under a sanitizer
	$(MAKE) CONFIG=$@ test

compile_commands.json: FORCE  ## for editors and clang-tidy
	@python3 tools/compile_commands.py '$(CXX) $(CXXFLAGS)' $(LIB_SOURCES) $(CLI_SOURCES) $(BENCH_SOURCES) \
	  $(TEST_SOURCES) $(EXAMPLE_SOURCES) > $@

PREFIX ?= /usr/local
install: $(PROGRAM)  ## copy the program to $(PREFIX)/bin
	install -D -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/rcnn

clean:  ## remove everything that was built
	rm -rf build

help:  ## this list
	@awk -F ':.*## ' '/^[a-z_. ]+:.*## / {printf "  make %-22s %s\n", $$1, $$2}' Makefile

-include $(patsubst %.o,%.d,$(call object,$(LIB_SOURCES) $(CLI_SOURCES) $(BENCH_SOURCES) $(TEST_SOURCES) $(EXAMPLE_SOURCES)))
