package sandbox_test

import (
	"bufio"
	stdcontext "context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/sim/proof/sandbox"
	"github.com/lifeboat-dr/lifeboat/sim/proof/sandbox/sandboxtest"
)

// helperEnv makes the test binary a program to run in a sandbox, or one that
// makes a sandbox.
const helperEnv = "LIFEBOAT_TEST_HELPER"

func TestMain(m *testing.M) {
	sandbox.Main()
	if name := os.Getenv(helperEnv); name != "" {
		if err := helpers[name](os.Args[1:]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var helpers map[string]func(args []string) error

func init() {
	helpers = map[string]func([]string) error{
		"look": look, "echo": echo, "fail": func([]string) error { return errors.New("on purpose") },
		"sleep": func([]string) error { time.Sleep(time.Minute); return nil },
		"hold":  hold, "forbidden": forbidden,
	}
}

// seen is what a program sees in the sandbox.
type seen struct {
	Root, Addresses []string
	Processes, UID  int
	Read            map[string]string // file: content, or the error
	Dialled         string
}

// look says what can be seen: files to read, one address to dial.
func look(args []string) error {
	s := seen{UID: os.Getuid(), Read: map[string]string{}}
	entries, err := os.ReadDir("/")
	if err != nil {
		return err
	}
	for _, e := range entries {
		s.Root = append(s.Root, e.Name())
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return err
	}
	for _, a := range addresses {
		s.Addresses = append(s.Addresses, a.String())
	}
	processes, _ := filepath.Glob("/proc/[0-9]*")
	s.Processes = len(processes)
	for _, file := range args[1:] {
		data, err := os.ReadFile(file)
		if s.Read[file] = string(data); err != nil {
			s.Read[file] = "error"
		}
	}
	conn, err := net.DialTimeout("tcp", args[0], time.Second)
	if s.Dialled = "yes"; err != nil {
		s.Dialled = "no"
	} else {
		conn.Close()
	}
	return json.NewEncoder(os.Stdout).Encode(s)
}

// echo answers one connection at an address.
func echo(args []string) error {
	l, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go io.Copy(conn, conn) //nolint:errcheck // until it is killed
	}
}

var archived = netip.MustParseAddr("192.0.2.80")

func self(name, helper string, args ...string) sandbox.Program {
	return sandbox.Program{Name: name, Root: "box", Path: sandbox.SelfPath, Args: args, Env: []string{helperEnv + "=" + helper}}
}

// waysHere are the ways that this host allows.
func waysHere(t *testing.T) []sandbox.Way {
	t.Helper()
	var ways []sandbox.Way
	for _, way := range []sandbox.Way{sandbox.Namespaces, sandbox.RootNamespaces} {
		s, err := sandbox.Start(t.Context(), sandbox.Spec{Dir: t.TempDir(), Ways: []sandbox.Way{way}})
		if forbidden := (*sandbox.ForbiddenError)(nil); errors.As(err, &forbidden) {
			t.Logf("not tested here: %v", forbidden)
			continue
		}
		require.NoError(t, err)
		require.NoError(t, s.Close())
		ways = append(ways, way)
	}
	if len(ways) == 0 {
		t.Skip("this host allows no namespaces")
	}
	return ways
}

// processesWith counts the host's processes that have a word in their command
// line.
func processesWith(word string) (n int) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		if data, err := os.ReadFile(file); err == nil && slices.Contains(strings.Split(string(data), "\x00"), word) {
			n++
		}
	}
	return n
}

func read(t *testing.T, p *sandbox.Process) string {
	t.Helper()
	<-p.Done()
	data, err := os.ReadFile(p.Log())
	require.NoError(t, err)
	return string(data)
}

// A program sees its root, the addresses that were asked for, and its sandbox'
// processes. The host has none of it.
func TestNothingOfTheHost(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	for _, way := range waysHere(t) {
		dir, outside := t.TempDir(), t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(outside, "given"), []byte("given"), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600))
		before := sandboxtest.Host(t)
		s, err := sandbox.Start(t.Context(), sandbox.Spec{
			Dir: dir, Ways: []sandbox.Way{way}, Addresses: []netip.Addr{archived, netip.MustParseAddr("2001:db8::80")},
			Roots: []sandbox.Root{{Name: "box", Mounts: []sandbox.Mount{
				{From: filepath.Join(outside, "given"), To: "/etc/kubernetes/given", ReadOnly: true},
				{From: filepath.Join(outside, "absent"), To: "/etc/kubernetes/absent"},
			}}},
		})
		require.NoError(t, err)
		require.Equal(t, way, s.Way())
		require.Empty(t, s.Notes())
		p, err := s.Run(self("look", "look", l.Addr().String(), "/etc/kubernetes/given", "/etc/kubernetes/absent", filepath.Join(outside, "secret"), "/dev/urandom/.."))
		require.NoError(t, err)
		var got seen
		require.NoError(t, json.Unmarshal([]byte(read(t, p)), &got))
		slices.Sort(got.Addresses)
		require.Equal(t, seen{
			Root: []string{"dev", "etc", "lifeboat", "proc", "tmp"}, Processes: 2,
			Addresses: []string{"127.0.0.1/8", "192.0.2.80/32", "2001:db8::80/128", "::1/128"}, Dialled: "no",
			Read: map[string]string{
				"/etc/kubernetes/given": "given", "/etc/kubernetes/absent": "error", filepath.Join(outside, "secret"): "error", "/dev/urandom/..": "error",
			},
		}, got, way)
		require.Equal(t, before, sandboxtest.Host(t), "while it stands")
		require.NoError(t, s.Close())
		require.NoError(t, s.Close())
		require.Equal(t, before, sandboxtest.Host(t), "afterwards")
		require.NoError(t, os.RemoveAll(dir), "nothing is mounted in it")
	}
}

// Two sandboxes have the same addresses and ports, and each caller reaches its
// own.
func TestDial(t *testing.T) {
	t.Parallel()
	way := waysHere(t)[0]
	for range 2 {
		s, err := sandbox.Start(t.Context(), sandbox.Spec{Dir: t.TempDir(), Ways: []sandbox.Way{way}, Addresses: []netip.Addr{archived}, Roots: []sandbox.Root{{Name: "box"}}})
		require.NoError(t, err)
		defer s.Close()
		address := netip.AddrPortFrom(archived, 6443).String()
		_, err = s.Dial(t.Context(), address)
		require.ErrorContains(t, err, "refused")
		p, err := s.Run(self("echo", "echo", address))
		require.NoError(t, err)
		var conn net.Conn
		sandboxtest.WaitFor(t, "dialling", func() bool { conn, err = s.Dial(t.Context(), address); return err == nil })
		fmt.Fprintln(conn, "hello")
		line, err := bufio.NewReader(conn).ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "hello\n", line)
		require.NoError(t, conn.Close())
		require.NoError(t, p.Kill())
		require.Equal(t, "signal: killed", p.State())
		_, err = s.Dial(t.Context(), address)
		require.Error(t, err)
	}
}

func TestPrograms(t *testing.T) {
	t.Parallel()
	ways := append(waysHere(t), sandbox.Loopback)
	for _, way := range ways {
		s, err := sandbox.Start(t.Context(), sandbox.Spec{Dir: t.TempDir(), Ways: []sandbox.Way{way}, Roots: []sandbox.Root{{Name: "box"}}})
		require.NoError(t, err)
		path := sandbox.SelfPath
		if way == sandbox.Loopback {
			path = "/proc/self/exe"
		}
		program := func(name, helper string) sandbox.Program {
			p := self(name, helper)
			p.Path = path
			return p
		}
		p, err := s.Run(program("fail", "fail"))
		require.NoError(t, err)
		require.Equal(t, "on purpose\n", read(t, p))
		require.Equal(t, "exit status 1", p.State())
		require.Equal(t, 1, p.ExitCode())
		_, err = s.Run(program("fail", "fail"))
		require.ErrorContains(t, err, "another program has that name")

		absent := program("absent", "fail")
		absent.Path = "/no/such/program"
		_, err = s.Run(absent)
		require.ErrorContains(t, err, "/no/such/program")

		sleeper, err := s.Run(program("sleep", "sleep"))
		require.NoError(t, err)
		require.NoError(t, s.Close())
		<-sleeper.Done()
		_, err = s.Run(program("late", "fail"))
		require.ErrorContains(t, err, "has ended")
		_, err = s.Dial(t.Context(), "127.0.0.1:1")
		require.ErrorContains(t, err, "has ended")
	}
}

// What was archived may hold links; no mount follows one out of the root.
func TestLinksLeadNowhere(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "roots", "box"), 0o700))
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "roots", "box", "etc")))
	_, err := sandbox.Start(t.Context(), sandbox.Spec{
		Dir: dir, Ways: waysHere(t)[:1], Roots: []sandbox.Root{{Name: "box", Mounts: []sandbox.Mount{{From: "/proc/self/exe", To: "/etc/passwd"}}}},
	})
	require.ErrorContains(t, err, "leads out of the root")
	entries, err := os.ReadDir(outside)
	require.NoError(t, err)
	require.Empty(t, entries)
}

// hold makes a sandbox with a program in it, telling each step, and waits to be
// killed.
func hold(args []string) error {
	fmt.Println("begun")
	s, err := sandbox.Start(stdcontext.Background(), sandbox.Spec{Dir: args[0], Ways: []sandbox.Way{sandbox.Way(args[1])}, Addresses: []netip.Addr{archived}, Roots: []sandbox.Root{{Name: "box"}}})
	if err != nil {
		return err
	}
	fmt.Println("stands")
	p := self("sleep", "sleep", args[2])
	if s.Way() == sandbox.Loopback {
		p.Path = "/proc/self/exe"
	}
	if _, err := s.Run(p); err != nil {
		return err
	}
	fmt.Println("runs")
	time.Sleep(time.Minute)
	return nil
}

// Whenever the caller is killed, no process, mount or address of it is left; a
// first process that hears nothing more ends, too.
func TestKilled(t *testing.T) {
	for _, way := range append(waysHere(t), sandbox.Loopback) {
		for i, step := range []string{"begun", "stands", "runs", "runs"} {
			before, dir := sandboxtest.Host(t), t.TempDir()
			word := fmt.Sprintf("killed-%d-%d-%d", os.Getpid(), i, time.Now().UnixNano())
			cmd := exec.Command("/proc/self/exe", dir, string(way), word)
			cmd.Env = append(os.Environ(), helperEnv+"=hold")
			out, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			lines := bufio.NewScanner(out)
			for lines.Scan() && lines.Text() != step {
			}
			require.Equal(t, step, lines.Text(), way)
			if step == "runs" {
				require.Equal(t, 2, processesWith(word)) // the caller has the word, too
			}
			if step == "begun" {
				time.Sleep(time.Duration(i) * 20 * time.Millisecond)
			}
			if i == 3 {
				stopChildren(t, cmd.Process.Pid)
			}
			require.NoError(t, cmd.Process.Kill())
			_ = cmd.Wait()
			sandboxtest.WaitFor(t, "the end of all processes", func() bool { return processesWith(word) == 0 && inDir(dir) == 0 })
			require.Equal(t, before, sandboxtest.Host(t))
			require.NoError(t, os.RemoveAll(dir))
		}
	}
}

// stopChildren stops the first process of a caller's sandbox. A failed test ends
// it.
func stopChildren(t *testing.T, parent int) {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	require.NoError(t, err)
	stopped := 0
	for _, list := range lists {
		data, err := os.ReadFile(list)
		require.NoError(t, err)
		for _, word := range strings.Fields(string(data)) {
			pid, err := strconv.Atoi(word)
			require.NoError(t, err)
			child, err := os.FindProcess(pid)
			require.NoError(t, err)
			require.NoError(t, child.Signal(syscall.SIGSTOP))
			t.Cleanup(func() { _ = child.Kill() })
			stopped++
		}
	}
	require.Equal(t, 1, stopped)
}

// inDir counts the first processes of sandboxes whose root or folder is dir.
func inDir(dir string) (n int) {
	links, _ := filepath.Glob("/proc/[0-9]*/root")
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && strings.HasPrefix(to, dir) {
			n++
		}
	}
	return n
}

// forbidden tells of the error of a host that allows no namespaces.
func forbidden(args []string) error {
	for _, limit := range []string{"user", "net"} {
		if err := os.WriteFile("/proc/sys/user/max_"+limit+"_namespaces", []byte("0"), 0o600); err != nil {
			return err
		}
	}
	_, err := sandbox.Start(stdcontext.Background(), sandbox.Spec{Dir: args[0]})
	refused := (*sandbox.ForbiddenError)(nil)
	if !errors.As(err, &refused) {
		return fmt.Errorf("another error: %w", err)
	}
	fmt.Println(strings.Join(refused.Reasons, "\n"))
	s, err := sandbox.Start(stdcontext.Background(), sandbox.Spec{Dir: args[0], Ways: []sandbox.Way{sandbox.Namespaces, sandbox.Loopback}})
	if err != nil {
		return err
	}
	fmt.Println(s.Way())
	return s.Close()
}

// A host that forbids namespaces is told as such, with the setting that does.
func TestForbidden(t *testing.T) {
	t.Parallel()
	waysHere(t)
	cmd := exec.Command("/proc/self/exe", t.TempDir())
	cmd.Env = append(os.Environ(), helperEnv+"=forbidden")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.Len(t, lines, 3, "%s", out)
	require.Contains(t, lines[0], "user.max_user_namespaces is 0")
	require.Contains(t, lines[1], string(sandbox.RootNamespaces))
	require.Equal(t, string(sandbox.Loopback), lines[2])
}

// A user without any privilege has the same sandbox.
func TestUnprivileged(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("the other tests run without privileges already")
	}
	waysHere(t)
	dir, binary := sandboxtest.ForNobody(t, "holder")
	word := "unprivileged-" + strconv.Itoa(os.Getpid())
	cmd := exec.Command(binary, dir, string(sandbox.Namespaces), word)
	cmd.Env = append(os.Environ(), helperEnv+"=hold")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: sandboxtest.Nobody, Gid: sandboxtest.Nobody}}
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines, last := bufio.NewScanner(out), ""
	for lines.Scan() && last != "runs" {
		last = lines.Text()
		if last == "runs" {
			break
		}
	}
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	if strings.Contains(last, "operation not permitted") {
		t.Skip("this host lets no user make namespaces: " + last)
	}
	require.Equal(t, "runs", last)
	sandboxtest.WaitFor(t, "the end of all processes", func() bool { return processesWith(word) == 0 })
}
