//go:build unix

package app

import (
	"os"
	"syscall"
)

// lifeline is the pipe of a number; nil where that is none.
func lifeline(fd int) *os.File {
	var stat syscall.Stat_t
	if fd < 3 || syscall.Fstat(fd, &stat) != nil || stat.Mode&syscall.S_IFMT != syscall.S_IFIFO && stat.Mode&syscall.S_IFMT != syscall.S_IFSOCK {
		return nil
	}
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), "lifeline")
}
