// The one function of Windows' bcryptprimitives.dll that Go's runtime asks for, by the
// one of wine's that gives random bytes.
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE p, SIZE_T n) { return SystemFunction036(p, (ULONG)n); }
