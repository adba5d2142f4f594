package snapshot

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// How long to wait for a writer that is about to let go, in steps.
const (
	lockTimeout = time.Second
	lockStep    = 50 * time.Millisecond
)

// lockShared takes the shared lock that bbolt's readers take (bbolt
// bolt_unix.go flock). etcd holds the exclusive one as long as it runs.
//
// bbolt takes it too, but only after this package has read the meta pages,
// which a writer may be changing; on the same open file that is not a second lock.
func lockShared(f *os.File) error {
	deadline := time.Now().Add(lockTimeout)
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, syscall.EINTR):
			continue
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return fmt.Errorf("locking: %w", err)
		case time.Now().After(deadline):
			return inUse(f)
		}
		time.Sleep(lockStep)
	}
}

// inUse names the holder of f's lock as far as the kernel tells.
func inUse(f *os.File) *InUseError {
	e := &InUseError{Path: f.Name()}
	info, err := f.Stat()
	if err != nil {
		return e
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return e
	}
	locks, err := os.ReadFile("/proc/locks") // Linux; elsewhere the holder stays unnamed
	if err != nil {
		return e
	}
	dev := uint64(stat.Dev) //nolint:unconvert // an int32 on darwin
	e.PID = lockHolder(locks, fmt.Sprintf("%02x:%02x:%d", unix.Major(dev), unix.Minor(dev), stat.Ino))
	if e.PID > 0 {
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", e.PID))
		e.Command = string(bytes.TrimSpace(comm))
	}
	return e
}

// lockHolder finds the process that holds a write lock on a file in the text
// of /proc/locks, 0 for none. A line reads
//
//	1: FLOCK  ADVISORY  WRITE 4711 fd:00:12345 0 EOF
//
// and its number is 0 or -1 when the holder lives in another pid namespace.
func lockHolder(locks []byte, file string) int {
	lines := bufio.NewScanner(bytes.NewReader(locks))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 || fields[1] == "->" || fields[3] != "WRITE" || fields[5] != file {
			continue
		}
		if pid, err := strconv.Atoi(fields[4]); err == nil && pid > 0 {
			return pid
		}
	}
	return 0
}
