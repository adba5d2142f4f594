package etcd

import (
	"bytes"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

// bumpMargin is what auto adds to the newest revision that is known. etcd's own
// guide to disaster recovery takes the same: about 1600 writes a second for a
// week (etcd.io/docs op-guide/recovery, "Restoring with revision bump").
const bumpMargin = 1_000_000_000

// bump reads --bump-revision.
func (r *restorer) bump() (uint64, error) {
	own := r.src.Db.Revision()
	switch text := r.c.String("bump-revision"); text {
	case "off":
		if r.verb == repairVerb {
			r.explain("the revision stays at %d, and every living key as it is", own)
		} else {
			r.explain("the revision stays at %d: caches that are newer than the data will act on what no longer exists", own)
		}
		return 0, nil
	case "auto":
		newest := own
		if r.src.Replay != nil {
			for _, s := range r.src.Survivors {
				newest = max(newest, s.Info.Revision)
			}
		}
		amount := newest - own + bumpMargin
		r.explain("the revision grows from %d to %d: the newest one known, %d, and a margin of %d for what was written since", own, own+amount, newest, int64(bumpMargin))
		return uint64(amount), nil
	default:
		n, err := strconv.ParseUint(text, 10, 63)
		if err != nil || n == 0 || n > uint64(math.MaxInt64-own) {
			return 0, console.Usagef("--bump-revision %q: it is auto, off, or by how much the revision grows", text)
		}
		r.explain("the revision grows from %d to %d, as --bump-revision says", own, own+int64(n))
		return n, nil
	}
}

// clusterMember is a member by its name, as in --initial-cluster.
type clusterMember struct {
	name    string
	urls    []string
	learner bool   // in the old cluster
	id      uint64 // of one that the database knows
}

// clusterNames is the new cluster.
type clusterNames struct {
	members []clusterMember
	write   []clusterMember // of them, those whose data dir is written
	all     bool
}

// String is --initial-cluster. Of a member with several URLs each has the name.
func (n clusterNames) String() string {
	var parts []string
	for _, m := range n.members {
		for _, u := range m.urls {
			parts = append(parts, m.name+"="+u)
		}
	}
	return strings.Join(parts, ",")
}

// cluster decides who the new members are.
func (r *restorer) cluster() (clusterNames, error) {
	which := r.c.String("members")
	if which != "" && which != "all" {
		return clusterNames{}, console.Usagef("--members %q: it is all; one member is chosen with --name", which)
	}
	manifest, err := r.manifest()
	if err != nil {
		return clusterNames{}, err
	}
	known, err := r.known()
	if err != nil {
		return clusterNames{}, err
	}
	given, err := parseInitialCluster(r.c.String("initial-cluster"))
	if err != nil {
		return clusterNames{}, err
	}
	if which == "all" {
		return r.allMembers(given, manifest, known)
	}
	me, err := r.me(given, manifest, known)
	if err != nil {
		return clusterNames{}, err
	}
	for _, m := range known {
		if m.learner && m.name == me.name {
			r.explain("%s was a learner, and is a voter of the new cluster", m.name)
		}
	}
	names := clusterNames{members: given, write: []clusterMember{me}}
	if given == nil {
		names.members = []clusterMember{me}
		more := "; --initial-cluster or --members all makes more"
		if r.verb == repairVerb {
			more = "; the others join it as new ones"
		}
		r.explain("the new cluster has one member, %s (%s)%s", me.name, strings.Join(me.urls, ","), more)
	}
	return names, nil
}

func (r *restorer) allMembers(given []clusterMember, manifest controlplane.EtcdMember, known []clusterMember) (clusterNames, error) {
	if r.c.IsSet("name") || r.c.IsSet("initial-advertise-peer-urls") || r.c.IsSet("wal-dir") {
		return clusterNames{}, console.Usagef("--members all takes names and URLs from --initial-cluster: --name, --initial-advertise-peer-urls and --wal-dir are of one member")
	}
	members := given
	if members == nil {
		listed, err := parseInitialCluster(manifest.InitialCluster)
		if err == nil && len(listed) > 1 {
			members = listed
			r.explain("the members are those of the manifest's --initial-cluster")
		} else {
			members = r.voters(known)
			r.explain("the members are those that the database has")
		}
	}
	if len(members) == 0 {
		return clusterNames{}, console.WithHint(console.Failf("%w: no member is known", errNoMember), "name them with --initial-cluster")
	}
	for _, m := range members {
		if m.name == "" || strings.ContainsAny(m.name, "/\x00") || m.name == "." || m.name == ".." {
			return clusterNames{}, console.WithHint(console.Failf("member name %q cannot be a folder's name", m.name), "name the members with --initial-cluster")
		}
	}
	return clusterNames{members: members, write: members, all: true}, nil
}

// voters leaves learners out: each restored member votes, and one more than the
// cluster had would change what it can lose. Whoever wants them as voters names
// them with --initial-cluster.
func (r *restorer) voters(known []clusterMember) []clusterMember {
	var voters []clusterMember
	for _, m := range known {
		if m.learner {
			r.explain("the learner %s is left out, as a restored member votes: add it again (etcdctl member add --learner), or name all members with --initial-cluster", m.name)
			continue
		}
		voters = append(voters, m)
	}
	return voters
}

// me is the one member to write.
func (r *restorer) me(given []clusterMember, manifest controlplane.EtcdMember, known []clusterMember) (clusterMember, error) {
	me, own := clusterMember{name: r.c.String("name")}, r.own(known)
	switch {
	case me.name != "":
	case manifest.Name != "":
		me.name = manifest.Name
		r.explain("the name %s is the etcd manifest's", me.name)
	case own.name != "":
		me.name = own.name
		r.explain("the name %s is that of the data dir's member", me.name)
	case len(given) == 1:
		me.name = given[0].name
	case r.src.Replay == nil && len(known) == 1 && known[0].name != "":
		me.name = known[0].name
		r.explain("the name %s is that of the only member in the database", me.name)
	default:
		var names []string
		for _, m := range known {
			names = append(names, m.name)
		}
		return me, console.WithHint(console.Usagef("--name is missing, and neither a manifest nor SRC tells"), "the database knows "+strings.Join(names, ", "))
	}
	byName := func(list []clusterMember) []string {
		for _, m := range list {
			if m.name == me.name {
				return m.urls
			}
		}
		return nil
	}
	switch {
	case r.c.String("initial-advertise-peer-urls") != "":
		me.urls = strings.Split(r.c.String("initial-advertise-peer-urls"), ",")
	case byName(given) != nil:
		me.urls = byName(given)
	case manifest.Name == me.name && len(manifest.PeerURLs) > 0:
		me.urls = manifest.PeerURLs
		if old := byName(known); old != nil && !slices.Equal(old, me.urls) {
			r.explain("the manifest's peer URL %s is taken; the database had %s", strings.Join(me.urls, ","), strings.Join(old, ","))
		}
	case own.name == me.name && own.urls != nil:
		me.urls = own.urls
		r.explain("the peer URLs %s are those that the database has of it", strings.Join(me.urls, ","))
	case byName(known) != nil:
		me.urls = byName(known)
		r.explain("the peer URLs %s are those that the database has of %s", strings.Join(me.urls, ","), me.name)
	default:
		return me, console.Usagef("--initial-advertise-peer-urls is missing: neither a manifest nor SRC has a peer URL of %q", me.name)
	}
	return me, nil
}

// own is the member whose data dir SRC is, also where a peer's is replayed: on
// its host the result will stand. Empty where the dir does not tell.
func (r *restorer) own(known []clusterMember) clusterMember {
	if r.src.Replay != nil {
		for _, m := range known {
			if id := r.src.Survivors[0].Log.NodeID; id != 0 && m.id == id {
				return m
			}
		}
	}
	return clusterMember{}
}

// known are the members that the database names.
func (r *restorer) known() ([]clusterMember, error) {
	if r.members != nil {
		return r.members, nil
	}
	members, _, err := r.src.Db.Members()
	var known []clusterMember
	var zombies []uint64
	if r.src.Replay != nil {
		zombies, _ = r.src.Replay.Survivor.Differences(members)
	}
	for _, m := range members {
		if slices.Contains(zombies, m.ID) {
			continue // it would be a voter that nobody has
		}
		known = append(known, clusterMember{name: m.Name, urls: m.PeerURLs, learner: m.IsLearner, id: m.ID})
	}
	return known, err
}

// manifest is what etcd's manifest says: the one that was given, else the
// archive's.
func (r *restorer) manifest() (controlplane.EtcdMember, error) {
	view := r.src.Control
	if path := r.c.String("manifest"); path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return controlplane.EtcdMember{}, err
		}
		b := controlplane.New()
		if err := b.Add("kubernetes/manifests/etcd.yaml", bytes.NewReader(data)); err != nil {
			return controlplane.EtcdMember{}, err
		}
		view = b.View()
		m, ok := view.EtcdMember()
		if !ok {
			return m, console.Failf("reading %q: it is no manifest that runs etcd", path)
		}
		return m, nil
	}
	if view == nil {
		return controlplane.EtcdMember{}, nil
	}
	m, _ := view.EtcdMember()
	return m, nil
}

// parseInitialCluster reads name=url,name=url as etcd does: a name may stand
// more than once.
func parseInitialCluster(text string) ([]clusterMember, error) {
	if text == "" {
		return nil, nil
	}
	var members []clusterMember
	for part := range strings.SplitSeq(text, ",") {
		name, u, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || name == "" || u == "" {
			return nil, console.Usagef("--initial-cluster: %q is not NAME=URL", part)
		}
		i := slices.IndexFunc(members, func(m clusterMember) bool { return m.name == name })
		if i < 0 {
			members = append(members, clusterMember{name: name})
			i = len(members) - 1
		}
		members[i].urls = append(members[i].urls, u)
	}
	return members, nil
}
