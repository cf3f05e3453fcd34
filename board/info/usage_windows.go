package info

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

// memoryCounters is PROCESS_MEMORY_COUNTERS of psapi.h.
type memoryCounters struct {
	size, pageFaults                uint32
	peakWorkingSet, workingSet      uintptr
	peakPaged, paged, peakNon, non  uintptr
	pagefileUsage, peakPagefileUsed uintptr
}

var getProcessMemoryInfo = windows.NewLazySystemDLL("kernel32.dll").NewProc("K32GetProcessMemoryInfo")

// PeakRSS returns the most memory that this process has had in RAM, in bytes.
func PeakRSS() int64 {
	var c memoryCounters
	c.size = uint32(unsafe.Sizeof(c))
	ok, _, _ := getProcessMemoryInfo.Call(uintptr(windows.CurrentProcess()), uintptr(unsafe.Pointer(&c)), uintptr(c.size))
	if ok == 0 {
		return 0
	}
	return int64(c.peakWorkingSet)
}

// Disk returns the free and the total bytes of the file system that holds path.
func Disk(path string) (free, total int64, err error) {
	p, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, 0, err
	}
	var available, all, unused uint64
	if err := windows.GetDiskFreeSpaceEx(p, &available, &all, &unused); err != nil {
		return 0, 0, err
	}
	return int64(available), int64(all), nil
}
