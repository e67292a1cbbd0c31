# Included by the Makefile: what needs nvcc, or a machine with a GPU.

cuda-report:  ## print what every kernel was compiled to, and check the hot ones (needs nvcc and cuobjdump, but no GPU)
	$(MAKE) CUDA=1 cuda-table
KERNEL_OBJECTS := $(call object,$(filter kernels/%.cu,$(LIB_SOURCES)))
cuda-table: $(KERNEL_OBJECTS)
	python3 tools/sass_report.py --check $(KERNEL_OBJECTS)

gpu-check:  ## on a machine with a GPU: build, test, check for races, train and time; writes bench/results
	python3 tools/gpu_check.py

# Everything that a machine with a GPU needs, built here: build/gpu-bundle.tar.xz. Needs nvcc 12.8, but no GPU.
gpu-bundle:  ## build an archive that tests and times the project on a GPU elsewhere, in seven minutes
	$(MAKE) CUDA=1 CUDA_ARCHS="80 90a" CUDA_COMPRESS=size ARCH=x86-64-v3 ONEDNN=1 LIBWEBP=0 LIBTIFF=0 MPI=0 GLOO=0 CONFIG=release RPATH=../lib \
	  BUILD=build/gpu-bundle build/gpu-bundle/rcnn build/gpu-bundle/rcnn_tests
	sh tools/gpu_bundle.sh build/gpu-bundle build/gpu-bundle.tar.xz

deps-bundle:  ## fill third_party_bundle/ with headers and libraries for a machine without packages
	sh tools/deps_bundle.sh third_party_bundle
