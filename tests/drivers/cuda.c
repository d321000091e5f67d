/* A libcuda.so.1 whose devices remember only their number and whose memory is the host's.

   It does what ffmpeg asks of CUDA around NVENC: contexts, memory, copies. Nothing is ever computed: a kernel cannot be
   launched, so filters on the device fail. */
#include "machine.h"

#include <ffnvcodec/dynlink_cuda.h>

enum { NO_DEVICE = 100, INVALID_DEVICE = 101, NOT_SUPPORTED = 801, DEEPEST = 16 };

static __thread CUcontext stack[DEEPEST];
static __thread int depth;
static struct CUctx_st primary[MOST_SESSIONS];

static int devices(void) { return number_setting("devices", 1); }
static int absent(int device) { return device < 0 || device >= devices() || lost(device); }

CUresult cuInit(unsigned flags) { return (flags || !devices() || listed("lost", "", "all")) ? NO_DEVICE : 0; }
CUresult cuDeviceGetCount(int *count) { *count = devices(); return 0; }
CUresult cuDeviceGet(CUdevice *device, int ordinal) { *device = ordinal; return absent(ordinal) ? INVALID_DEVICE : 0; }
CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute which, CUdevice device) { *value = 256; return 0; }
CUresult cuDeviceGetName(char *name, int size, CUdevice device) {
    snprintf(name, size, "Stub GPU %d", device);
    return 0;
}
CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice device) {
    *major = 7;
    *minor = 5;
    return 0;
}

CUresult cuCtxPushCurrent_v2(CUcontext context) {
    if (depth == DEEPEST) abort();
    stack[depth++] = context;
    return 0;
}
CUresult cuCtxPopCurrent_v2(CUcontext *context) {
    if (!depth) return INVALID_DEVICE;
    *context = stack[--depth];
    return 0;
}
CUresult cuCtxCreate_v2(CUcontext *context, unsigned flags, CUdevice device) {
    if (absent(device)) return INVALID_DEVICE;
    *context = calloc(1, sizeof **context);
    (*context)->device = device;
    return cuCtxPushCurrent_v2(*context);
}
CUresult cuCtxDestroy_v2(CUcontext context) { free(context); return 0; }
CUresult cuCtxSetLimit(CUlimit limit, size_t value) { return 0; }
CUresult cuCtxGetDevice(CUdevice *device) {
    *device = depth ? stack[depth - 1]->device : 0;
    return depth ? 0 : INVALID_DEVICE;
}
CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    if (absent(device)) return INVALID_DEVICE;
    primary[device].device = device;
    *context = &primary[device];
    return 0;
}
CUresult cuDevicePrimaryCtxRelease(CUdevice device) { return 0; }
CUresult cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned flags) { return 0; }
CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned *flags, int *active) { *flags = *active = 0; return 0; }
CUresult cuDevicePrimaryCtxReset(CUdevice device) { return 0; }

static void *host(CUdeviceptr address) { return (void *)(uintptr_t)address; }
CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t size) {
    *address = (uintptr_t)malloc(size);
    return *address ? 0 : 2;
}
CUresult cuMemAllocPitch_v2(CUdeviceptr *address, size_t *pitch, size_t width, size_t height, unsigned element) {
    *pitch = (width + 255) / 256 * 256;
    return cuMemAlloc_v2(address, *pitch * height);
}
CUresult cuMemFree_v2(CUdeviceptr address) { free(host(address)); return 0; }
CUresult cuMemsetD8Async(CUdeviceptr address, unsigned char value, size_t size, CUstream stream) {
    memset(host(address), value, size);
    return 0;
}
CUresult cuMemcpy2D_v2(const CUDA_MEMCPY2D *copy) {
    const char *from = copy->srcMemoryType == CU_MEMORYTYPE_HOST ? copy->srcHost : host(copy->srcDevice);
    char *to = copy->dstMemoryType == CU_MEMORYTYPE_HOST ? copy->dstHost : host(copy->dstDevice);
    for (size_t row = 0; row < copy->Height; row++)
        memcpy(to + (copy->dstY + row) * copy->dstPitch + copy->dstXInBytes,
               from + (copy->srcY + row) * copy->srcPitch + copy->srcXInBytes, copy->WidthInBytes);
    return 0;
}
CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *copy, CUstream stream) { return cuMemcpy2D_v2(copy); }
CUresult cuGetErrorName(CUresult error, const char **text) {
    *text = (int)error == NO_DEVICE        ? "CUDA_ERROR_NO_DEVICE"
            : (int)error == INVALID_DEVICE ? "CUDA_ERROR_INVALID_DEVICE"
                                           : "CUDA_ERROR_NOT_SUPPORTED";
    return 0;
}
CUresult cuGetErrorString(CUresult error, const char **text) {
    *text = (int)error == NO_DEVICE        ? "no CUDA-capable device is detected"
            : (int)error == INVALID_DEVICE ? "invalid device ordinal"
                                           : "operation not supported";
    return 0;
}

#define NOTHING(name) CUresult name(void) { return 0; }
NOTHING(cuStreamCreate)
NOTHING(cuStreamQuery)
NOTHING(cuStreamSynchronize)
NOTHING(cuStreamDestroy_v2)
NOTHING(cuEventCreate)
NOTHING(cuEventDestroy_v2)
NOTHING(cuEventSynchronize)
NOTHING(cuEventQuery)
NOTHING(cuEventRecord)

/* ffmpeg refuses a driver in which one of these is missing, and calls none of them on our way. */
#define REFUSED(name) CUresult name(void) { return NOT_SUPPORTED; }
REFUSED(cuMemAllocManaged)
REFUSED(cuMemcpy)
REFUSED(cuMemcpyAsync)
REFUSED(cuMemcpyHtoD_v2)
REFUSED(cuMemcpyHtoDAsync_v2)
REFUSED(cuMemcpyDtoH_v2)
REFUSED(cuMemcpyDtoHAsync_v2)
REFUSED(cuMemcpyDtoD_v2)
REFUSED(cuMemcpyDtoDAsync_v2)
REFUSED(cuStreamAddCallback)
REFUSED(cuLaunchKernel)
REFUSED(cuLinkCreate)
REFUSED(cuLinkAddData)
REFUSED(cuLinkComplete)
REFUSED(cuLinkDestroy)
REFUSED(cuModuleLoadData)
REFUSED(cuModuleUnload)
REFUSED(cuModuleGetFunction)
REFUSED(cuModuleGetGlobal)
REFUSED(cuTexObjectCreate)
REFUSED(cuTexObjectDestroy)
REFUSED(cuGLGetDevices_v2)
REFUSED(cuGraphicsGLRegisterImage)
REFUSED(cuGraphicsUnregisterResource)
REFUSED(cuGraphicsMapResources)
REFUSED(cuGraphicsUnmapResources)
REFUSED(cuGraphicsSubResourceGetMappedArray)
REFUSED(cuGraphicsResourceGetMappedPointer_v2)
REFUSED(cuArray3DCreate_v2)
REFUSED(cuArrayDestroy)
