package oldetcd

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// ServerEnv tells a test binary that it was started to be etcd.
const ServerEnv = "LIFEBOAT_TEST_SERVER"

// Server is a program that is etcd.
type Server struct {
	Path string
	Env  []string
}

// Self is the test binary, which runs etcdmain where ServerEnv is set.
func Self(t *testing.T) Server {
	t.Helper()
	path, err := os.Executable()
	require.NoError(t, err)
	return Server{Path: path, Env: []string{ServerEnv + "=1"}}
}

// member is a member of a cluster: where it stands and how it is started.
type member struct {
	server       Server
	name         string
	dir, wal     string // wal is "" where the log stands in dir
	peer, client string // URLs
	flags        []string

	cmd *exec.Cmd
	log *bytes.Buffer
}

func newMember(t *testing.T, server Server, name, dir string) *member {
	t.Helper()
	return &member{server: server, name: name, dir: dir, peer: loopback(t), client: loopback(t)}
}

// loopback is a URL that nobody else uses.
func loopback(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return "http://" + l.Addr().String()
}

// initialCluster is the flag of that name.
func initialCluster(members []*member) string {
	var parts []string
	for _, m := range members {
		parts = append(parts, m.name+"="+m.peer)
	}
	return strings.Join(parts, ",")
}

// start runs the member until it is killed, or the test ends.
func (m *member) start(t *testing.T, members []*member, flags ...string) {
	t.Helper()
	args := []string{
		"--name", m.name, "--data-dir", m.dir, "--initial-cluster", initialCluster(members),
		"--listen-peer-urls", m.peer, "--initial-advertise-peer-urls", m.peer,
		"--listen-client-urls", m.client, "--advertise-client-urls", m.client,
		"--heartbeat-interval", "50", "--election-timeout", "500", "--logger", "zap", "--log-level", "warn",
	}
	if m.wal != "" {
		args = append(args, "--wal-dir", m.wal)
	}
	m.cmd, m.log = exec.Command(m.server.Path, append(append(args, m.flags...), flags...)...), &bytes.Buffer{}
	m.cmd.Env = append(os.Environ(), m.server.Env...)
	m.cmd.Stdout, m.cmd.Stderr = m.log, m.log
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, m.cmd.Start())
	t.Cleanup(func() { m.kill() })
}

// kill is kill -9.
func (m *member) kill() {
	if m.cmd != nil {
		_ = m.cmd.Process.Kill() // it may have ended
		_ = m.cmd.Wait()
		m.cmd = nil
	}
}

// stop ends the member in order.
func (m *member) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, m.cmd.Process.Signal(syscall.SIGTERM))
	_ = m.cmd.Wait() // it reports the signal as its end
	m.cmd = nil
}

// dial is a client of the member alone, once it answers with a leader's word.
func (m *member) dial(t *testing.T) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{m.client}, Logger: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	deadline := time.Now().Add(time.Minute)
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		_, err := c.Get(ctx, "is there a leader")
		cancel()
		if err == nil {
			return c
		}
		require.True(t, time.Now().Before(deadline), "member %s does not answer: %v\n%s", m.name, err, m.log)
		time.Sleep(100 * time.Millisecond)
	}
}

// newCluster runs members of a new cluster and returns a client of the first.
func newCluster(t *testing.T, server Server, count int, flags ...string) ([]*member, *clientv3.Client) {
	t.Helper()
	root := t.TempDir()
	var members []*member
	for i := range count {
		m := newMember(t, server, fmt.Sprint("m", i), filepath.Join(root, fmt.Sprint("m", i)))
		m.flags = flags
		members = append(members, m)
	}
	return members, startAll(t, members)
}

func startAll(t *testing.T, members []*member) *clientv3.Client {
	t.Helper()
	for _, m := range members {
		m.start(t, members)
	}
	return members[0].dial(t)
}

// killAll kills the members at one moment, as a loss of power does.
func killAll(members []*member) {
	for _, m := range members {
		_ = m.cmd.Process.Signal(syscall.SIGSTOP)
	}
	for _, m := range members {
		m.kill()
	}
}

// copied is a copy of a killed member, to be started in its stead.
func (m *member) copied(t *testing.T) *member {
	t.Helper()
	c := *m
	c.cmd, c.dir = nil, filepath.Join(t.TempDir(), m.name)
	out, err := exec.Command("cp", "-a", "--sparse=always", m.dir, c.dir).CombinedOutput()
	require.NoError(t, err, string(out))
	if m.wal != "" {
		c.wal = c.dir + ".wal"
		out, err := exec.Command("cp", "-a", "--sparse=always", m.wal, c.wal).CombinedOutput()
		require.NoError(t, err, string(out))
	}
	return &c
}
