package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// InUse looks for a process that has a file of the dir open, and is an
// snapshot.InUseError if there is one. etcd holds locks, too, but those do not
// show over a network file system and in another container; the kernel's list
// of open files does, as far as this process may look. The database's lock is
// asked for besides, when it is opened.
func (d *Dir) InUse() error {
	for _, dir := range d.folders() {
		if err := inUse(dir); err != nil {
			return err
		}
	}
	return nil
}

func inUse(dir string) error {
	files, err := filesOf(dir)
	if err != nil {
		return err
	}
	// Between fork and exec a child of this process has open what this one has.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fds, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return err
	}
	own := strconv.Itoa(os.Getpid())
	for _, fd := range fds {
		parts := strings.Split(fd, "/")
		if parts[2] == own {
			continue
		}
		info, err := os.Stat(fd)
		if err != nil || !holds(files, info) {
			continue // gone by now, or not ours to look at
		}
		if !writable("/proc/" + parts[2] + "/fdinfo/" + parts[4]) {
			continue
		}
		pid, _ := strconv.Atoi(parts[2])
		comm, _ := os.ReadFile("/proc/" + parts[2] + "/comm")
		return &snapshot.InUseError{Path: dir, PID: pid, Command: strings.TrimSpace(string(comm))}
	}
	return nil
}

func filesOf(dir string) ([]fs.FileInfo, error) {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real // WalkDir does not follow a link
	}
	var files []fs.FileInfo
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		files = append(files, info)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for open files: %w", err)
	}
	return files, nil
}

func holds(files []fs.FileInfo, info fs.FileInfo) bool {
	for _, f := range files {
		if os.SameFile(f, info) {
			return true
		}
	}
	return false
}

// writable reports whether an open file was opened for writing: a backup
// program that reads a stopped member's files is no reason to refuse.
func writable(fdinfo string) bool {
	data, err := os.ReadFile(fdinfo)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(data)) {
		if text, ok := strings.CutPrefix(line, "flags:"); ok {
			flags, err := strconv.ParseInt(strings.TrimSpace(text), 8, 64)
			return err == nil && flags&int64(os.O_WRONLY|os.O_RDWR) != 0
		}
	}
	return false
}
