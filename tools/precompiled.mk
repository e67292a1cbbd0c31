# Included by the Makefile: core/precompiled.h, which is compiled once for each level of optimisation, instead of the
# same headers again in each source. Only builds under sanitizers have PCH=1, so that a source which does not
# include what it needs is found in a release build.
PCH ?= $(if $(filter asan ubsan tsan,$(CONFIG)),1,0)
ifeq ($(PCH)/$(DEPS)/$(filter g++ g++-%,$(CXX)),1//$(CXX))
  # The sources of CONFIG=races, all but its kernels, have the flags of a release build.
  PCH_FOLDER := build/precompiled/$(CXX)-$(ARCH)-$(subst races,release,$(CONFIG))
  # $(call precompiled,FLAGS): what a source that is compiled with these includes first. Where the compiler finds that
  # the file does not suit its flags, it reads the text.
  precompiled = -include $(PCH_FOLDER)/$(lastword $(filter -O%,$(1)))/precompiled.h
  PCH_LEVELS := $(sort $(filter -O%,$(CXXFLAGS) $(subst -O3,-O1,$(CXXFLAGS))) $(if $(filter asan ubsan tsan,$(CONFIG)),-O0))
  PRECOMPILED := $(patsubst %,$(PCH_FOLDER)/%/precompiled.h.gch,$(PCH_LEVELS))
  # So that ccache keeps the objects: its rules for files that are precompiled. The sources use neither __DATE__ nor __TIME__.
  # It compares checksums, as reading a hundred megabytes for each object takes longer than an object from the cache.
  ifeq ($(findstring pch_defines,$(CCACHE_SLOPPINESS)),)
    export CCACHE_SLOPPINESS := $(CCACHE_SLOPPINESS)$(if $(CCACHE_SLOPPINESS),$(comma))pch_defines$(comma)time_macros
  endif
  export CCACHE_PCH_EXTSUM := 1

$(PRECOMPILED): $(PCH_FOLDER)/%/precompiled.h.gch: core/precompiled.h
	@mkdir -p $(@D)
	@echo "  CXX $< $*"
	@echo '#include "$<"' > $(@:.gch=)
	$(Q)$(CCACHE) $(CXX) $(filter-out -O% -D% -MMD -MP,$(CXXFLAGS)) $* -x c++-header -c $(@:.gch=) -o $@
	$(Q)cksum < $@ > $@.sum
endif
