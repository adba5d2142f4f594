package etcdproc

import (
	"os"
	"strconv"
	"syscall"
)

// executable is the file of this process: not what stands at its path by now,
// which an upgrade may have replaced.
func executable() (string, error) { return "/proc/self/exe", nil }

// childAttr has the kernel tell the child when its parent dies, by the signal
// upon which the child removes its folder.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }

// fdPath is a name by which a descriptor can be opened anew.
func fdPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// shortName is a path to an open folder that is short, whatever dir is.
func shortName(f *os.File, _ string) string { return fdPath(int(f.Fd())) }
