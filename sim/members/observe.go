package members

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// What a client meets where no process is.
var (
	errDown   = errors.New("connection refused")
	errNobody = errors.New("no member runs")
)

// Members implements sim.Cluster.
func (c *cluster) Members() []sim.Member {
	seen, _ := c.look()
	return seen
}

// look asks all members at once. fresh says which of them have answered.
func (c *cluster) look() (seen []sim.Member, fresh []bool) {
	all := c.all()
	seen, fresh = make([]sim.Member, len(all)), make([]bool, len(all))
	var looks sync.WaitGroup
	for i, m := range all {
		looks.Go(func() { seen[i], fresh[i] = m.look(context.Background()) })
	}
	looks.Wait()
	for i, m := range all {
		seen[i].Reachable = c.reachable(m, all)
	}
	return seen, fresh
}

// reachable counts the running members, itself included, with which m can talk
// both ways.
func (c *cluster) reachable(m *member, all []*member) (n int) {
	if m.running() == nil {
		return 0
	}
	for _, o := range all {
		there, _ := c.mesh.path(m.name, o.name).now()
		back, _ := c.mesh.path(o.name, m.name).now()
		if o == m || o.running() != nil && !there.cut && !back.cut {
			n++
		}
	}
	return n
}

// on are the members of those names, or all voters that run, those first that
// know a leader.
func (c *cluster) on(names []string) ([]*member, error) {
	if len(names) == 0 {
		out := slices.DeleteFunc(c.leaderFirst(), func(m *member) bool { return m.isLearner() })
		if len(out) == 0 {
			return nil, errNobody
		}
		return out, nil
	}
	var out []*member
	for _, name := range names {
		m := c.member(name)
		if m == nil {
			return nil, unknown(name)
		}
		out = append(out, m)
	}
	return out, nil
}

func unknown(name string) error {
	return &sim.FatalError{Err: fmt.Errorf("there is no member %q", name)}
}

// one asks one member within timeout. A process that ends takes its clients
// along: etcd's client by itself would go on trying.
func (c *cluster) one(ctx context.Context, name string, timeout time.Duration, ask func(context.Context, *clientv3.Client) error) error {
	m := c.member(name)
	if m == nil {
		return unknown(name)
	}
	client, proc := m.connection(), m.running()
	if client == nil || proc == nil {
		return errDown
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	go func() {
		select {
		case <-proc.Done():
			cancel()
		case <-ctx.Done():
		}
	}()
	err := ask(ctx, client)
	if err != nil && m.running() != proc {
		return errDown
	}
	return err
}

// inTurn asks one member after the other until one answers well. Each has an
// equal share of the time that is left: one that is cut off from the others
// would wait all of it.
func (c *cluster) inTurn(ctx context.Context, members []*member, timeout time.Duration, ask func(context.Context, *clientv3.Client) error) (err error) {
	deadline := time.Now().Add(timeout)
	for i, m := range members {
		share := time.Until(deadline) / time.Duration(len(members)-i)
		if err = c.one(ctx, m.name, share, ask); err == nil {
			return nil
		}
	}
	return err
}

// localTimeout is for what a member answers by itself, if it answers at all.
const localTimeout = 2 * time.Second

// commandTimeout is that of etcdctl's --command-timeout.
const commandTimeout = 5 * time.Second

// Write implements sim.Cluster.
func (c *cluster) Write(ctx context.Context, on []string, timeout time.Duration) error {
	members, err := c.on(on)
	if err != nil {
		return err
	}
	return c.inTurn(ctx, members, timeout, c.load.probe)
}

// probeKey is what drills write and read. It is none of Kubernetes' keys.
const probeKey = "/lifeboat/probe"

// Read implements sim.Cluster.
func (c *cluster) Read(ctx context.Context, on string, linearizable bool, timeout time.Duration) error {
	var opts []clientv3.OpOption
	if !linearizable {
		opts = append(opts, clientv3.WithSerializable())
	}
	return c.one(ctx, on, timeout, func(ctx context.Context, client *clientv3.Client) error {
		_, err := client.Get(ctx, probeKey, opts...)
		return err
	})
}

// MemberList implements sim.Cluster.
func (c *cluster) MemberList(ctx context.Context, on string) (list []sim.ListedMember, err error) {
	err = c.one(ctx, on, localTimeout, func(ctx context.Context, client *clientv3.Client) error {
		members, err := applied(ctx, client)
		for _, m := range members {
			list = append(list, sim.ListedMember{Name: c.nameOf(m), Learner: m.IsLearner, Started: m.Name != ""})
		}
		return err
	})
	slices.SortFunc(list, func(a, b sim.ListedMember) int { return strings.Compare(a.Name, b.Name) })
	return list, err
}

// applied is the membership as a member has applied it.
func applied(ctx context.Context, client *clientv3.Client) ([]*etcdserverpb.Member, error) {
	list, err := client.MemberList(ctx, clientv3.WithSerializable())
	if err != nil {
		return nil, err
	}
	return list.Members, nil
}

// nameOf is the drill's name for a member, which has none in etcd before its
// first start.
func (c *cluster) nameOf(listed *etcdserverpb.Member) string {
	for _, m := range c.all() {
		if slices.Contains(listed.PeerURLs, peerURL(m)) {
			return m.name
		}
	}
	return listed.Name
}

// nameOfID is the name of the member with that id, "" of one unknown.
func (c *cluster) nameOfID(id uint64) string {
	for _, m := range c.all() {
		m.mu.Lock()
		same := m.id == id && id != 0
		m.mu.Unlock()
		if same {
			return m.name
		}
	}
	return ""
}

// Status implements sim.Cluster.
func (c *cluster) Status(ctx context.Context, on string) (s sim.Status, err error) {
	err = c.one(ctx, on, localTimeout, func(ctx context.Context, client *clientv3.Client) error {
		status, err := statusOf(ctx, client)
		if err != nil {
			return err
		}
		s.Term, s.Errors, s.Alarms = status.RaftTerm, status.Errors, alarmsIn(status.Errors)
		if s.Leader = c.nameOfID(status.Leader); s.Leader == "" && status.Leader != 0 {
			s.Leader = strconv.FormatUint(status.Leader, 16)
		}
		hash, err := hashAt(ctx, client, c.common())
		if err != nil {
			return err
		}
		s.Hash, s.Revision = hash.Hash, hash.HashRevision
		return nil
	})
	return s, err
}

// common is a revision that all members of the newest cluster have, so that
// their hashes compare while the load goes on. It is kept for a moment: members
// are asked one after the other.
func (c *cluster) common() int64 {
	if c.commonAge > 0 && c.Now()-c.commonAge < time.Second {
		return c.commonRevision
	}
	c.commonRevision, c.commonAge = 0, c.Now()
	for _, m := range c.leaderFirst() {
		m.mu.Lock()
		if m.epoch == c.epoch && (c.commonRevision == 0 || m.revision < c.commonRevision) {
			c.commonRevision = m.revision
		}
		m.mu.Unlock()
	}
	return c.commonRevision
}

// hashAt is HashKV at a revision, or at the newest where the member has not
// that one.
func hashAt(ctx context.Context, client *clientv3.Client, revision int64) (*etcdserverpb.HashKVResponse, error) {
	api := etcdserverpb.NewMaintenanceClient(client.ActiveConnection())
	hash, err := api.HashKV(ctx, &etcdserverpb.HashKVRequest{Revision: revision})
	if err != nil {
		hash, err = api.HashKV(ctx, &etcdserverpb.HashKVRequest{})
	}
	return hash, clientv3.ContextError(ctx, err)
}

// alarmsIn finds the alarms among a status's errors. Asking for them otherwise
// goes through the log (etcd server/etcdserver/v3_server.go, Alarm).
func alarmsIn(texts []string) (found []string) {
	for _, kind := range []string{etcdserverpb.AlarmType_NOSPACE.String(), etcdserverpb.AlarmType_CORRUPT.String()} {
		if slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, "alarm:"+kind) }) {
			found = append(found, kind)
		}
	}
	return found
}

// eachKey lists the keys with a prefix as the member itself has them.
func eachKey(ctx context.Context, client *clientv3.Client, prefix string, do func(key string)) error {
	return eachKeyIn(ctx, client, prefix, clientv3.GetPrefixRangeEnd(prefix), do)
}

// eachKeyIn is eachKey from one key up to, but without, another.
func eachKeyIn(ctx context.Context, client *clientv3.Client, from, end string, do func(key string)) error {
	const page = 5000
	for {
		answer, err := client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithSerializable(), clientv3.WithKeysOnly(), clientv3.WithLimit(page))
		if err != nil {
			return err
		}
		for _, kv := range answer.Kvs {
			do(string(kv.Key))
		}
		if !answer.More {
			return nil
		}
		from = string(answer.Kvs[len(answer.Kvs)-1].Key) + "\x00"
	}
}
