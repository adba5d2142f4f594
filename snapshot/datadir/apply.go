package datadir

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/coreos/go-semver/semver"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/pkg/v3/wait"
	"go.etcd.io/etcd/server/v3/auth"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3alarm"
	"go.etcd.io/etcd/server/v3/etcdserver/apply"
	"go.etcd.io/etcd/server/v3/etcdserver/cindex"
	"go.etcd.io/etcd/server/v3/lease"
	"go.etcd.io/etcd/server/v3/storage"
	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
)

// machine is etcd's state machine over our copy of a database: the parts of
// etcdserver.NewServer that entries are applied to, in its order.
type machine struct {
	lg      *zap.Logger
	be      backend.Backend
	hooks   *storage.BackendHooks
	ci      cindex.ConsistentIndexer
	cluster *membership.RaftCluster
	lessor  lease.Lessor
	kv      mvcc.WatchableKV
	auth    auth.AuthStore
	applier apply.UberApplier
	wait    wait.Wait

	index, term  uint64 // of the entry that is being applied
	keepsHistory bool   // compactions are passed over
	keepsTerm    bool   // since etcd 3.5 the database has the term, and confState
}

// openMachine opens the database at path. It is our copy: no fsync.
func openMachine(lg *zap.Logger, path string, size int64, node, clusterID uint64) (m *machine, err error) {
	m = &machine{lg: lg, ci: cindex.NewConsistentIndex(nil), wait: wait.New()}
	m.hooks = storage.NewBackendHooks(lg, m.ci)
	cfg := backend.DefaultBackendConfig(lg)
	cfg.Path, cfg.Hooks, cfg.UnsafeNoFsync, cfg.MmapSize = path, m.hooks, true, uint64(size+size/4)
	m.be = backend.New(cfg)
	m.ci.SetBackend(m.be)
	schema.CreateMetaBucket(m.be.BatchTx())
	m.ci.ConsistentIndex()
	_, term := schema.ReadConsistentIndex(m.be.ReadTx())
	m.keepsTerm = term > 0

	m.cluster = membership.NewCluster(lg, membership.WithMaxLearners(membership.DefaultMaxLearners))
	m.cluster.SetID(types.ID(node), types.ID(clusterID))
	m.cluster.SetBackend(schema.NewMembershipBackend(lg, m.be))
	m.cluster.Recover(func(*zap.Logger, *semver.Version) {})

	// The lessor is never promoted, so no lease runs out.
	m.lessor = lease.NewLessor(lg, m.be, m.cluster, lease.LessorConfig{MinLeaseTTL: 2, CheckpointPersist: true})
	// Nobody waits for this store, so a compaction need not make room for others.
	m.kv = mvcc.New(lg, m.be, m.lessor, mvcc.StoreConfig{CompactionBatchLimit: 10_000, CompactionSleepInterval: time.Microsecond})
	tokens, err := auth.NewTokenProvider(lg, "", nil, 0)
	if err != nil {
		return nil, err
	}
	m.auth = auth.NewAuthStore(lg, schema.NewAuthBackend(lg, m.be), tokens, bcryptCost)
	alarms, err := v3alarm.NewAlarmStore(lg, schema.NewAlarmBackend(lg, m.be))
	if err != nil {
		return nil, err
	}
	m.applier = apply.NewUberApplier(apply.ApplierOptions{
		Logger: lg, KV: m.kv, AlarmStore: alarms, AuthStore: m.auth, Lessor: m.lessor, Cluster: m.cluster,
		RaftStatus: raftStatus{m}, SnapshotServer: raftStatus{m}, ConsistentIndex: m.ci, Backend: m.be,
		// Data is applied first and ErrNoSpace returned after, so a quota would
		// change nothing but the answer, which nobody reads.
		QuotaBackendBytesCfg: -1,
	})
	m.be.SetTxPostLockInsideApplyHook(func() {
		if index, term := m.ci.ConsistentApplyingIndex(); index > m.ci.ConsistentIndex() {
			m.ci.SetConsistentIndex(index, term)
		}
	})
	return m, nil
}

// bcryptCost is etcd's default (server/embed/config.go).
const bcryptCost = 10

// apply applies one entry, as EtcdServer.apply does.
func (m *machine) apply(e *raftpb.Entry) error {
	m.index, m.term = e.GetIndex(), e.GetTerm()
	term := m.term
	if !m.keepsTerm {
		term = 0 // etcd 3.4's database has none, and one would make it look like 3.5's
	}
	m.ci.SetConsistentApplyingIndex(m.index, term)
	var err error
	switch {
	case e.GetType() == raftpb.EntryConfChange:
		err = m.applyConfChange(e)
	case e.GetType() != raftpb.EntryNormal:
		err = fmt.Errorf("unknown entry type %d", e.GetType())
	case len(e.Data) > 0: // a new leader's first entry has none
		err = m.applyNormal(e)
	}
	if err != nil {
		return fmt.Errorf("applying entry %d: %w", m.index, err)
	}
	// Not every entry takes the lock that the hook hangs on.
	if m.ci.ConsistentIndex() < m.index {
		m.ci.SetConsistentIndex(m.index, term)
	}
	return nil
}

func (m *machine) applyNormal(e *raftpb.Entry) error {
	data := e.Data
	if v2, ok := parseV2(data); ok {
		r, err := v2.request()
		if err != nil {
			return err
		}
		if r == nil {
			return nil
		}
		if data, err = proto.Marshal(r); err != nil {
			return err
		}
	}
	var r etcdserverpb.InternalRaftRequest
	if err := proto.Unmarshal(data, &r); err != nil {
		return fmt.Errorf("decoding the request: %w", err)
	}
	if r.ID == 0 && r.Header == nil {
		return errors.New("the request has no header")
	}
	if !m.knows(&r) || m.keepsHistory && r.Compaction != nil {
		return nil
	}
	result, _ := apply.Apply(m.lg, &raftpb.Entry{Index: e.Index, Term: e.Term, Type: e.Type, Data: data}, m.applier, m.wait, membership.ApplyBoth)
	if result != nil && result.Physc != nil {
		<-result.Physc // a compaction works in the background
	}
	// An error in the result is the client's: a lease that exists already, as
	// when 3.4's database repeats what it has, a compacted revision.
	return nil
}

// knows reports whether attributes are those of a member that the cluster has
// or had. In the database of etcd 3.4 and 3.5 members may be missing that its v2
// store has; etcd panics over them.
func (m *machine) knows(r *etcdserverpb.InternalRaftRequest) bool {
	set := r.ClusterMemberAttrSet
	if set == nil {
		return true
	}
	id := types.ID(set.Member_ID)
	return m.cluster.Member(id) != nil || m.cluster.IsIDRemoved(id)
}

// applyConfChange is EtcdServer.applyConfChange without the network.
func (m *machine) applyConfChange(e *raftpb.Entry) error {
	var cc raftpb.ConfChange
	if err := proto.Unmarshal(e.Data, &cc); err != nil {
		return fmt.Errorf("decoding the change of members: %w", err)
	}
	if err := m.cluster.ValidateConfigurationChange(&cc, membership.ApplyBoth); err != nil {
		// etcd refuses it as well and goes on; in 3.4, whose database lags
		// behind the log, it is a change that was carried out before.
		return nil //nolint:nilerr // see above
	}
	id := types.ID(cc.GetNodeId())
	switch cc.GetType() {
	case raftpb.ConfChangeAddNode, raftpb.ConfChangeAddLearnerNode:
		var change membership.ConfigChangeContext
		if err := json.Unmarshal(cc.Context, &change); err != nil {
			return fmt.Errorf("decoding member %s: %w", id, err)
		}
		if change.IsPromote {
			m.cluster.PromoteMember(change.ID, membership.ApplyBoth)
		} else {
			m.cluster.AddMember(&change.Member, membership.ApplyBoth)
		}
	case raftpb.ConfChangeRemoveNode:
		m.cluster.RemoveMember(id, membership.ApplyBoth)
	case raftpb.ConfChangeUpdateNode:
		var member membership.Member
		if err := json.Unmarshal(cc.Context, &member); err != nil {
			return fmt.Errorf("decoding member %s: %w", id, err)
		}
		m.cluster.UpdateRaftAttributes(member.ID, member.RaftAttributes, membership.ApplyBoth)
	}
	if m.keepsTerm {
		m.hooks.SetConfState(m.confState())
	}
	return nil
}

func (m *machine) confState() *raftpb.ConfState {
	var s raftpb.ConfState
	for _, member := range m.cluster.Members() {
		if member.IsLearner {
			s.Learners = append(s.Learners, uint64(member.ID))
		} else {
			s.Voters = append(s.Voters, uint64(member.ID))
		}
	}
	return &s
}

// close writes what is pending and lets go, in etcd's order.
func (m *machine) close() error {
	m.kv.Commit()
	err := m.auth.Close()
	m.lessor.Stop()
	m.kv.Close()
	return errors.Join(err, m.be.Close())
}

// raftStatus is all that the applier asks of a server.
type raftStatus struct{ m *machine }

func (s raftStatus) MemberID() types.ID     { return 0 }
func (s raftStatus) Leader() types.ID       { return 0 }
func (s raftStatus) CommittedIndex() uint64 { return s.m.index }
func (s raftStatus) AppliedIndex() uint64   { return s.m.index }
func (s raftStatus) Term() uint64           { return s.m.term }
func (s raftStatus) ForceSnapshot()         {}
