package datadir_test

import (
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

func member(id uint64, name string, urls ...string) snapshot.Member {
	return snapshot.Member{ID: id, Name: name, PeerURLs: urls}
}

func threeMembers() []snapshot.Member {
	return []snapshot.Member{member(1, "a", "http://a:2380"), member(2, "b", "http://b:2380"), member(3, "c", "http://c:2380")}
}

func withLearner() []snapshot.Member {
	members := threeMembers()
	members[2].IsLearner = true
	return members
}

func TestPlanCluster(t *testing.T) {
	t.Parallel()
	manifest := datadir.ManifestMember{Name: "b", PeerURLs: []string{"http://new:2380"}, InitialCluster: "a=http://x:1,b=http://y:2"}
	for _, tc := range []struct {
		name    string
		known   datadir.Known
		want    datadir.Wanted
		cluster string
		write   []string
		because string // one of the reasons; the first is always the bump's
	}{
		{
			name: "asked for in full", known: datadir.Known{Members: threeMembers(), Manifest: manifest},
			want:    datadir.Wanted{Name: "z", PeerURLs: []string{"http://z:1", "http://z:2"}},
			cluster: "z=http://z:1,z=http://z:2", write: []string{"z"},
			because: "the new cluster has one member, z (http://z:1,http://z:2); --initial-cluster or --members all makes more",
		},
		{
			name: "the manifest goes before the database", known: datadir.Known{Members: threeMembers(), Manifest: manifest, DataDir: true, Own: 1},
			cluster: "b=http://new:2380", write: []string{"b"},
			because: "the manifest's peer URL http://new:2380 is taken; the database had http://b:2380",
		},
		{
			name: "the data dir's member", known: datadir.Known{Members: threeMembers(), DataDir: true, Own: 3},
			cluster: "c=http://c:2380", write: []string{"c"}, because: "the name c is that of the data dir's member",
		},
		{
			name: "a learner's data dir", known: datadir.Known{Members: withLearner(), DataDir: true, Own: 3},
			cluster: "c=http://c:2380", write: []string{"c"}, because: "c was a learner, and is a voter of the new cluster",
		},
		{
			name: "the only member", known: datadir.Known{Members: threeMembers()[:1]},
			cluster: "a=http://a:2380", write: []string{"a"}, because: "the name a is that of the only member in the database",
		},
		{
			name: "zombies are nobody", known: datadir.Known{Members: threeMembers(), Zombies: []uint64{1, 3}},
			cluster: "b=http://b:2380", write: []string{"b"}, because: "the name b is that of the only member in the database",
		},
		{
			name: "one of a cluster that was named", known: datadir.Known{Members: threeMembers()},
			want:    datadir.Wanted{Name: "b", InitialCluster: "a=http://1,b=http://2,b=http://3"},
			cluster: "a=http://1,b=http://2,b=http://3", write: []string{"b"},
		},
		{
			name: "a name of the database", known: datadir.Known{Members: threeMembers()}, want: datadir.Wanted{Name: "c"},
			cluster: "c=http://c:2380", write: []string{"c"}, because: "the peer URLs http://c:2380 are those that the database has of c",
		},
		{
			name: "repair", known: datadir.Known{Members: threeMembers(), DataDir: true, Own: 1}, want: datadir.Wanted{Repair: true},
			cluster: "a=http://a:2380", write: []string{"a"}, because: "the new cluster has one member, a (http://a:2380); the others join it as new ones",
		},
		{
			name: "all of the database", known: datadir.Known{Members: threeMembers()}, want: datadir.Wanted{All: true},
			cluster: "a=http://a:2380,b=http://b:2380,c=http://c:2380", write: []string{"a", "b", "c"}, because: "the members are those that the database has",
		},
		{
			name: "all but a learner", known: datadir.Known{Members: withLearner()}, want: datadir.Wanted{All: true},
			cluster: "a=http://a:2380,b=http://b:2380", write: []string{"a", "b"},
			because: "the learner c is left out, as a restored member votes: add it again (etcdctl member add --learner), or name all members with --initial-cluster",
		},
		{
			name: "all but a zombie", known: datadir.Known{Members: threeMembers(), Zombies: []uint64{2}}, want: datadir.Wanted{All: true},
			cluster: "a=http://a:2380,c=http://c:2380", write: []string{"a", "c"},
		},
		{
			name: "all of the manifest", known: datadir.Known{Members: threeMembers(), Manifest: manifest}, want: datadir.Wanted{All: true},
			cluster: "a=http://x:1,b=http://y:2", write: []string{"a", "b"}, because: "the members are those of the manifest's --initial-cluster",
		},
		{
			name: "all that were named", known: datadir.Known{Members: withLearner(), Manifest: manifest}, want: datadir.Wanted{All: true, InitialCluster: "c=http://c"},
			cluster: "c=http://c", write: []string{"c"},
		},
		{
			name: "a manifest's cluster of one says little", known: datadir.Known{Members: threeMembers(), Manifest: datadir.ManifestMember{Name: "a", InitialCluster: "a=http://x:1"}},
			want: datadir.Wanted{All: true}, cluster: "a=http://a:2380,b=http://b:2380,c=http://c:2380", write: []string{"a", "b", "c"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			plan, err := datadir.PlanCluster(tc.known, tc.want)
			require.NoError(t, err)
			require.Equal(t, tc.cluster, plan.InitialCluster())
			var write []string
			for _, m := range plan.Write {
				write = append(write, m.Name)
			}
			require.Equal(t, tc.write, write)
			require.Equal(t, tc.want.All, plan.All)
			require.Contains(t, plan.Reasons[0], "the revision stays")
			if tc.because != "" {
				require.Contains(t, plan.Reasons, tc.because)
			}
		})
	}
}

func TestPlanClusterRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		known datadir.Known
		want  datadir.Wanted
		is    error
		says  string
		hint  string
	}{
		{
			name: "which of three", known: datadir.Known{Members: threeMembers()},
			is: datadir.ErrRequest, says: "--name is missing, and neither a manifest nor SRC tells", hint: "the database knows a, b, c; or --manifest FILE, etcd's static Pod manifest, which has name and URLs",
		},
		{
			name: "a data dir whose member is gone", known: datadir.Known{Members: threeMembers()[:1], DataDir: true, Own: 9},
			is: datadir.ErrRequest, says: "--name is missing", hint: "the database knows a; or --manifest FILE, etcd's static Pod manifest, which has name and URLs",
		},
		{name: "a stranger's URL", known: datadir.Known{Members: threeMembers()}, want: datadir.Wanted{Name: "z"}, is: datadir.ErrRequest, says: `has a peer URL of "z"`},
		{name: "half a member", want: datadir.Wanted{InitialCluster: "a=http://a,b"}, is: datadir.ErrRequest, says: `"b" is not NAME=URL`},
		{name: "all and one", known: datadir.Known{Members: threeMembers()}, want: datadir.Wanted{All: true, Name: "a"}, is: datadir.ErrRequest, says: "are of one member"},
		{name: "all and one log", known: datadir.Known{Members: threeMembers()}, want: datadir.Wanted{All: true, WALDir: true}, is: datadir.ErrRequest, says: "are of one member"},
		{name: "all of nobody", want: datadir.Wanted{All: true}, is: datadir.ErrNoMember, says: "no member is known", hint: "name them with --initial-cluster"},
		{name: "all are learners", known: datadir.Known{Members: withLearner()[2:]}, want: datadir.Wanted{All: true}, is: datadir.ErrNoMember, says: "no member is known", hint: "name them with --initial-cluster"},
		{name: "a name that leaves the folder", want: datadir.Wanted{All: true, InitialCluster: "..=http://a"}, is: datadir.ErrNoMember, says: `member name ".." cannot be a folder's name`, hint: "name the members with --initial-cluster"},
		{name: "a member without a name", known: datadir.Known{Members: []snapshot.Member{member(1, "", "http://a")}}, want: datadir.Wanted{All: true}, is: datadir.ErrNoMember, says: `member name ""`, hint: "name the members with --initial-cluster"},
		{name: "no number", want: datadir.Wanted{Bump: "many"}, is: datadir.ErrRequest, says: `--bump-revision "many"`},
		{name: "no growth", want: datadir.Wanted{Bump: "0"}, is: datadir.ErrRequest, says: `--bump-revision "0"`},
		{name: "beyond the last revision", known: datadir.Known{Revision: 2}, want: datadir.Wanted{Bump: "9223372036854775806"}, is: datadir.ErrRequest, says: "--bump-revision"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			plan, err := datadir.PlanCluster(tc.known, tc.want)
			require.Nil(t, plan)
			require.ErrorIs(t, err, tc.is)
			require.ErrorContains(t, err, tc.says)
			e := (*datadir.RequestError)(nil)
			require.ErrorAs(t, err, &e)
			require.Equal(t, tc.hint, e.Hint)
			require.NotEqual(t, errors.Is(err, datadir.ErrRequest), errors.Is(err, datadir.ErrNoMember), "one or the other")
		})
	}
}

func TestPlanClusterBump(t *testing.T) {
	t.Parallel()
	known := datadir.Known{Members: threeMembers()[:1], Revision: 100, Newest: 150}
	for bump, want := range map[string]uint64{"": 0, "off": 0, "auto": 50 + datadir.BumpMargin, "7": 7} {
		plan, err := datadir.PlanCluster(known, datadir.Wanted{Bump: bump})
		require.NoError(t, err)
		require.Equal(t, want, plan.Bump, bump)
		require.Contains(t, plan.Reasons[0], "revision")
	}
	known.Newest = 0 // nobody looked
	plan, err := datadir.PlanCluster(known, datadir.Wanted{Bump: datadir.BumpAuto, Dropped: 3})
	require.NoError(t, err)
	require.Equal(t, uint64(datadir.BumpMargin), plan.Bump)
	require.Equal(t, "3 keys are deleted, as etcd deletes them: at a revision of their own", plan.Reasons[1])

	known.Revision = math.MaxInt64 - 1
	plan, err = datadir.PlanCluster(known, datadir.Wanted{Bump: "1"})
	require.NoError(t, err)
	require.Equal(t, uint64(1), plan.Bump)
}

// Whatever is known and wanted: who is written belongs to the cluster under the
// same URLs unless both were said, no zombie and no learner comes in unnamed,
// and the same question has the same answer.
func TestPlanClusterProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		known := datadir.Known{DataDir: rapid.Bool().Draw(t, "dir"), Own: rapid.Uint64Range(0, 4).Draw(t, "own")}
		for _, m := range threeMembers() {
			if rapid.Bool().Draw(t, "there") {
				m.IsLearner = rapid.Bool().Draw(t, "learner")
				known.Members = append(known.Members, m)
			}
			if rapid.IntRange(0, 4).Draw(t, "zombie") == 0 {
				known.Zombies = append(known.Zombies, m.ID)
			}
		}
		want := datadir.Wanted{All: rapid.Bool().Draw(t, "all")}
		plan, err := datadir.PlanCluster(known, want)
		again, errAgain := datadir.PlanCluster(known, want)
		require.Equal(t, plan, again)
		require.Equal(t, err, errAgain)
		if err != nil {
			return
		}
		require.NotEmpty(t, plan.Write)
		for _, w := range plan.Write {
			require.Contains(t, plan.Members, w)
			require.NotEmpty(t, w.PeerURLs)
		}
		for _, m := range known.Members {
			for _, z := range known.Zombies {
				require.False(t, m.ID == z && m.Name == plan.Write[0].Name, "a zombie is written")
			}
			if m.IsLearner && want.All {
				require.NotContains(t, plan.InitialCluster(), m.Name+"=")
			}
		}
	})
}
