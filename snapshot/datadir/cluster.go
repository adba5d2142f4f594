package datadir

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// BumpMargin is what BumpAuto adds to the newest revision that is known. etcd's
// own guide to disaster recovery takes the same: about 1600 writes a second for
// a week (etcd.io/docs op-guide/recovery, "Restoring with revision bump").
const BumpMargin = 1_000_000_000

// The words that Wanted.Bump knows besides a number.
const (
	BumpAuto = "auto"
	BumpOff  = "off"
)

// Known is what the source, and what stands beside it, tell of the cluster that
// was.
type Known struct {
	Members  []snapshot.Member // those that the database has
	Zombies  []uint64          // of them, those that were removed or never joined, see Survivor.Differences
	DataDir  bool              // the source is a member's data dir
	Own      uint64            // the id of its member; 0 where nothing tells
	Became   Membership        // of that member
	Manifest ManifestMember    // etcd's static Pod manifest; zero where there is none
	Revision int64             // of the database that is written
	Newest   int64             // the newest revision of all sources, at least Revision
}

// ManifestMember is what the flags of etcd's manifest say.
type ManifestMember struct {
	Name           string
	PeerURLs       []string
	InitialCluster string // name=url,name=url
}

// Wanted is what was asked for. The zero value asks for a cluster of the one
// member that Known tells, and leaves the revision as it is.
type Wanted struct {
	Name           string   // of the one member to write (--name)
	PeerURLs       []string // of it (--initial-advertise-peer-urls)
	InitialCluster string   // all members, name=url,name=url (--initial-cluster)
	All            bool     // write each member's data dir, not one's (--members all)
	WALDir         bool     // a folder for the log was given, which can be of one member alone (--wal-dir)
	Bump           string   // BumpAuto, BumpOff, "" for off, or by how much the revision grows (--bump-revision)
	Dropped        int      // keys that will be deleted

	// Repair says that the data stays that of the same moment, which changes
	// the words of the reasons.
	Repair bool
}

// ClusterMember is a member of the new cluster.
type ClusterMember struct {
	Name     string
	PeerURLs []string
}

// ClusterPlan is the new cluster.
type ClusterPlan struct {
	Members []ClusterMember // all of it; every one votes
	Write   []ClusterMember // of them, those whose data dir is written
	All     bool            // each of Write stands in a folder of its name
	Bump    uint64          // by how much the revision grows, 0 for not
	Reasons []string        // how what nobody said was chosen, for people
}

// RequestError says that what is wanted contradicts itself, or leaves open what
// nothing at hand tells.
type RequestError struct {
	Err  error
	Hint string // may be empty
}

func (e *RequestError) Error() string { return e.Err.Error() }
func (e *RequestError) Unwrap() error { return e.Err }

// HintText is the hint, for those who know this by an interface alone.
func (e *RequestError) HintText() string { return e.Hint }

// Is makes every RequestError ErrRequest, but for those that are ErrNoMember.
func (e *RequestError) Is(target error) bool {
	return target == ErrRequest && !errors.Is(e.Err, ErrNoMember)
}

var (
	// ErrRequest is what was asked for in a way that cannot be done.
	ErrRequest = errors.New("contradictory request")

	// ErrNoMember says that no member is known, or none that can be written.
	ErrNoMember = errors.New("it is not known which member to write")
)

func requestf(format string, args ...any) error {
	return &RequestError{Err: fmt.Errorf(format, args...)}
}

// PlanCluster decides who the members of a new cluster are, and by how much the
// revision grows. It looks at nothing but its arguments, and gives a reason for
// each thing that was not asked for.
//
// What is wanted goes before the manifest, the manifest before what the
// database has of the member whose data dir the source is, and that before a
// database's only member. Learners are no members of the new cluster unless
// they are named: a restored member votes.
//
// Errors are of type *RequestError.
func PlanCluster(known Known, want Wanted) (*ClusterPlan, error) {
	p := &clusterPlanner{known: known, want: want}
	err := p.bump()
	if err == nil {
		p.given, err = ParseInitialCluster(want.InitialCluster)
	}
	if err != nil {
		return nil, err
	}
	if want.Dropped > 0 {
		p.because("%d keys are deleted, as etcd deletes them: at a revision of their own", want.Dropped)
	}
	for _, m := range known.Members {
		if !slices.Contains(known.Zombies, m.ID) { // it would be a voter that nobody has
			p.old = append(p.old, m)
		}
	}
	if want.All {
		err = p.all()
	} else {
		err = p.one()
	}
	if err != nil {
		return nil, err
	}
	return &p.plan, nil
}

// InitialCluster is the flag --initial-cluster. Of a member with several URLs
// each has the name.
func (p *ClusterPlan) InitialCluster() string {
	var parts []string
	for _, m := range p.Members {
		for _, u := range m.PeerURLs {
			parts = append(parts, m.Name+"="+u)
		}
	}
	return strings.Join(parts, ",")
}

// ParseInitialCluster reads name=url,name=url as etcd does: a name may stand
// more than once. "" is nobody.
func ParseInitialCluster(text string) ([]ClusterMember, error) {
	if text == "" {
		return nil, nil
	}
	var members []ClusterMember
	for part := range strings.SplitSeq(text, ",") {
		name, u, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || name == "" || u == "" {
			return nil, requestf("--initial-cluster: %q is not NAME=URL", part)
		}
		i := slices.IndexFunc(members, func(m ClusterMember) bool { return m.Name == name })
		if i < 0 {
			members = append(members, ClusterMember{Name: name})
			i = len(members) - 1
		}
		members[i].PeerURLs = append(members[i].PeerURLs, u)
	}
	return members, nil
}

type clusterPlanner struct {
	known Known
	want  Wanted
	given []ClusterMember   // want.InitialCluster
	old   []snapshot.Member // known.Members without the zombies
	plan  ClusterPlan
}

func (p *clusterPlanner) because(format string, args ...any) {
	p.plan.Reasons = append(p.plan.Reasons, fmt.Sprintf(format, args...))
}

// bump decides by how much the revision grows.
func (p *clusterPlanner) bump() error {
	own := p.known.Revision
	switch text := p.want.Bump; text {
	case BumpOff, "":
		if p.want.Repair {
			p.because("the revision stays at %d, and every living key as it is", own)
		} else {
			p.because("the revision stays at %d: caches that are newer than the data will act on what no longer exists", own)
		}
	case BumpAuto:
		newest := max(own, p.known.Newest)
		p.plan.Bump = uint64(newest-own) + BumpMargin
		p.because("the revision grows from %d to %d: the newest one known, %d, and a margin of %d for what was written since",
			own, own+int64(p.plan.Bump), newest, int64(BumpMargin))
	default:
		n, err := strconv.ParseUint(text, 10, 63)
		if err != nil || n == 0 || n > uint64(math.MaxInt64-own) {
			return requestf("--bump-revision %q: it is auto, off, or by how much the revision grows", text)
		}
		p.plan.Bump = n
		p.because("the revision grows from %d to %d, as --bump-revision says", own, own+int64(n))
	}
	return nil
}

// one is a cluster of which one member's data dir is written.
func (p *clusterPlanner) one() error {
	me, err := p.name()
	if err != nil {
		return err
	}
	if me.PeerURLs, err = p.urls(me.Name); err != nil {
		return err
	}
	for _, m := range p.old {
		if m.IsLearner && m.Name == me.Name {
			p.because("%s was a learner, and is a voter of the new cluster", m.Name)
		}
	}
	p.plan.Members, p.plan.Write = p.given, []ClusterMember{me}
	if p.given != nil {
		return nil
	}
	p.plan.Members = p.plan.Write
	more := "; --initial-cluster or --members all makes more"
	if p.want.Repair {
		more = "; the others join it as new ones"
	}
	p.because("the new cluster has one member, %s (%s)%s", me.Name, strings.Join(me.PeerURLs, ","), more)
	return nil
}

// all is a cluster of which every member's data dir is written.
func (p *clusterPlanner) all() error {
	if p.want.Name != "" || len(p.want.PeerURLs) > 0 || p.want.WALDir {
		return requestf("--members all takes names and URLs from --initial-cluster: --name, --initial-advertise-peer-urls and --wal-dir are of one member")
	}
	members := p.given
	if members == nil {
		listed, err := ParseInitialCluster(p.known.Manifest.InitialCluster)
		if err == nil && len(listed) > 1 {
			members = listed
			p.because("the members are those of the manifest's --initial-cluster")
		} else {
			members = p.voters()
			p.because("the members are those that the database has")
		}
	}
	if len(members) == 0 {
		return &RequestError{Err: fmt.Errorf("%w: no member is known", ErrNoMember), Hint: "name them with --initial-cluster"}
	}
	for _, m := range members {
		if m.Name == "" || strings.ContainsAny(m.Name, "/\x00") || m.Name == "." || m.Name == ".." {
			return &RequestError{Err: &memberNameError{m.Name}, Hint: "name the members with --initial-cluster"}
		}
	}
	p.plan.Members, p.plan.Write, p.plan.All = members, members, true
	return nil
}

// memberNameError is of a name that cannot be a folder's.
type memberNameError struct{ name string }

func (e *memberNameError) Error() string {
	return fmt.Sprintf("member name %q cannot be a folder's name", e.name)
}

func (e *memberNameError) Is(target error) bool { return target == ErrNoMember }

// voters leaves learners out: each restored member votes, and one more than the
// cluster had would change what it can lose. Whoever wants them as voters names
// them with --initial-cluster.
func (p *clusterPlanner) voters() []ClusterMember {
	var voters []ClusterMember
	for _, m := range p.old {
		if m.IsLearner {
			p.because("the learner %s is left out, as a restored member votes: add it again (etcdctl member add --learner), or name all members with --initial-cluster", m.Name)
			continue
		}
		voters = append(voters, ClusterMember{m.Name, m.PeerURLs})
	}
	return voters
}

// name is that of the one member to write.
func (p *clusterPlanner) name() (ClusterMember, error) {
	manifest, own := p.known.Manifest, p.own()
	switch {
	case p.want.Name != "":
		return ClusterMember{Name: p.want.Name}, nil
	case manifest.Name != "":
		p.because("the name %s is the etcd manifest's", manifest.Name)
		return ClusterMember{Name: manifest.Name}, nil
	case own.Name != "":
		p.because("the name %s is that of the data dir's member", own.Name)
		return ClusterMember{Name: own.Name}, nil
	case len(p.given) == 1:
		return ClusterMember{Name: p.given[0].Name}, nil
	case !p.known.DataDir && len(p.old) == 1 && p.old[0].Name != "":
		p.because("the name %s is that of the only member in the database", p.old[0].Name)
		return ClusterMember{Name: p.old[0].Name}, nil
	}
	var names []string
	for _, m := range p.old {
		if m.Name != "" { // it has not started yet
			names = append(names, m.Name)
		}
	}
	if p.known.Became != InCluster {
		return ClusterMember{}, &RequestError{
			Err:  fmt.Errorf("%s, so SRC does not tell which member to write", p.known.Became),
			Hint: "put the data dir of another member first, and this one behind --peer-dir; or give --name and --initial-advertise-peer-urls",
		}
	}
	return ClusterMember{}, &RequestError{
		Err:  errors.New("--name is missing, and neither a manifest nor SRC tells"),
		Hint: "the database knows " + strings.Join(names, ", ") + "; or --manifest FILE, etcd's static Pod manifest, which has name and URLs",
	}
}

// urls are the peer URLs of the one member to write.
func (p *clusterPlanner) urls(name string) ([]string, error) {
	manifest, own, old := p.known.Manifest, p.own(), p.oldURLs(name)
	given := slices.IndexFunc(p.given, func(m ClusterMember) bool { return m.Name == name })
	switch {
	case len(p.want.PeerURLs) > 0:
		return p.want.PeerURLs, nil
	case given >= 0:
		return p.given[given].PeerURLs, nil
	case manifest.Name == name && len(manifest.PeerURLs) > 0:
		if old != nil && !slices.Equal(old, manifest.PeerURLs) {
			p.because("the manifest's peer URL %s is taken; the database had %s", strings.Join(manifest.PeerURLs, ","), strings.Join(old, ","))
		}
		return manifest.PeerURLs, nil
	case own.Name == name && own.PeerURLs != nil:
		p.because("the peer URLs %s are those that the database has of it", strings.Join(own.PeerURLs, ","))
		return own.PeerURLs, nil
	case old != nil:
		p.because("the peer URLs %s are those that the database has of %s", strings.Join(old, ","), name)
		return old, nil
	}
	return nil, requestf("--initial-advertise-peer-urls is missing: neither a manifest nor SRC has a peer URL of %q", name)
}

func (p *clusterPlanner) oldURLs(name string) []string {
	for _, m := range p.old {
		if m.Name == name {
			return m.PeerURLs
		}
	}
	return nil
}

// own is the member whose data dir the source is, also where a peer's is
// replayed: on its host the result will stand. Empty where the dir does not
// tell.
func (p *clusterPlanner) own() snapshot.Member {
	if p.known.DataDir && p.known.Own != 0 {
		for _, m := range p.old {
			if m.ID == p.known.Own {
				return m
			}
		}
	}
	return snapshot.Member{}
}
