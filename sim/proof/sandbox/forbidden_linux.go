package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// forbidden says in words that a host does not allow a way, "" for an error of
// another kind.
func forbidden(way Way, err error) string {
	failed := (*stepError)(nil)
	if way == Loopback || !errors.As(err, &failed) {
		return ""
	}
	switch syscall.Errno(failed.errno) {
	case syscall.EPERM, syscall.EACCES, syscall.ENOSPC, syscall.EUSERS, syscall.ENOSYS:
	case syscall.EINVAL: // of clone(2): a kernel that was built without
		if failed.step != stepClone {
			return ""
		}
	default:
		return ""
	}
	reason := fmt.Sprintf("%s: %s", way, failed)
	if why := suspects(way, syscall.Errno(failed.errno)); len(why) > 0 {
		reason += " (" + strings.Join(why, "; ") + ")"
	}
	return reason
}

// suspects are the settings by which hosts forbid namespaces, those that are set
// on this one.
func suspects(way Way, errno syscall.Errno) (found []string) {
	if way == Namespaces {
		for _, s := range []struct{ file, value, text string }{
			{"/proc/sys/kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone is 0, as on hardened Debian"},
			{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "kernel.apparmor_restrict_unprivileged_userns is 1, as on Ubuntu since 23.10"},
			{"/proc/sys/user/max_user_namespaces", "0", "user.max_user_namespaces is 0, as on hardened RHEL"},
			{"/proc/sys/user/max_net_namespaces", "0", "user.max_net_namespaces is 0"},
		} {
			data, err := os.ReadFile(s.file)
			if err == nil && string(bytes.TrimSpace(data)) == s.value {
				found = append(found, s.text)
			}
		}
	}
	if status, err := os.ReadFile("/proc/self/status"); err == nil && bytes.Contains(status, []byte("Seccomp:\t2")) {
		found = append(found, "this process runs under a seccomp filter, as in a container: run it on the host")
	}
	if errno == syscall.EPERM && way == RootNamespaces && len(found) == 0 {
		found = append(found, "it needs CAP_SYS_ADMIN")
	}
	return found
}

func errnoOf(err error) int {
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return int(errno)
	}
	return 0
}
