package etcdproc

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	childEnv  = "LIFEBOAT_ETCD_CHILD" // set for the child, and for nothing else
	childName = "lifeboat-etcd"       // its name in a process list

	// The descriptors that the child inherits beside the standard ones. Its
	// standard input ends when the parent does; its standard output carries
	// messages.
	fdDatabase = 3
	fdOwner    = 4 // the locked owner file of the scratch folder
	fdSocket   = 5 // the parent's connection
)

// serveTask is the value of childEnv for the child that serves etcd's API.
const serveTask = "1"

// Main runs this process as the etcd child if it was started as one, and does
// not return then. Call it first thing in main, and in TestMain of every
// package whose tests call Start, Try or, for one of tasks, Do.
func Main(tasks ...Task) {
	switch name := os.Getenv(childEnv); name {
	case "":
	case serveTask:
		os.Exit(runChild())
	case memberTask:
		os.Exit(runMember())
	case archivedTask:
		os.Exit(runArchived())
	case wakerTask:
		os.Exit(runWaker())
	default:
		os.Exit(runTask(name, append(tasks, Task{trialTask, trial}, Task{forceTask, forceChild})))
	}
}

// runChild is the life of a child; it returns the exit status.
func runChild() int {
	// Only messages go to the parent; what a library prints goes to the log.
	say := json.NewEncoder(os.Stdout)
	os.Stdout = os.Stderr

	// A terminal sends these to the whole group: the parent decides. A parent
	// that died must not end the child at its next line of log either.
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)

	syscall.Umask(0o077) // etcd writes its .snap files for everybody to read

	s, err := adoptScratch(os.NewFile(fdOwner, ownerFile))
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s is set, but this is not a child of lifeboat: %v\n", childEnv, err)
		return 2
	}
	go dieWithParent(s)

	end, err := serve(os.NewFile(fdSocket, "etcd"), say)
	if err == nil {
		fmt.Fprintln(os.Stderr, "etcd stopped serving:", <-end)
		return 1
	}
	if err := say.Encode(failure(err)); err != nil {
		fmt.Fprintln(os.Stderr, "telling the parent:", err)
	}
	return 1
}

// adoptScratch takes the working folder for the scratch folder if it is one
// and the parent handed down its lock; a folder that is somebody's home must
// not end in remove.
func adoptScratch(owner *os.File) (*scratch, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	if !isScratch(filepath.Base(dir)) || !isFile(owner, filepath.Join(dir, ownerFile)) {
		return nil, fmt.Errorf("%q is no scratch folder of its parent", dir)
	}
	return &scratch{dir: dir, owner: owner}, nil
}

// dieWithParent waits for the end of the parent, or of its interest, and takes
// the plaintext along. There is nothing in the copy that would be worth an
// orderly shutdown of etcd.
func dieWithParent(s *scratch) {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	eof := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // an error is an end as well
		close(eof)
	}()
	select {
	case <-term:
	case <-eof:
	}
	s.abandon()
	os.Exit(0)
}

// serve restores and boots the database, serves it on the socket and returns
// a channel that says when etcd ends.
func serve(socket *os.File, say *json.Encoder) (<-chan error, error) {
	conn, err := fileConn(socket)
	if err != nil {
		return nil, err
	}
	lg := newLogger()
	for _, step := range []struct {
		phase string
		do    func() error
	}{
		{"checking the database", check},

		{"restoring", func() error { return restore(lg, fdPath(fdDatabase)) }},
		{"quieting the copy", func() error { return quiet(filepath.Join(dataDir, "member", "snap", "db")) }},
	} {
		if err := enter(say, step.phase, step.do); err != nil {
			return nil, err
		}
	}
	var end <-chan error
	err = enter(say, "booting", func() error {
		server, err := boot(lg, asItIs)
		if err != nil {
			return err
		}
		end = serveOn(server, conn)
		kv := server.KV()
		return say.Encode(message{Revision: kv.Rev(), First: kv.FirstRev()})
	})
	return end, err
}

// enter tells the parent of a phase and runs it.
func enter(say *json.Encoder, phase string, do func() error) error {
	if err := say.Encode(message{Phase: phase}); err != nil {
		return err
	}
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", phase, err)
	}
	return nil
}

// newLogger writes errors to standard error, one short line each.
func newLogger() *zap.Logger {
	core := zapcore.NewCore(
		zapcore.NewConsoleEncoder(zapcore.EncoderConfig{
			MessageKey: "msg", LevelKey: "level", EncodeLevel: zapcore.LowercaseLevelEncoder,
			ConsoleSeparator: " ",
		}),
		zapcore.Lock(os.Stderr), zapcore.ErrorLevel,
	)
	return zap.New(quietCore{core})
}

// quietCore drops one message: mvcc's restore says it of every key that has a
// lease, because quiet took the leases away. It has no other effect; the lease
// id stays in the key's record (etcd server/storage/mvcc/kvstore.go, restore).
type quietCore struct{ zapcore.Core }

func (c quietCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if e.Message == "failed to attach a lease" {
		return ce
	}
	return c.Core.Check(e, ce)
}

func (c quietCore) With(fields []zapcore.Field) zapcore.Core { return quietCore{c.Core.With(fields)} }

// oneConn is a listener that accepts one connection, and waits afterwards.
type oneConn struct {
	conn   chan net.Conn
	closed chan struct{}
	addr   net.Addr
}

func newOneConn(conn net.Conn) *oneConn {
	l := &oneConn{conn: make(chan net.Conn, 1), closed: make(chan struct{}), addr: conn.LocalAddr()}
	l.conn <- conn
	return l
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Addr() net.Addr { return l.addr }

func (l *oneConn) Close() error {
	select {
	case <-l.closed:
		return errors.New("closed twice")
	default:
		close(l.closed)
		return nil
	}
}
