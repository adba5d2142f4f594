package members

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

func peerURL(m *member) string { return etcdproc.PeerURL(m.name) }

// ask has the cluster answer: the leader if there is one, or else the others in
// turn. What etcd itself has answered is the answer.
func (c *cluster) ask(ctx context.Context, do func(context.Context, *clientv3.Client) error) error {
	members := c.leaderFirst()
	if len(members) == 0 {
		return errNobody
	}
	if members[0].leads() { // it would take the others as long
		members = members[:1]
	}
	var answer error
	err := c.inTurn(ctx, members, commandTimeout, func(ctx context.Context, client *clientv3.Client) error {
		answer = do(ctx, client)
		if said := (rpctypes.EtcdError{}); errors.As(answer, &said) {
			return nil
		}
		return answer
	})
	if err == nil {
		return answer
	}
	return err
}

// leaderFirst are the members that run: those of the newest cluster first, and
// of them the leader of the newest term, then who follows one.
func (c *cluster) leaderFirst() []*member {
	type seen struct {
		*member
		sim.Member
	}
	var running []seen
	looks := c.Members()
	for i, m := range c.all()[:len(looks)] {
		if looks[i].Running() {
			running = append(running, seen{m, looks[i]})
		}
	}
	slices.SortStableFunc(running, func(a, b seen) int {
		return cmp.Or(
			cmp.Compare(b.cluster(), a.cluster()),
			cmp.Compare(rank(a.Role), rank(b.Role)),
			cmp.Compare(b.Term, a.Term),
		)
	})
	members := make([]*member, len(running))
	for i, s := range running {
		members[i] = s.member
	}
	return members
}

// rank is the order in which a client does well to ask.
func rank(r sim.Role) int {
	return slices.Index([]sim.Role{sim.RoleLeader, sim.RoleFollower, sim.RoleLearner, sim.RoleCandidate}, r)
}

// add has the cluster know a new member, which is not started by that.
func (c *cluster) add(ctx context.Context, name string, learner bool) error {
	m := c.member(name)
	if m != nil && !m.gone() {
		return fmt.Errorf("adding member %q: there is one of that name", name)
	}
	err := c.ask(ctx, func(ctx context.Context, client *clientv3.Client) error {
		urls := []string{etcdproc.PeerURL(name)}
		if learner {
			_, err := client.MemberAddAsLearner(ctx, urls)
			return err
		}
		_, err := client.MemberAdd(ctx, urls)
		return err
	})
	if err != nil {
		return err
	}
	if m == nil {
		if m, err = c.join(name, learner); err != nil {
			return &sim.FatalError{Err: err}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.removed, m.learner, m.epoch, m.id = false, learner, c.epoch, 0
	m.config.Existing, m.config.InitialCluster = true, ""
	return nil
}

// joinFlags are those that `etcdctl member add` prints, with the members of
// now: etcd refuses to join with any others.
func (c *cluster) joinFlags(ctx context.Context, m *member) error {
	running := c.leaderFirst()
	if len(running) == 0 {
		return fmt.Errorf("starting member %q: nobody is there to join", m.name)
	}
	return c.one(ctx, running[0].name, commandTimeout, func(ctx context.Context, client *clientv3.Client) error {
		list, err := applied(ctx, client)
		if err != nil {
			return err
		}
		parts := make([]string, len(list))
		for i, l := range list {
			parts[i] = c.nameOf(l) + "=" + strings.Join(l.PeerURLs, ",")
		}
		m.config.InitialCluster = strings.Join(parts, ",")
		return nil
	})
}

// idOf is the id of a member in the membership that client's member has.
func (c *cluster) idOf(ctx context.Context, client *clientv3.Client, m *member) (uint64, error) {
	list, err := applied(ctx, client)
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(list, func(l *etcdserverpb.Member) bool { return slices.Contains(l.PeerURLs, peerURL(m)) })
	if i < 0 {
		return 0, rpctypes.ErrMemberNotFound
	}
	return list[i].ID, nil
}

func (c *cluster) promote(ctx context.Context, m *member) error {
	err := c.ask(ctx, func(ctx context.Context, client *clientv3.Client) error {
		id, err := c.idOf(ctx, client, m)
		if err != nil {
			return err
		}
		_, err = client.MemberPromote(ctx, id)
		return err
	})
	if err == nil {
		m.setVoter()
	}
	return err
}

func (m *member) setVoter() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.learner = false
}

func (c *cluster) remove(ctx context.Context, m *member) error {
	err := c.ask(ctx, func(ctx context.Context, client *clientv3.Client) error {
		id, err := c.idOf(ctx, client, m)
		if err != nil {
			return err
		}
		_, err = client.MemberRemove(ctx, id)
		return err
	})
	if err == nil {
		m.setRemoved()
	}
	return err
}

func (m *member) leads() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seen.Role == sim.RoleLeader
}

func (m *member) isLearner() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.learner
}

// gone says that a member was removed and does not run.
func (m *member) gone() bool {
	runs := m.running() != nil
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.removed && !runs
}

func (m *member) setRemoved() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.removed = true
}

func (c *cluster) moveLeader(ctx context.Context, m *member) error {
	return c.ask(ctx, func(ctx context.Context, client *clientv3.Client) error {
		id, err := c.idOf(ctx, client, m)
		if err != nil {
			return err
		}
		_, err = client.MoveLeader(ctx, id)
		return err
	})
}
