#define FN __device__ __forceinline__
#define INOUT(T) T&
#define BARRIER() __syncthreads()
#define GID make_uint3(blockIdx.x * blockDim.x + threadIdx.x, blockIdx.y, blockIdx.z)
#define LID threadIdx
#define WG blockIdx
#define KERNEL_MAIN FN void kernel_main()
#define BITS(x) __float_as_uint(x)
#define UNBITS(x) __uint_as_float(x)
typedef unsigned int uint;
struct VEC {
    REAL x, y, z;
    __device__ __forceinline__ VEC() {}
    __device__ __forceinline__ VEC(REAL a, REAL b, REAL c) : x(a), y(b), z(c) {}
};
__device__ __forceinline__ VEC operator+(VEC a, VEC b) { return VEC(a.x + b.x, a.y + b.y, a.z + b.z); }
__device__ __forceinline__ VEC operator-(VEC a, VEC b) { return VEC(a.x - b.x, a.y - b.y, a.z - b.z); }
__device__ __forceinline__ VEC operator*(REAL s, VEC a) { return VEC(s * a.x, s * a.y, s * a.z); }
__device__ __forceinline__ REAL dot(VEC a, VEC b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
__device__ __forceinline__ VEC cross(VEC a, VEC b) { return VEC(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x); }
