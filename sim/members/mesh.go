package members

import (
	"errors"
	"fmt"
	"net"
	"sync"
)

// mesh is the network between the members: for every ordered pair a socket on
// which the one finds the other, and a path that can be cut, slowed or made
// lossy in one direction alone.
//
// rafthttp's streams carry messages against the direction in which they were
// dialled (the receiver dials, etcd server/etcdserver/api/rafthttp/stream.go),
// so a path is what flows from one member to another on all their connections,
// whoever opened them.
type mesh struct {
	socket func(from, to string) string

	mu        sync.Mutex
	paths     map[pair]*path
	listeners map[pair]net.Listener
	conns     map[net.Conn]struct{}
	closed    bool
	wg        sync.WaitGroup
}

// pair is an ordered pair of members.
type pair struct{ from, to string }

func newMesh(socket func(from, to string) string) *mesh {
	return &mesh{
		socket: socket,
		paths:  map[pair]*path{}, listeners: map[pair]net.Listener{}, conns: map[net.Conn]struct{}{},
	}
}

// path is where bytes from a to b pass.
func (m *mesh) path(from, to string) *path {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pathLocked(pair{from, to})
}

func (m *mesh) pathLocked(p pair) *path {
	if m.paths[p] == nil {
		m.paths[p] = newPath()
	}
	return m.paths[p]
}

// connect lets member a find b; their folders have to stand.
func (m *mesh) connect(a, b string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := pair{a, b}
	if m.listeners[p] != nil {
		return nil
	}
	l, err := net.Listen("unix", m.socket(a, b))
	if err != nil {
		return fmt.Errorf("connecting member %q to %q: %w", a, b, err)
	}
	m.listeners[p] = l
	m.wg.Add(1)
	go func() {
		defer m.wg.Done()
		m.accept(l, p)
	}()
	return nil
}

func (m *mesh) accept(l net.Listener, p pair) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return // closed
		}
		if !m.hold(conn) {
			return
		}
		m.wg.Add(1)
		go func() {
			defer m.wg.Done()
			defer m.release(conn)
			m.forward(conn, p)
		}()
	}
}

// forward carries a connection that member p.from opened to p.to. While either
// way is cut it is not even opened: the first packet would not arrive.
func (m *mesh) forward(near net.Conn, p pair) {
	there, back := m.path(p.from, p.to), m.path(p.to, p.from)
	if !there.wait() || !back.wait() {
		return
	}
	far, err := net.Dial("unix", m.socket(p.to, p.to))
	if err != nil {
		return // nobody listens there: near is closed, which is as good as refused
	}
	if !m.hold(far) {
		return
	}
	defer m.release(far)
	m.wg.Add(1)
	go func() {
		defer m.wg.Done()
		back.carry(near, far)
		m.release(near)
		m.release(far)
	}()
	there.carry(far, near)
}

// hold remembers a connection that close has to end.
func (m *mesh) hold(c net.Conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		_ = c.Close()
		return false
	}
	m.conns[c] = struct{}{}
	return true
}

func (m *mesh) release(c net.Conn) {
	_ = c.Close()
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.conns, c)
}

// heal makes every path whole and fast.
func (m *mesh) heal() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.paths {
		p.set(func(s *pathState) { *s = pathState{} })
	}
}

// close ends every connection and waits for what carried them.
func (m *mesh) close() error {
	m.mu.Lock()
	m.closed = true
	var errs []error
	for _, l := range m.listeners {
		errs = append(errs, l.Close())
	}
	for c := range m.conns {
		_ = c.Close()
	}
	for _, p := range m.paths {
		p.close()
	}
	m.mu.Unlock()
	m.wg.Wait()
	return errors.Join(errs...)
}
