package etcdproc

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
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

// userTicks is USER_HZ, in which /proc tells times on every architecture.
const userTicks = 100

// effortOf reads what a process has done out of /proc.
func effortOf(pid int) (e effort, known bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return e, false
	}
	// pid (name) state ppid ...: utime and stime are fields 14 and 15 (proc(5)).
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return e, false
	}
	for _, field := range fields[11:13] {
		n, err := strconv.ParseUint(string(field), 10, 63)
		if err != nil {
			return e, false
		}
		e.cpu += time.Duration(n) * (time.Second / userTicks)
	}
	e.waiting = string(fields[0]) == "D"
	io, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid)) // not everywhere
	if err == nil {
		for line := range bytes.Lines(io) {
			name, value, _ := bytes.Cut(bytes.TrimSpace(line), []byte(": "))
			if n, err := strconv.ParseUint(string(value), 10, 64); err == nil && (string(name) == "rchar" || string(name) == "wchar") {
				e.bytes += n
			}
		}
	}
	return e, true
}
