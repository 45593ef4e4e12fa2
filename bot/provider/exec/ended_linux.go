package exec

import "syscall"

// pPID is P_PID of waitid(2), which package syscall does not have.
const pPID = 1

// ended returns once a child has ended, and leaves it to be waited for: until
// then its number, and that of its group, are nobody else's.
func ended(pid int) bool {
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, pPID, uintptr(pid), 0, syscall.WEXITED|syscall.WNOWAIT, 0, 0)
		if errno != syscall.EINTR {
			return errno == 0
		}
	}
}
