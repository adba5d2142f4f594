package members

import (
	"io"
	"math/rand/v2"
	"sync"
	"time"
)

// pathState is what a path does to what passes.
type pathState struct {
	cut    bool
	delay  time.Duration
	spread time.Duration // up to which is added to the delay
	loss   float64       // of packets, 0 to 1
}

// resend is what a lost packet costs: TCP sends it again, no sooner than after
// 200 ms on Linux (TCP_RTO_MIN), then after twice the time each.
const resend = 200 * time.Millisecond

// path carries bytes in one direction. A cut path holds them back, as TCP does
// while packets are lost: what was sent arrives after the healing, if the
// connection lives that long (rafthttp gives up after 5 s of silence).
type path struct {
	mu      sync.Mutex
	state   pathState
	changed chan struct{} // closed and replaced when state is set
	done    chan struct{}
}

func newPath() *path {
	return &path{changed: make(chan struct{}), done: make(chan struct{})}
}

func (p *path) set(change func(*pathState)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.state)
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *path) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.done)
}

func (p *path) now() (pathState, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state, p.changed
}

// wait returns when the path is whole, or false when the mesh ends.
func (p *path) wait() bool {
	for {
		s, changed := p.now()
		if !s.cut {
			return true
		}
		select {
		case <-changed:
		case <-p.done:
			return false
		}
	}
}

// parcel is what was read at once, and when it is to arrive.
type parcel struct {
	data []byte
	due  time.Time
}

// inFlight bounds what is under way on a connection: a sender that is faster
// than the path waits, as before a full window.
const inFlight = 64

// carry copies from src to dst until either ends.
func (p *path) carry(dst io.Writer, src io.Reader) {
	parcels := make(chan parcel, inFlight)
	gone := make(chan struct{})
	go p.collect(parcels, gone, src)
	defer close(gone)
	var last time.Time
	for a := range parcels {
		if a.due.Before(last) {
			a.due = last // a stream stays in order
		}
		last = a.due
		if !p.sleep(time.Until(a.due)) || !p.wait() {
			return
		}
		if _, err := dst.Write(a.data); err != nil {
			return
		}
	}
}

// collect reads ahead of carry.
func (p *path) collect(parcels chan<- parcel, gone <-chan struct{}, src io.Reader) {
	defer close(parcels)
	for {
		buf := make([]byte, 32<<10)
		n, err := src.Read(buf)
		if n > 0 {
			select {
			case parcels <- parcel{buf[:n], time.Now().Add(p.latency())}:
			case <-gone:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// latency is how long the next parcel is under way.
func (p *path) latency() time.Duration {
	s, _ := p.now()
	d := s.delay
	if s.spread > 0 {
		d += time.Duration(rand.Float64() * float64(s.spread))
	}
	if s.loss > 0 {
		for again := resend; rand.Float64() < s.loss && again <= maxResend; again *= 2 {
			d += again
		}
	}
	return d
}

// maxResend bounds the wait of a packet that is lost again and again.
const maxResend = 4 * time.Second

func (p *path) sleep(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.done:
		return false
	}
}
