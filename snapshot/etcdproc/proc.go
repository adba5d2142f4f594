package etcdproc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"

	"github.com/lifeboat-dr/lifeboat/internal/child"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// Options say where and how a child runs.
type Options struct {
	// Dir is the folder in which the scratch folder is made. It has to exist
	// and to have room for one more copy of the database. There is no default,
	// because the copy is plaintext: it does not belong in a system's /tmp.
	Dir string
}

// Proc is a running etcd over a copy of a database.
type Proc struct {
	scratch *scratch
	socket  net.Conn
	api     *grpc.ClientConn // over socket
	hello   message          // the child's last word of the start

	stdin  io.Closer     // the child ends when it is closed
	kill   func()        // ends the child at once
	done   chan struct{} // closed when the child is gone and its folder removed
	exit   error         // after done: how the child ended
	remove error         // after done: what could not be removed
	close  sync.Once
}

var _ snapshot.Reader = (*Proc)(nil)

// Start boots etcd on a copy of db and returns when it answers. The database
// may carry the sha256 trailer of `etcdctl snapshot save`; the sum is not
// checked again. db may be a memory file or one that has no name any more; it
// is only read, and may be closed once Start has returned. (Away from Linux its
// offset moves.)
//
// The child lives as long as ctx: its end kills it. Errors that the child
// could put into words wrap [ErrNewer], [snapshot.ErrDamaged] and the like, or
// a [syscall.Errno]; a child that died is a [DiedError].
func Start(ctx context.Context, db *os.File, opts Options) (*Proc, error) {
	p, err := start(ctx, db, opts)
	if err != nil {
		return nil, fmt.Errorf("starting etcd on a copy: %w", err)
	}
	return p, nil
}

func start(ctx context.Context, db *os.File, opts Options) (*Proc, error) {
	if opts.Dir == "" {
		return nil, errors.New("no folder given for the copy")
	}
	info, err := db.Stat()
	if err != nil {
		return nil, err
	}
	s, err := newScratch(opts.Dir)
	if err != nil {
		return nil, err
	}
	p := &Proc{scratch: s, done: make(chan struct{})}
	said, err := p.spawn(ctx, db)
	if err != nil {
		p.hangUp()
		return nil, errors.Join(err, s.remove())
	}
	if err := p.await(ctx, said, startLimit(info.Size())); err != nil {
		p.kill()
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// startLimit is how long a start may take before it counts as hung: two
// minutes, and the time that copying and indexing size bytes takes on a very
// slow disk (10 MB/s; etcd-io/etcd#16028 has minutes for 8 GB).
func startLimit(size int64) time.Duration {
	return 2*time.Minute + time.Duration(size/10e6)*time.Second
}

// spawn starts the child and a goroutine that sees it to its end. What the
// child says arrives on the channel that it returns.
func (p *Proc) spawn(ctx context.Context, db *os.File) (<-chan message, error) {
	near, far, err := child.SocketPair(syscall.SOCK_STREAM, "etcd")
	if err != nil {
		return nil, err
	}
	defer func() { _ = far.Close() }()
	if p.socket, err = fileConn(near); err != nil {
		return nil, err
	}
	if p.api, err = dial(p.socket); err != nil {
		return nil, err
	}
	exe, err := executable()
	if err != nil {
		return nil, err
	}

	said, log := &wire{messages: make(chan message, 1)}, &logTail{}
	cmd := exec.CommandContext(ctx, exe)
	cmd.Args = []string{childName, db.Name()}
	cmd.Env = append(childEnviron(), childEnv+"="+serveTask)
	cmd.Dir = p.scratch.dir
	cmd.Stdout, cmd.Stderr = said, log
	cmd.ExtraFiles = []*os.File{fdDatabase - 3: db, fdOwner - 3: p.scratch.owner, fdSocket - 3: far}
	cmd.SysProcAttr = childAttr()
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}

	err = child.Launch(cmd, func(err error) {
		p.exit = &DiedError{Phase: said.phase, State: stateOf(cmd, err), Log: log.lines()}
		p.remove = p.scratch.remove()
		close(said.messages)
		close(p.done)
	})
	if err != nil {
		return nil, fmt.Errorf("running %s: %w", exe, err)
	}
	p.kill = func() { _ = cmd.Process.Kill() } // fails only when it has ended
	return said.messages, nil
}

// stateOf says how the child ended: "exit status 2", "signal: killed".
func stateOf(cmd *exec.Cmd, err error) string {
	if cmd.ProcessState != nil {
		return cmd.ProcessState.String()
	}
	return err.Error()
}

// await returns when the child serves, or says why it does not.
func (p *Proc) await(ctx context.Context, said <-chan message, limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case m, ok := <-said:
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if !ok {
			<-p.done
			return p.exit
		}
		p.hello = m
		return m.err()
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return fmt.Errorf("no answer after %s", limit)
	}
}

// Close ends the child and removes its folder. It may be called more than
// once; an error names what could not be removed.
func (p *Proc) Close() error {
	p.close.Do(func() {
		p.hangUp()
		_ = p.stdin.Close()
		timer := time.AfterFunc(10*time.Second, p.kill)
		<-p.done
		timer.Stop()
	})
	return p.remove
}

// hangUp closes the connection, which api alone closes only once it was used.
func (p *Proc) hangUp() {
	if p.api != nil {
		_ = p.api.Close()
	}
	if p.socket != nil {
		_ = p.socket.Close()
	}
}

// fileConn turns a socket's file into a connection; the file is closed.
func fileConn(f *os.File) (net.Conn, error) {
	defer func() { _ = f.Close() }() // the connection is on a duplicate
	return net.FileConn(f)
}

// wire takes what the child writes to its standard output: one JSON message a
// line. The one that ends the start goes to messages.
type wire struct {
	messages chan message
	phase    string
	rest     []byte
}

func (w *wire) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		line, rest, found := bytes.Cut(w.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		w.rest = rest
		m, err := parseMessage(line)
		switch {
		case err != nil:
			return 0, err
		case m.Phase != "":
			w.phase = m.Phase
		default:
			select {
			case w.messages <- m:
			default: // the start is over
			}
		}
	}
}
