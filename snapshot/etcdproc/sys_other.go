//go:build !linux

package etcdproc

import (
	"os"
	"strconv"
	"syscall"
)

func executable() (string, error) { return os.Executable() }

// childAttr: the end of its standard input is all that tells the child.
func childAttr() *syscall.SysProcAttr { return nil }

func fdPath(fd int) string { return "/dev/fd/" + strconv.Itoa(fd) }

// shortName: folders cannot be passed through by their descriptors here, so a
// long path is bind(2)'s to refuse.
func shortName(_ *os.File, dir string) string { return dir }

// effortOf: not known here.
func effortOf(int) (effort, bool) { return effort{}, false }
