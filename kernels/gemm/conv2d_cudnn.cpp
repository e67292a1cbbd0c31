// Convolution through cuDNN, the baseline to beat. For each pass of each shape, every engine that cuDNN
// suggests is timed (see max_timed_plans), and the fastest is kept.
//
// The search takes seconds and waits for the GPU, so it should come before a measurement or a recording.
// Another run of the program may find another engine, and another engine adds in another order: unlike the
// project's own kernels, these variants do not give the same bits in every run. Within a run they do, because
// engines with atomic additions are left out. The epilogue is a separate pass.
//
// There is no bf16 variant: the op's outputs are f32, and cuDNN 9.19 has no engine for dx and dw that writes
// f32 from bf16 operands.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>

#include "core/cuda/device.h"
#include "kernels/alignment.h"
#include "kernels/gemm/conv2d.h"
#include "kernels/gemm/cuda_library.h"
#include "kernels/gemm/cudnn.h"

namespace rcnn::kernels {
namespace {

enum class Pass { forward, dx, dw };

/// cuDNN's names for the tensors x, w and y in every pass. In a backward pass, dx or dw takes the place of x
/// or w, and g that of y.
struct PassNames {
  const char* name;
  cudnnBackendDescriptorType_t operation;
  cudnnBackendAttributeName_t convolution, x, w, y, alpha, beta;
};
constexpr PassNames kPassNames[] = {
    {"forward", CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
    {"dx", CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
    {"dw", CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA},
};

/// The problem that an engine is chosen for.
struct Problem {
  Pass pass;
  Conv2dShape shape;
  Precision precision;
  bool add;           // whether the result is added to the output
  int64_t alignment;  // of every pointer, in bytes
  auto operator<=>(const Problem&) const = default;

  const PassNames& names() const { return kPassNames[static_cast<int>(pass)]; }
  std::string str() const {
    return fmt::format(
        "the {} pass of a convolution of ({}, {}, {}, {}) with filters ({}, {}, {}, {}), stride {}, pad {}, "
        "dilation {}",
        names().name, shape.n, shape.h, shape.w, shape.c, shape.k, shape.r, shape.s, shape.c, shape.stride,
        shape.pad, shape.dilation);
  }
};

/// x (N, H, W, C), w (K, R, S, C) and y (N, OH, OW, K), or their gradients. A pass reads two and
/// writes the third.
struct Operands {
  void *x, *w, *y;
};

enum TensorId : int64_t { kX = 1, kW, kY };

/// A dense tensor whose channels run fastest. cuDNN lists the sizes as (N, C, H, W) for every layout.
CudnnDescriptor tensor(TensorId id, int64_t alignment, int64_t n, int64_t h, int64_t w, int64_t c) {
  CudnnDescriptor t(CUDNN_BACKEND_TENSOR_DESCRIPTOR, "a tensor");
  t.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, int64_t{id});
  t.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_DATA_FLOAT);
  t.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, alignment);
  t.set(CUDNN_ATTR_TENSOR_DIMENSIONS, {n, c, h, w});
  t.set(CUDNN_ATTR_TENSOR_STRIDES, {h * w * c, int64_t{1}, w * c, c});
  t.finalize();
  return t;
}

/// The graph of one convolution. All its tensors are f32; whether products are tf32 depends on the engine.
CudnnDescriptor operation_graph(cudnnHandle_t handle, const Problem& problem) {
  const Conv2dShape& p = problem.shape;
  CudnnDescriptor convolution(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, "a convolution");
  convolution.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, int64_t{2});
  convolution.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT);
  convolution.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION);
  convolution.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, {p.pad, p.pad});
  convolution.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, {p.pad, p.pad});
  convolution.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, {p.stride, p.stride});
  convolution.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, {p.dilation, p.dilation});
  convolution.finalize();

  const PassNames& names = problem.names();
  CudnnDescriptor operation(names.operation, "a convolution's operation");
  operation.set(names.convolution, convolution);
  operation.set(names.x, tensor(kX, problem.alignment, p.n, p.h, p.w, p.c));
  operation.set(names.w, tensor(kW, problem.alignment, p.k, p.r, p.s, p.c));
  operation.set(names.y, tensor(kY, problem.alignment, p.n, p.oh(), p.ow(), p.k));
  operation.set(names.alpha, 1.0f);
  operation.set(names.beta, problem.add ? 1.0f : 0.0f);
  operation.finalize();

  CudnnDescriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, "a graph of operations");
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, handle);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, operation);
  graph.finalize();
  return graph;
}

/// The engines that cuDNN suggests, each with its settings, the most promising one first.
std::vector<CudnnDescriptor> suggested_engines(const CudnnDescriptor& graph, cudnnBackendHeurMode_t mode) {
  CudnnDescriptor heuristic(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, "a list of engines");
  heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
  heuristic.set(CUDNN_ATTR_ENGINEHEUR_MODE, mode);
  if (!heuristic.try_finalize()) return {};
  return heuristic.get_descriptors(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR,
                                   "an engine's settings");
}

/// Whether an engine computes what the op promises: a plain sum of products in this precision, in
/// a fixed order.
bool is_faithful(const CudnnDescriptor& settings, Precision precision) {
  const std::vector<CudnnDescriptor> engine =
      settings.get_descriptors(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR, "an engine");
  for (const cudnnBackendNumericalNote_t note : engine.at(0).get<cudnnBackendNumericalNote_t>(
           CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT)) {
    if (note == CUDNN_NUMERICAL_NOTE_TENSOR_CORE && precision == Precision::f32) return false;  // tf32
    if (note == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC || note == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS ||
        note == CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION || note == CUDNN_NUMERICAL_NOTE_FFT ||
        note == CUDNN_NUMERICAL_NOTE_WINOGRAD)
      return false;
  }
  return true;
}

struct Plan {
  CudnnDescriptor settings;  // of its engine; kept as long as the plan
  CudnnDescriptor descriptor;
  int64_t scratch_bytes;
};

/// The maximum scratch memory that an engine may ask for.
constexpr int64_t kMaxScratch = int64_t{512} << 20;

/// The plan that runs an engine; nothing if the engine does not support this case or asks for too much
/// scratch memory.
std::optional<Plan> make_plan(cudnnHandle_t handle, CudnnDescriptor settings) {
  CudnnDescriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, "a plan");
  plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, handle);
  plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, settings);
  if (!plan.try_finalize()) return std::nullopt;
  const int64_t bytes = plan.get<int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, 1).at(0);
  if (bytes > kMaxScratch) return std::nullopt;
  return Plan{std::move(settings), std::move(plan), bytes};
}

/// The plans of an operation that may be chosen. cuDNN's second list consists of engines that support
/// nearly every case.
std::vector<Plan> find_plans(cudnnHandle_t handle, const Problem& problem) {
  const CudnnDescriptor graph = operation_graph(handle, problem);
  std::vector<Plan> plans;
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK})
    for (CudnnDescriptor& settings : suggested_engines(graph, mode)) {
      if (plans.size() >= max_timed_plans) break;
      if (!is_faithful(settings, problem.precision)) continue;
      if (auto plan = make_plan(handle, std::move(settings))) plans.push_back(std::move(*plan));
    }
  check(!plans.empty(), "cuDNN has no engine for {}", problem.str());
  return plans;
}

/// Queues a plan. `scratch` points to plan.scratch_bytes bytes.
cudnnStatus_t execute(cudnnHandle_t handle, const Plan& plan, const Operands& operands, void* scratch) {
  CudnnDescriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, "a plan's operands");
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, {int64_t{kX}, int64_t{kW}, int64_t{kY}});
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, {operands.x, operands.w, operands.y});
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, scratch);
  pack.finalize();
  return RCNN_CUDNN_CALL(cudnnBackendExecute)(handle, plan.descriptor.raw(), pack.raw());
}

/// The shortest of a few runs, in milliseconds; infinity if cuDNN refuses to run the plan.
float best_time(cudnnHandle_t handle, const Stream& stream, Workspace& workspace, const Plan& plan,
                const Operands& operands) {
  constexpr int kRuns = 4;  // the first also loads the kernel
  const Workspace::Scope scope(workspace);
  void* scratch = take_library_scratch(workspace, plan.scratch_bytes);
  cuda::Event begin(stream.device, true), end(stream.device, true);
  float best = std::numeric_limits<float>::infinity();
  for (int run = 0; run < kRuns; ++run) {
    begin.record(stream);
    if (execute(handle, plan, operands, scratch) != CUDNN_STATUS_SUCCESS)
      return std::numeric_limits<float>::infinity();
    end.record(stream);
    end.wait();
    best = std::min(best, end.since(begin));
  }
  return best;
}

/// The fastest plan. Runs every plan on the operands, but lets it write to scratch memory.
Plan find_fastest(cudnnHandle_t handle, const Stream& stream, Workspace& workspace, const Problem& problem,
                  Operands operands) {
  cudaStreamCaptureStatus capture{};
  const cudaError_t status = cudaStreamIsCapturing(stream.handle, &capture);
  check(status == cudaSuccess, "asking whether the stream is being recorded: {}", cudaGetErrorString(status));
  check(capture == cudaStreamCaptureStatusNone,
        "cuDNN's engine for {} is chosen in its first run, which cannot be recorded in a CUDA graph: run it "
        "once before recording",
        problem.str());
  const Conv2dShape& p = problem.shape;
  const Workspace::Scope scope(workspace);
  if (problem.pass == Pass::forward) operands.y = workspace.take<float>(p.n * p.oh() * p.ow() * p.k);
  if (problem.pass == Pass::dx) operands.x = workspace.take<float>(p.n * p.h * p.w * p.c);
  if (problem.pass == Pass::dw) operands.w = workspace.take<float>(p.k * p.r * p.s * p.c);
  std::vector<Plan> plans = find_plans(handle, problem);
  Plan* fastest = nullptr;
  float min_time = std::numeric_limits<float>::infinity();
  for (Plan& plan : plans) {
    const float time = best_time(handle, stream, workspace, plan, operands);
    if (time < min_time) {
      min_time = time;
      fastest = &plan;
    }
  }
  static_cast<void>(cudaGetLastError());  // an engine that refused may have left an error
  check(fastest != nullptr, "cuDNN could run none of its engines for {}", problem.str());
  return std::move(*fastest);
}

/// The cuDNN handle of a workspace, and the plans chosen so far.
struct CudnnCache {
  CudnnCache() { cudnn_check(RCNN_CUDNN_CALL(cudnnCreate)(&handle), "creating a handle"); }
  ~CudnnCache() {
    plans.clear();
    RCNN_CUDNN_CALL(cudnnDestroy)(handle);
  }
  CudnnCache(const CudnnCache&) = delete;
  CudnnCache& operator=(const CudnnCache&) = delete;

  cudnnHandle_t handle = nullptr;
  std::map<Problem, Plan> plans;
};

/// Runs one pass of a convolution, without an epilogue.
void convolve(const Stream& stream, Workspace& workspace, Pass pass, const Conv2dShape& p,
              Precision precision, bool add, Operands operands) {
  const bool aligned = aligned_to_16(operands.x) && aligned_to_16(operands.w) && aligned_to_16(operands.y);
  const Problem problem{pass, p, precision, add, aligned ? 16 : 4};

  auto& cache = workspace.cache<CudnnCache>();
  cudnn_check(RCNN_CUDNN_CALL(cudnnSetStream)(cache.handle, stream.handle), "setting the stream");
  auto found = cache.plans.find(problem);
  if (found == cache.plans.end())
    found =
        cache.plans.emplace(problem, find_fastest(cache.handle, stream, workspace, problem, operands)).first;
  const Plan& plan = found->second;
  cudnn_check(execute(cache.handle, plan, operands, take_library_scratch(workspace, plan.scratch_bytes)),
              "running the {} pass of a convolution", problem.names().name);
}

void* writable(const float* pointer) { return const_cast<float*>(pointer); }

}  // namespace

const std::string& missing_cudnn() { return cudnn_library().missing(); }

template <Precision P>
void conv2d_cudnn(const Stream& stream, Workspace& workspace, const Conv2dArgs<float>& a) {
  const Conv2dShape& p = a.shape;
  if (p.n == 0) return;
  const int64_t rows = p.n * p.oh() * p.ow();
  float* z = a.residual == a.y ? workspace.take<float>(rows * p.k) : a.y;
  convolve(stream, workspace, Pass::forward, p, P, false, {writable(a.x), writable(a.w), z});
  epilogue_pass(stream, {.rows = rows,
                         .columns = p.k,
                         .z = z,
                         .scale = a.scale,
                         .bias = a.bias,
                         .residual = a.residual,
                         .relu = a.relu,
                         .y = a.y});
}

template <Precision P>
void conv2d_dx_cudnn(const Stream& stream, Workspace& workspace, const Conv2dDxArgs<float>& a) {
  if (a.shape.n == 0) return;
  convolve(stream, workspace, Pass::dx, a.shape, P, a.accumulate == Accumulate::yes,
           {a.dx, writable(a.w), writable(a.g)});
}

template <Precision P>
void conv2d_dw_cudnn(const Stream& stream, Workspace& workspace, const Conv2dDwArgs<float>& a) {
  const Conv2dShape& p = a.shape;
  if (p.n > 0) {
    convolve(stream, workspace, Pass::dw, p, P, a.accumulate == Accumulate::yes,
             {writable(a.x), a.dw, writable(a.g)});
  } else if (a.accumulate == Accumulate::no) {
    clear(stream, a.dw, p.k * p.r * p.s * p.c);
  }
}

// clang-format off
template void conv2d_cudnn<Precision::f32>(const Stream&, Workspace&, const Conv2dArgs<float>&);
template void conv2d_cudnn<Precision::tf32>(const Stream&, Workspace&, const Conv2dArgs<float>&);
template void conv2d_dx_cudnn<Precision::f32>(const Stream&, Workspace&, const Conv2dDxArgs<float>&);
template void conv2d_dx_cudnn<Precision::tf32>(const Stream&, Workspace&, const Conv2dDxArgs<float>&);
template void conv2d_dw_cudnn<Precision::f32>(const Stream&, Workspace&, const Conv2dDwArgs<float>&);
template void conv2d_dw_cudnn<Precision::tf32>(const Stream&, Workspace&, const Conv2dDwArgs<float>&);
// clang-format on

}  // namespace rcnn::kernels
