// Package sandboxtest looks at the host before and after something has run in a
// sandbox, for tests.
package sandboxtest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/internal/mounttest"
)

// T is what is needed of a testing.T.
type T interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Cleanup(f func())
}

// kept are folders in which the host keeps what a control plane that is not in a
// sandbox would write to. What stands in them must not change: names, and of files
// sizes and times.
var kept = []string{"/", "/etc", "/etc/kubernetes", "/var/lib", "/var/lib/etcd", "/var/lib/etcd-data", "/usr/local/bin"}

// Host is what must be the same before, after and meanwhile: mounts, network
// addresses, routes, and what stands in the host's folders.
func Host(t T) string {
	t.Helper()
	var all strings.Builder
	for _, file := range []string{"/proc/self/mountinfo", "/proc/net/route", "/proc/net/ipv6_route"} {
		data, err := os.ReadFile(file)
		if err != nil && file == "/proc/self/mountinfo" {
			t.Fatal(err)
		}
		if strings.HasPrefix(file, "/proc/net") {
			data = withoutCounts(data)
		} else {
			data = withoutTests(data)
		}
		all.Write(data)
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(&all, addresses)
	for _, dir := range kept {
		entries, _ := os.ReadDir(dir) // what is not there has to stay away
		fmt.Fprint(&all, dir, ":")
		for _, e := range entries {
			fmt.Fprint(&all, " ", e.Name())
			if info, err := e.Info(); err == nil && info.Mode().IsRegular() { // a folder such as /tmp is everybody's
				fmt.Fprint(&all, " ", info.Size(), " ", info.ModTime().UnixNano())
			}
		}
		fmt.Fprintln(&all)
	}
	return all.String()
}

// withoutTests leaves the mounts that are not of other packages' tests, which run
// at the same time.
func withoutTests(mounts []byte) []byte {
	var out []byte
	for line := range bytes.Lines(mounts) {
		if !bytes.Contains(line, []byte(mounttest.Source)) {
			out = append(out, line...)
		}
	}
	return out
}

// withoutCounts leaves of a table of routes where they lead: the kernel counts
// their uses.
func withoutCounts(table []byte) []byte {
	var out []byte
	for line := range strings.Lines(string(table)) {
		if words := strings.Fields(line); len(words) > 3 {
			out = fmt.Appendln(out, words[0], words[1], words[2], words[len(words)-1])
		}
	}
	return out
}

// WaitFor waits until it is ok, five seconds at most.
func WaitFor(t T, what string, ok func() bool) {
	t.Helper()
	for range 500 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s: not within five seconds", what)
}

// Nobody is a user without any privilege.
const Nobody = 65534

// ForNobody makes a folder that belongs to Nobody, with a copy of the test
// binary in it under a name: what the go command builds stands where others
// may not look.
func ForNobody(t T, name string) (dir, binary string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "lifeboat-nobody-") // others cannot enter t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	binary = filepath.Join(dir, name)
	if err := copyFile("/proc/self/exe", binary); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, Nobody, Nobody); err != nil {
		t.Fatal(err)
	}
	return dir, binary
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		_ = out.Close()
		return err
	}
	return out.Close()
}
