package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Sandbox is a running sandbox. Its methods may be called side by side.
type Sandbox struct {
	dir    string
	way    Way
	notes  []string
	conn   *net.UnixConn
	stderr tail // of the first process
	kill   func()
	gone   chan struct{} // closed when the first process is, and with it all others

	mu        sync.Mutex
	last      int
	waiting   map[int]chan answered
	processes map[string]*Process
	deaf      bool // nothing more will be heard
	close     sync.Once
}

// answered is a reply and the descriptor that came with it.
type answered struct {
	reply reply
	file  *os.File
}

func newSandbox(conn *net.UnixConn, dir string, way Way) *Sandbox {
	return &Sandbox{
		dir: dir, way: way, conn: conn, gone: make(chan struct{}),
		waiting: map[int]chan answered{}, processes: map[string]*Process{},
	}
}

// Way is how its programs are kept apart.
func (s *Sandbox) Way() Way { return s.way }

// Notes are what the set-up could not do and did without.
func (s *Sandbox) Notes() []string { return s.notes }

// Process is a program that was started in a Sandbox.
type Process struct {
	sandbox *Sandbox
	name    string
	done    chan struct{}
	state   string // after done
	code    int
}

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// State says how it ended, after Done: "exit status 1", "signal: killed".
func (p *Process) State() string { return p.state }

// ExitCode is its exit code after Done, -1 when a signal ended it.
func (p *Process) ExitCode() int { return p.code }

// Log is the file with what it wrote to its standard output and error.
func (p *Process) Log() string { return filepath.Join(p.sandbox.dir, "logs", p.name+".log") }

// Kill ends the program, as kill -9 does.
func (p *Process) Kill() error {
	_, _, err := p.sandbox.ask(context.Background(), request{Op: opKill, Name: p.name})
	if err == nil {
		<-p.done
	}
	return err
}

// Run starts a program.
func (s *Sandbox) Run(p Program) (*Process, error) {
	process := &Process{sandbox: s, name: p.Name, done: make(chan struct{}), code: -1}
	s.mu.Lock()
	taken := s.processes[p.Name] != nil
	if !taken {
		s.processes[p.Name] = process
	}
	s.mu.Unlock()
	if taken {
		return nil, fmt.Errorf("starting %q: another program has that name", p.Name)
	}
	if _, _, err := s.ask(context.Background(), request{Op: opRun, Program: &p}); err != nil {
		s.mu.Lock()
		delete(s.processes, p.Name)
		s.mu.Unlock()
		return nil, err
	}
	return process, nil
}

// Dial connects to a TCP address of the sandbox: the connection is made there,
// and handed over.
func (s *Sandbox) Dial(ctx context.Context, address string) (net.Conn, error) {
	_, file, err := s.ask(ctx, request{Op: opDial, Address: address})
	if err != nil {
		return nil, err
	}
	if file == nil {
		return nil, fmt.Errorf("dialling %s in the sandbox: no connection came back", address)
	}
	defer file.Close() // the connection is on a duplicate
	return net.FileConn(file)
}

// Close ends all programs and takes the namespaces away. It may be called more
// than once. Dir is left to the caller.
func (s *Sandbox) Close() error {
	s.close.Do(func() {
		_ = s.conn.Close() // whereupon the first process ends
		timer := time.AfterFunc(5*time.Second, s.kill)
		<-s.gone
		timer.Stop()
	})
	return nil
}

// ask sends a request and waits for its reply.
func (s *Sandbox) ask(ctx context.Context, r request) (reply, *os.File, error) {
	wait := make(chan answered, 1)
	s.mu.Lock()
	if s.deaf {
		s.mu.Unlock()
		return reply{}, nil, s.lost()
	}
	s.last++
	r.ID = s.last
	s.waiting[r.ID] = wait
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.waiting, r.ID)
	}()
	packet, err := json.Marshal(r)
	if err != nil {
		return reply{}, nil, err
	}
	if len(packet) > maxPacket {
		return reply{}, nil, fmt.Errorf("asking the sandbox: %d bytes are too many", len(packet))
	}
	if _, err := s.conn.Write(packet); err != nil {
		return reply{}, nil, errors.Join(s.lost(), err)
	}
	select {
	case a, ok := <-wait:
		if !ok {
			return reply{}, nil, s.lost()
		}
		return a.reply, a.file, a.reply.Error.err()
	case <-ctx.Done():
		return reply{}, nil, fmt.Errorf("asking the sandbox to %s: %w", r.Op, context.Cause(ctx))
	}
}

// lost is the error of a first process that does not answer any more.
func (s *Sandbox) lost() error {
	select {
	case <-s.gone:
	case <-time.After(time.Second):
	}
	if last := s.stderr.String(); last != "" {
		return fmt.Errorf("the sandbox has ended: %s", last)
	}
	return errors.New("the sandbox has ended")
}

// listen hands out replies and news until the first process is gone.
func (s *Sandbox) listen() {
	packet, oob := make([]byte, maxPacket), make([]byte, syscall.CmsgSpace(4))
	for {
		n, oobn, _, _, err := s.conn.ReadMsgUnix(packet, oob)
		if err != nil || n == 0 {
			break
		}
		var r reply
		file := fileIn(oob[:oobn])
		if json.Unmarshal(packet[:n], &r) != nil {
			break
		}
		s.hand(r, file)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deaf = true
	for id, wait := range s.waiting {
		close(wait)
		delete(s.waiting, id)
	}
	for _, p := range s.processes {
		p.end(StateLost, -1)
	}
}

func (s *Sandbox) hand(r reply, file *os.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Ended != "" {
		if p := s.processes[r.Ended]; p != nil {
			p.end(r.State, r.Code)
		}
		return
	}
	if wait := s.waiting[r.ID]; wait != nil {
		wait <- answered{r, file}
		delete(s.waiting, r.ID)
	} else if file != nil {
		_ = file.Close() // who asked has given up
	}
}

// end is called under the lock.
func (p *Process) end(state string, code int) {
	select {
	case <-p.done:
	default:
		p.state, p.code = state, code
		close(p.done)
	}
}

// fileIn takes a descriptor out of what came beside a packet, nil for none.
func fileIn(oob []byte) *os.File {
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil || len(messages) == 0 {
		return nil
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil || len(fds) == 0 {
		return nil
	}
	syscall.CloseOnExec(fds[0])
	return os.NewFile(uintptr(fds[0]), "connection")
}

// packetConn turns a socket's file into a connection; the file is closed.
func packetConn(f *os.File) (*net.UnixConn, error) {
	defer f.Close() // the connection is on a duplicate
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(errors.New("this is no unix socket"), conn.Close())
	}
	return unix, nil
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	data []byte
}

const maxTail = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	t.data = t.data[max(0, len(t.data)-maxTail):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.data))
}
