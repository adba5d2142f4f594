package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
	"go.etcd.io/etcd/server/v3/etcdserver/api/snap"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v2store"
	"go.uber.org/zap"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// V2Membership is the member list as raft's snapshot file has it, which is the
// truth of etcd up to 3.5. From 3.6 on the database is.
type V2Membership struct {
	File    string // "" where there is none
	Index   uint64 // of the entry up to which it goes
	Members map[uint64]bool
	Learner map[uint64]bool
	Removed map[uint64]bool
}

// V2Membership reads the newest .snap file that can be read. None is no error.
func (d *Dir) V2Membership() (V2Membership, error) {
	dir := filepath.Dir(d.Database())
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return V2Membership{}, nil
	}
	if err != nil {
		return V2Membership{}, fmt.Errorf("reading raft's snapshot: %w", err)
	}
	slices.Reverse(entries) // TERM-INDEX in fixed-width hexadecimal: the newest first
	var bad error
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".snap") || !e.Type().IsRegular() {
			continue
		}
		m, err := readV2(filepath.Join(dir, e.Name()))
		if err == nil {
			return m, nil
		}
		bad = errors.Join(bad, err)
	}
	return V2Membership{}, bad
}

// maxSnap bounds what is read into memory. The keys of etcd 2 may stand in it.
const maxSnap = 256 << 20

// readV2 reads a .snap file. etcd's store is made for its own files and may
// panic on others.
func readV2(path string) (m V2Membership, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("reading raft's snapshot %q: %v", filepath.Base(path), p)
		}
	}()
	if info, err := os.Stat(path); err != nil || info.Size() > maxSnap {
		return m, errors.Join(err, fmt.Errorf("reading raft's snapshot %q: it is larger than any list of members", filepath.Base(path)))
	}
	s, err := snap.Read(zap.NewNop(), path)
	if err != nil {
		return m, fmt.Errorf("reading raft's snapshot %q: %w", filepath.Base(path), err)
	}
	store := v2store.New("/0", "/1")
	if err := store.Recovery(s.Data); err != nil {
		return m, fmt.Errorf("reading raft's snapshot %q: %w", filepath.Base(path), err)
	}
	members, removed := membership.MembersFromStore(zap.NewNop(), store)
	m = V2Membership{File: path, Index: s.GetMetadata().GetIndex(), Members: map[uint64]bool{}, Learner: map[uint64]bool{}, Removed: map[uint64]bool{}}
	for id, member := range members {
		m.Members[uint64(id)], m.Learner[uint64(id)] = true, member.IsLearner
	}
	for id := range removed {
		m.Removed[uint64(id)] = true
	}
	return m, nil
}

// Differences compares the member list of the database, or of a replay onto it,
// with what raft's snapshot and the log behind it say. Zombies are members that
// were removed, or that a restore by etcd before 3.4 left in the database alone
// (etcd-io/etcd#20340); unpromoted are learners that are voters.
func (s *Survivor) Differences(members []snapshot.Member) (zombies, unpromoted []uint64) {
	if s.V2.File == "" {
		return nil, nil
	}
	for _, m := range members {
		switch {
		case s.V2.Removed[m.ID], !s.V2.Members[m.ID] && s.Log.added[m.ID] <= s.V2.Index:
			zombies = append(zombies, m.ID)
		case m.IsLearner && s.V2.Members[m.ID] && !s.V2.Learner[m.ID]:
			unpromoted = append(unpromoted, m.ID)
		}
	}
	return zombies, unpromoted
}
