# Included by the Makefile: attacks on the program, longer than tests.

# ---- fuzzing: the readers of untrusted files, under libFuzzer and the sanitizers ------------------------------------
# tests/fuzz/targets.h says what a target is. An input that fails is left in build/fuzz/ as FILE, and `build/fuzz/NAME
# FILE` reproduces the failure. Once the fault is fixed, the input goes into tests/fuzz/corpus/NAME/.
FUZZ_TARGETS := annotation coco command_line cvat data_folder exif image labelme open_images plans pth pth_old safetensors settings tf_csv via yolo
FUZZ_SECONDS ?= 0
FUZZ_CXX     ?= clang++
FUZZ_FLAGS   := -std=c++20 -O1 -g -I. -MMD -MP -fsanitize=address,undefined -fno-sanitize-recover=all \
                -DRCNN_STD_THREADS -include tests/fuzz/libfuzzer/source_location.h
# Only the readers and the sources that they need.
FUZZ_SOURCES := $(patsubst %,core/%.cpp,config cuda/absent host_memory memory memory_limit tensor text) \
                $(patsubst %,core/files/%.cpp,atomic_file look other_formats output pickle pth pth_old pth_state_dict safetensors \
                  sha256 source_file tensor_file zip_archive) \
                $(patsubst %,data/%.cpp,annotation beside class_limits clip coco coco_file coco_images coco_places codecs convert csv cvat \
                  divide exif faults files folder image image_folder image_header image_index inside json_file \
                  label_forms labelled labelme name_key normalised open_images orientation parts rescale riff_tiff_header stb_impl tf_csv \
                  unread_forms via voc voc_lists write_forms xml yolo yolo_yaml) \
                $(filter data/codecs_%,$(LIB_SOURCES)) \
                bench/plan_file.cpp kernels/gemm/plan_names.cpp cli/usage.cpp models/config.cpp train/config.cpp train/settings_file.cpp
FUZZ_OBJECTS  = $(patsubst %.cpp,build/fuzz/%.o,$(FUZZ_SOURCES))
FUZZERS      := $(addprefix build/fuzz/,$(FUZZ_TARGETS))
build/fuzz/%.o: %.cpp
	@mkdir -p $(@D)
	@echo "  FUZZ $<"
	$(Q)$(FUZZ_CXX) $(FUZZ_FLAGS) $(CODEC_FLAGS) -fsanitize=fuzzer-no-link -c $< -o $@
build/fuzz/readers.a: $(FUZZ_OBJECTS)
	@rm -f $@
	$(Q)ar rcs $@ $^
$(FUZZERS): build/fuzz/%: tests/fuzz/libfuzzer/entry.cpp build/fuzz/tests/fuzz/%.o build/fuzz/readers.a
	@echo "  LINK $@"
	$(Q)$(FUZZ_CXX) $(FUZZ_FLAGS) -fsanitize=fuzzer -DRCNN_FUZZ_TARGET=$* -o $@ $^ $(LDLIBS_FILES) -lcrypto -lpthread
fuzz: $(FUZZERS)  ## build the fuzzers of the file readers (needs clang); FUZZ_SECONDS=600 runs each for that long
	@failed=0; [ $(FUZZ_SECONDS) -eq 0 ] || for name in $(FUZZ_TARGETS); do \
	  mkdir -p build/fuzz/found/$$name; \
	  echo "  RUN build/fuzz/$$name"; \
	  build/fuzz/$$name -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -max_len=4096 -use_value_profile=1 \
	    -verbosity=0 -print_final_stats=1 -artifact_prefix=build/fuzz/$$name- \
	    build/fuzz/found/$$name tests/fuzz/corpus/$$name || failed=1; \
	done; exit $$failed
-include $(FUZZ_OBJECTS:.o=.d) $(FUZZERS:build/fuzz/%=build/fuzz/tests/fuzz/%.d)

# ---- a standing attack: single faults of the system, limits and kills, on small commands ------------------------------
# tests/torture/torture.py says what is checked. Not a part of `make test`; CI runs it for two minutes. What is longer
# than five minutes also watches the memory of thousands of steps and detections.
TORTURE_SECONDS ?= 1200
TORTURE_SEED    ?=
build/torture/faults.so: tests/torture/preload/faults.cpp
	@mkdir -p $(@D)
	@echo "  CXX $<"
	$(Q)$(CXX) -std=c++20 -O1 -Wall -Wextra -shared -fPIC -o $@ $< -ldl
torture: $(PROGRAM) build/torture/faults.so  ## attack the program with faults for TORTURE_SECONDS=1200; no file may be lost
	python3 -B tests/torture/torture.py --program $(PROGRAM) --seconds $(TORTURE_SECONDS) $(addprefix --seed ,$(TORTURE_SEED)) \
	  $(if $(shell [ $(TORTURE_SECONDS) -gt 300 ] && echo 1),--long)
