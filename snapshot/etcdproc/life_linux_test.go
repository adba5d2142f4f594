package etcdproc_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

func init() {
	helpers["full"] = helpFull
	helpers["leak"] = helpLeak
}

// children are the processes at work in a folder under dir.
func children(t *testing.T, dir string) (pids []int) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	require.NoError(t, err)
	for _, link := range links {
		cwd, err := os.Readlink(link)
		if err != nil || !strings.HasPrefix(cwd, dir+"/") {
			continue // gone since, or not of this test
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		require.NoError(t, err)
		pids = append(pids, pid)
	}
	return pids
}

// requireNothing holds that no process and no file is left.
func requireNothing(t *testing.T, dir string) {
	t.Helper()
	require.Empty(t, children(t, dir))
	requireEmpty(t, dir)
}

// eventuallyNothing is requireNothing for processes that are not ours to wait for.
func eventuallyNothing(t *testing.T, dir string) {
	t.Helper()
	require.Eventually(t, func() bool { return len(children(t, dir)) == 0 }, 10*time.Second, 5*time.Millisecond)
	requireEmpty(t, dir)
}

func TestCloseLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, err := boot(t, harbour(t), dir)
	require.NoError(t, err)
	require.Len(t, children(t, dir), 1)
	scratch, err := filepath.Glob(filepath.Join(dir, "lifeboat-etcd-*.part"))
	require.NoError(t, err)
	require.Len(t, scratch, 1)
	require.NoError(t, filepath.WalkDir(scratch[0], func(path string, _ os.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := os.Lstat(path)
		require.NoError(t, err)
		require.Zero(t, info.Mode().Perm()&0o077, "%s is for nobody else", path)
		return nil
	}))

	require.NoError(t, p.Close())
	requireNothing(t, dir)
	require.NoError(t, p.Close(), "closing twice is no error")
	require.Error(t, readError(t, p, 0), "nothing answers any more")
}

func TestCancelLeavesNothing(t *testing.T) {
	t.Parallel()
	file, dir := harbour(t), t.TempDir()
	for after := time.Duration(0); after < 150*time.Millisecond; after += 10 * time.Millisecond {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		f, err := os.Open(file)
		require.NoError(t, err)
		p, err := etcdproc.Start(ctx, f, etcdproc.Options{Dir: dir})
		require.NoError(t, f.Close())
		if err != nil {
			require.ErrorIs(t, err, context.DeadlineExceeded)
			requireNothing(t, dir)
			cancel()
			continue
		}
		cancel() // the child lives as long as its context
		require.Error(t, readError(t, p, 0))
		require.NoError(t, p.Close())
		requireNothing(t, dir)
	}
}

func TestKilledChild(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, err := boot(t, harbour(t), dir)
	require.NoError(t, err)
	n := 0
	var last error
	for _, err := range p.At(t.Context(), 0, nil) {
		if n++; n == 1 {
			require.NoError(t, syscall.Kill(children(t, dir)[0], syscall.SIGKILL))
		}
		last = err
	}
	if last == nil { // all was on its way already
		last = readError(t, p, 0)
	}
	var died *etcdproc.DiedError
	require.ErrorAs(t, last, &died)
	require.Equal(t, "signal: killed", died.State)
	requireNothing(t, dir)
	require.NoError(t, p.Close())
}

// hold starts a process that keeps an etcd child, and returns when it serves.
func hold(t *testing.T, file, dir string) *exec.Cmd {
	t.Helper()
	cmd := helper(t, "hold", file, dir)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	t.Cleanup(func() { _ = stdin.Close() })
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintln("started", harbourRevision), line)
	return cmd
}

// The parent cannot clean up after SIGKILL: the child does.
func TestKilledParent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := hold(t, harbour(t), dir)
	require.Len(t, children(t, dir), 1)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	eventuallyNothing(t, dir)
}

// When both are killed (a whole cgroup, the power) the next run sweeps; never
// before, and never anything else.
func TestSweep(t *testing.T) {
	t.Parallel()
	file, dir := harbour(t), t.TempDir()
	keep := []string{
		"lifeboat-etcd-1.part/etcd/member", // no owner file: not made by us
		"lifeboat-etcd-2.partial",
		"infra-production.part",
	}
	for _, name := range keep {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, name), 0o700))
	}
	require.NoError(t, os.Symlink(t.TempDir(), filepath.Join(dir, "lifeboat-etcd-3.part")))

	live, err := boot(t, file, dir)
	require.NoError(t, err)
	cmd := hold(t, file, dir)
	require.Len(t, children(t, dir), 2)
	swept, err := etcdproc.Sweep(dir)
	require.NoError(t, err)
	require.Empty(t, swept, "both are alive")

	own := children(t, dir)
	require.NoError(t, cmd.Process.Signal(syscall.SIGSTOP)) // so that it cannot clean up
	var orphan int
	for _, pid := range own {
		if parent(t, pid) == cmd.Process.Pid {
			orphan = pid
		}
	}
	scratch, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", orphan))
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(orphan, syscall.SIGKILL))
	swept, err = etcdproc.Sweep(dir)
	require.NoError(t, err)
	require.Empty(t, swept, "the parent is alive")
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())

	// The kernel lets go of a killed process's lock with its last thread.
	require.Eventually(t, func() bool {
		swept, err = etcdproc.Sweep(dir)
		return err != nil || len(swept) > 0
	}, 10*time.Second, 5*time.Millisecond)
	require.NoError(t, err)
	require.Equal(t, []string{scratch}, swept)
	require.NoDirExists(t, scratch)
	for _, name := range keep {
		require.DirExists(t, filepath.Join(dir, name))
	}
	require.Len(t, read(t, live, 0, nil), harbourKeys, "a living one is not touched")
	require.NoError(t, live.Close())
}

// parent is the parent of a process.
func parent(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(status), "\nPPid:\t")
	require.True(t, found)
	line, _, _ := strings.Cut(rest, "\n")
	ppid, err := strconv.Atoi(line)
	require.NoError(t, err)
	return ppid
}

// Ctrl-C reaches the whole group; what happens then is the parent's to say.
func TestIgnoresInterrupt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, err := boot(t, harbour(t), dir)
	require.NoError(t, err)
	child := children(t, dir)
	require.Len(t, child, 1)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT} {
		require.NoError(t, syscall.Kill(child[0], sig))
	}
	require.Len(t, read(t, p, 0, nil), harbourKeys)
	require.NoError(t, p.Close())
	requireNothing(t, dir)
}

// The child's sockets are none of an IP network's, nor has any a name.
func TestNoListener(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, err := boot(t, harbour(t), dir)
	require.NoError(t, err)
	defer p.Close()
	pid := children(t, dir)[0]

	tables := map[string]string{}
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6", "raw", "raw6", "unix"} {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if errors.Is(err, os.ErrNotExist) {
			continue // no IPv6 here
		}
		require.NoError(t, err)
		tables[table] = string(data)
	}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	require.NoError(t, err)
	sockets := 0
	for _, fd := range fds {
		link, err := os.Readlink(fd)
		if err != nil || !strings.HasPrefix(link, "socket:[") {
			continue
		}
		sockets++
		inode := strings.TrimSuffix(strings.TrimPrefix(link, "socket:["), "]")
		for table, data := range tables {
			for line := range strings.Lines(data) {
				fields := strings.Fields(line)
				if table == "unix" {
					require.False(t, len(fields) > 7 && fields[6] == inode, "named socket: %s", line)
					continue
				}
				require.False(t, len(fields) > 9 && fields[9] == inode, "%s socket: %s", table, line)
			}
		}
	}
	require.Equal(t, 1, sockets, "the parent's connection and no other")
}

// isolated runs a helper in namespaces of its own, which an ordinary user may
// have on most systems.
func isolated(t *testing.T, cmd *exec.Cmd, namespaces uintptr) string {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | namespaces,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EINVAL) {
		t.Skipf("this system gives no namespaces to ordinary users: %v", err)
	}
	return string(out)
}

func TestNeedsNoNetwork(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out := isolated(t, helper(t, "count", harbour(t), dir), syscall.CLONE_NEWNET)
	require.Equal(t, fmt.Sprintln("keys", harbourKeys), out)
	requireEmpty(t, dir)
}

func TestNoSpace(t *testing.T) {
	t.Parallel()
	out := isolated(t, helper(t, "full", harbour(t), t.TempDir()), syscall.CLONE_NEWNS)
	require.Contains(t, out, "no space: true, left: 0")
	require.Contains(t, out, "starting etcd on a copy: restoring: ")
	require.Contains(t, out, "no space left on device")
}

// helpFull starts on a file system that has no room for the copy.
func helpFull(file, dir string) error {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); err != nil {
		return err
	}
	_, err := open(file, dir)
	left, readErr := os.ReadDir(dir)
	fmt.Printf("no space: %t, left: %d\n", errors.Is(err, syscall.ENOSPC), len(left))
	return errors.Join(err, readErr)
}

func TestKeepsNoDescriptors(t *testing.T) {
	t.Parallel()
	out, err := helper(t, "leak", harbour(t), t.TempDir()).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, "descriptors 0 goroutines 0\n", string(out))
}

// helpLeak counts what starting, reading and closing leave in the process.
func helpLeak(file, dir string) error {
	var before [2]int
	for i := range 6 {
		p, err := open(file, dir)
		if err != nil {
			return err
		}
		if i%2 == 0 { // a connection that was used, one that was not
			for _, err := range p.At(context.Background(), 0, nil) {
				if err != nil {
					return err
				}
				break
			}
		}
		if err := p.Close(); err != nil {
			return err
		}
		if i == 1 {
			before = inUse()
		}
	}
	after := inUse()
	for range 500 { // goroutines that are about to end
		if after[1] <= before[1] {
			break
		}
		time.Sleep(10 * time.Millisecond)
		after = inUse()
	}
	fmt.Println("descriptors", after[0]-before[0], "goroutines", max(0, after[1]-before[1]))
	return nil
}

// inUse counts the descriptors and the goroutines of this process.
func inUse() [2]int {
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	return [2]int{len(fds), runtime.NumGoroutine()}
}

// Somebody who sets the variable by hand must not lose a folder.
func TestMainWithoutParent(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"home", "lifeboat-etcd-1.part"} {
		dir := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "etcd", "mine"), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "owner"), nil, 0o600))
		exe, err := os.Executable()
		require.NoError(t, err)
		cmd := exec.CommandContext(t.Context(), exe)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "LIFEBOAT_ETCD_CHILD=1")
		cmd.Stdin = nil
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = io.Discard, &out
		var exit *exec.ExitError
		require.ErrorAs(t, cmd.Run(), &exit)
		require.Equal(t, 2, exit.ExitCode())
		require.Contains(t, out.String(), "this is not a child of lifeboat")
		require.DirExists(t, filepath.Join(dir, "etcd", "mine"))
	}
}
