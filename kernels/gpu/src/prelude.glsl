#define FN
#define INOUT(T) inout T
#define BARRIER() barrier()
#define GID gl_GlobalInvocationID
#define LID gl_LocalInvocationID
#define WG gl_WorkGroupID
#define KERNEL_MAIN void main()
#define BITS(x) floatBitsToUint(x)
#define UNBITS(x) uintBitsToFloat(x)
#line 1
