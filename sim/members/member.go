package members

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

// member is one member, through all its lives.
type member struct {
	name   string
	config etcdproc.MemberConfig // of the next start

	mu      sync.Mutex
	proc    *etcdproc.Member // nil while it does not run
	client  *clientv3.Client // of proc
	learner bool
	removed bool
	seen    sim.Member // what it said of itself last
	looks   uint64     // that were begun
	newest  uint64     // of the looks that seen is of
	id      uint64     // 0 while it is not known

	revision int64 // of its store, as far as it was seen

	// epoch tells the clusters apart that come out of one by force-new-cluster,
	// rebuild and restore: terms and indexes of two of them do not compare, even
	// where etcd lets them keep the cluster id.
	epoch int
}

// run starts the process and waits until etcd listens or gave up.
func (c *cluster) run(ctx context.Context, m *member) error {
	if m.running() != nil {
		return fmt.Errorf("starting member %q: it runs", m.name)
	}
	proc, err := c.lab.StartMember(m.config)
	if err != nil {
		return err
	}
	client, err := dial(c.lab.ClientSocket(m.name))
	if err != nil {
		proc.Kill()
		return err
	}
	m.mu.Lock()
	m.proc, m.client = proc, client
	m.seen.Role = sim.RoleCandidate
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	return proc.Up(ctx)
}

// startLimit is how long etcd may take to listen; reading a large database
// takes minutes on a slow disk.
const startLimit = 5 * time.Minute

// dial is a client of one member: it comes back soon when the member does.
func dial(socket string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Endpoints: []string{"http://member"},
		Logger:    zap.NewNop(), // it tells of every retry
		DialOptions: []grpc.DialOption{
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "unix", socket)
			}),
			grpc.WithConnectParams(grpc.ConnectParams{
				Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.5, MaxDelay: 200 * time.Millisecond},
				MinConnectTimeout: 20 * time.Second, // etcd accepts, and answers once it has a leader
			}),
		},
	})
}

// running is the process if it lives.
func (m *member) running() *etcdproc.Member {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.proc == nil {
		return nil
	}
	select {
	case <-m.proc.Done():
		return nil
	default:
		return m.proc
	}
}

// api is the client of a member that answers, nil of another.
func (m *member) api() *clientv3.Client {
	if p := m.running(); p == nil || !p.Serving() {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.client
}

// connection is the client of a member that runs, whether it answers or not.
func (m *member) connection() *clientv3.Client {
	if m.running() == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.client
}

// kill ends the process as kill -9 does.
func (m *member) kill() {
	if p := m.running(); p != nil {
		p.Kill()
	}
	m.hangUp()
}

// shutdown ends the process in order.
func (m *member) shutdown(ctx context.Context) error {
	defer m.hangUp()
	if p := m.running(); p != nil {
		ctx, cancel := context.WithTimeout(ctx, stopLimit)
		defer cancel()
		return p.Stop(ctx)
	}
	return nil
}

// stopLimit is how long an orderly stop may take before it is no longer one,
// as the kubelet has it (terminationGracePeriodSeconds).
const stopLimit = 30 * time.Second

func (m *member) hangUp() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.client != nil {
		_ = m.client.Close() // nothing is under way that anybody waits for
	}
	if m.proc != nil {
		m.proc.Resume() // of one that ended while it was paused
	}
	m.proc, m.client = nil, nil
}

// look asks the member itself. One that does not answer, because it stands
// still, is what it was: then the look is not fresh. One that has not joined yet
// does not serve, and looks for a leader.
func (m *member) look(ctx context.Context) (s sim.Member, fresh bool) {
	m.mu.Lock()
	m.looks++
	began := m.looks
	m.mu.Unlock()
	var status *etcdserverpb.StatusResponse
	client := m.api()
	if client != nil {
		status, _ = statusOf(ctx, client) // no answer is one, too
	}
	runs := m.running() != nil
	m.mu.Lock()
	defer m.mu.Unlock()
	if status != nil && client == m.client { // not of an earlier life
		s = sim.Member{
			Name: m.name, Role: roleOf(status), Learner: status.IsLearner, Epoch: m.epoch,
			Term: status.RaftTerm, Commit: status.RaftIndex, Applied: status.RaftAppliedIndex,
		}
		if began > m.newest { // two may ask at once
			m.newest, m.seen = began, s
			m.id, m.learner, m.revision = status.Header.MemberId, status.IsLearner, status.Header.Revision
		}
		return s, true
	}
	s = m.seen
	s.Name, s.Learner, s.Epoch = m.name, m.learner, m.epoch
	switch {
	case runs && m.learner:
		s.Role = sim.RoleLearner
	case runs && s.Running():
	case m.removed:
		s.Role = sim.RoleRemoved
	default:
		s.Role = sim.RoleDown
	}
	return s, false
}

// roleOf: a voter that knows of no leader looks for one.
func roleOf(s *etcdserverpb.StatusResponse) sim.Role {
	switch {
	case s.Leader == s.Header.MemberId:
		return sim.RoleLeader
	case s.IsLearner:
		return sim.RoleLearner
	case s.Leader == 0:
		return sim.RoleCandidate
	}
	return sim.RoleFollower
}

// statusOf is the member's own view; a member that does not answer soon does
// not.
func statusOf(ctx context.Context, client *clientv3.Client) (*etcdserverpb.StatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	api := etcdserverpb.NewMaintenanceClient(client.ActiveConnection())
	answer, err := api.Status(ctx, &etcdserverpb.StatusRequest{})
	return answer, clientv3.ContextError(ctx, err)
}

// lookLimit is well above what a status takes, and below an election.
const lookLimit = 700 * time.Millisecond
