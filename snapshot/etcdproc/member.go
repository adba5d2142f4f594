package etcdproc

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/lifeboat-dr/lifeboat/internal/child"
)

const (
	memberTask = "member" // the value of childEnv
	memberData = "data"   // a member's data dir, in its folder
	clientHost = "client" // of the URL on which it answers clients
)

// MemberConfig is the start of a member, in the words of etcd's flags.
type MemberConfig struct {
	Name            string        `json:"name"`
	InitialCluster  string        `json:"initialCluster"` // name=URL,name=URL; see PeerURL
	Token           string        `json:"token"`
	Existing        bool          `json:"existing"` // --initial-cluster-state existing
	ForceNewCluster bool          `json:"forceNewCluster"`
	Quota           int64         `json:"quota"` // bytes, 0 for etcd's default
	Tick            time.Duration `json:"tick"`  // 0 for etcd's default, 100 ms
	Election        time.Duration `json:"election"`
	NoPreVote       bool          `json:"noPreVote"`
}

// Member is a running etcd member in a child process: peers and clients reach
// it on sockets in its folder, and its data dir outlives it.
type Member struct {
	name    string
	process *os.Process
	stdin   io.WriteCloser
	said    *phases
	done    chan struct{} // closed when the process is gone
	exit    *DiedError    // after done
	hangUp  sync.Once

	pausing sync.Mutex
	waker   *waker // while it is paused
}

// StartMember starts a member on its data dir, or on a fresh one, and returns
// when its process runs. Whether it came up says [Member.Ready].
//
// A member has no fsync: what it wrote survives its own death, not that of the
// machine.
func (l *Lab) StartMember(cfg MemberConfig) (*Member, error) {
	m, err := l.startMember(cfg)
	if err != nil {
		return nil, fmt.Errorf("starting member %q: %w", cfg.Name, err)
	}
	return m, nil
}

func (l *Lab) startMember(cfg MemberConfig) (*Member, error) {
	if err := l.Prepare(cfg.Name); err != nil {
		return nil, err
	}
	body, err := json.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	exe, err := executable()
	if err != nil {
		return nil, err
	}
	m := &Member{name: cfg.Name, said: newPhases(), done: make(chan struct{})}
	log := &logTail{}
	cmd := exec.Command(exe)
	cmd.Args = []string{childName, cfg.Name}
	cmd.Env = append(memberEnviron(), childEnv+"="+memberTask)
	cmd.Dir = filepath.Join(l.Dir(), cfg.Name)
	cmd.Stdout, cmd.Stderr = m.said, log
	cmd.ExtraFiles = []*os.File{l.scratch.owner}
	cmd.SysProcAttr = childAttr()
	if m.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	err = child.Launch(cmd, func(err error) {
		m.exit = &DiedError{Phase: m.said.last(), State: stateOf(cmd, err), Log: log.lines()}
		close(m.done)
	})
	if err != nil {
		return nil, fmt.Errorf("running %s: %w", exe, err)
	}
	m.process = cmd.Process
	if _, err := m.stdin.Write(append(body, '\n')); err != nil {
		m.Kill()
		return nil, m.exit
	}
	return m, nil
}

// memberEnviron leaves out proxies too: they would be dialled instead of a
// peer's socket.
func memberEnviron() []string {
	return slices.DeleteFunc(childEnviron(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return strings.HasSuffix(strings.ToLower(name), "_proxy")
	})
}

// Ready waits until the member has joined a cluster that has a leader and
// answers clients. The error of one that died before is a [DiedError].
func (m *Member) Ready(ctx context.Context) error {
	select {
	case <-m.said.ready:
		return nil
	case <-m.done:
		return fmt.Errorf("starting member %q: %w", m.name, m.exit)
	case <-ctx.Done():
		return fmt.Errorf("starting member %q: %s: %w", m.name, m.said.last(), context.Cause(ctx))
	}
}

// Up waits until etcd listens for its peers, with or without a leader. What it
// refuses to start over ends the process before: a [DiedError].
func (m *Member) Up(ctx context.Context) error {
	select {
	case <-m.said.up:
		return nil
	case <-m.done:
		return fmt.Errorf("starting member %q: %w", m.name, m.exit)
	case <-ctx.Done():
		return fmt.Errorf("starting member %q: %s: %w", m.name, m.said.last(), context.Cause(ctx))
	}
}

// Pause has the process stand still, as a stalled virtual machine does, until
// Resume, Kill, or the end of this process.
func (m *Member) Pause() error {
	m.pausing.Lock()
	defer m.pausing.Unlock()
	if m.waker != nil {
		return nil
	}
	w, err := newWaker(m.process.Pid)
	if err != nil {
		return err
	}
	if err := m.process.Signal(syscall.SIGSTOP); err != nil {
		w.close()
		return err
	}
	m.waker = w
	return nil
}

// Resume ends a Pause.
func (m *Member) Resume() {
	m.pausing.Lock()
	defer m.pausing.Unlock()
	if m.waker != nil {
		m.waker.close()
		m.waker = nil
	}
}

// Serving reports whether Ready would return at once, and well.
func (m *Member) Serving() bool {
	select {
	case <-m.done:
		return false
	default:
	}
	select {
	case <-m.said.ready:
		return true
	default:
		return false
	}
}

// Done is closed when the process is gone.
func (m *Member) Done() <-chan struct{} { return m.done }

// Exit says how the process ended; only after Done.
func (m *Member) Exit() *DiedError { return m.exit }

// Kill ends the process as kill -9 does, and waits for that.
func (m *Member) Kill() {
	_ = m.process.Kill() // fails only when it has ended
	m.Resume()
	<-m.done
	m.close()
}

// Stop ends etcd in order, as SIGTERM does: a leader hands over first. A
// member that has not ended with ctx is killed, and the error says so.
func (m *Member) Stop(ctx context.Context) error {
	m.close()
	select {
	case <-m.done:
		return nil
	case <-ctx.Done():
		m.Kill()
		return fmt.Errorf("stopping member %q: %w", m.name, context.Cause(ctx))
	}
}

// close tells the process to stop.
func (m *Member) close() {
	m.hangUp.Do(func() {
		_, _ = m.stdin.Write([]byte(stopWord)) // one that is gone need not be told
		_ = m.stdin.Close()
	})
}

// phases takes a member's messages, one JSON object a line.
type phases struct {
	up, ready chan struct{}

	mu    sync.Mutex
	phase string
	rest  []byte
}

// The phases of a member's start, in order.
const (
	bootPhase  = "booting"
	upPhase    = "looking for a leader"
	readyPhase = "serving"
)

func newPhases() *phases { return &phases{up: make(chan struct{}), ready: make(chan struct{})} }

func (p *phases) Write(data []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rest = append(p.rest, data...)
	for {
		line, rest, found := bytes.Cut(p.rest, []byte("\n"))
		if !found {
			return len(data), nil
		}
		p.rest = rest
		msg, err := parseMessage(line)
		if err != nil {
			return 0, err
		}
		if p.phase = msg.Phase; p.phase == upPhase {
			close(p.up)
		} else if p.phase == readyPhase {
			close(p.ready)
		}
	}
}

func (p *phases) last() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.phase
}
