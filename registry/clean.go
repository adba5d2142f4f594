package registry

import (
	"cmp"
	"fmt"
	"slices"
)

// Profile is what the manifests are wanted for.
type Profile string

// The profiles.
const (
	Recreate Profile = "recreate" // cleaned by Rules, for kubectl create
	Raw      Profile = "raw"      // every object as it was stored, nothing cleaned or left out
)

// CleanOptions are the options of Clean; the zero value is profile Recreate.
type CleanOptions struct {
	Profile Profile

	// Convert brings an object into the version that is wanted, with Replace;
	// nil leaves all as they were stored.
	Convert func(*Object)

	// Stream says that the manifests go into one YAML stream, which takes no raw
	// bytes: what cannot be read is missing then in profile Raw as well.
	Stream bool

	// KeepNodePorts keeps the node ports of Services, those that the old cluster
	// allocated as well. One that another Service has by now is refused.
	KeepNodePorts bool

	// Clone puts the objects of a namespace into another one; nil leaves them
	// where they were. Profile Recreate only.
	Clone *Clone

	// Suspend writes workloads with no replicas, and Jobs and CronJobs suspended;
	// Manifest.Wake undoes it. Profile Recreate only.
	Suspend bool

	// Beside are objects of the same backup that get no manifest and that rules
	// may look at: a Pod asked for by its label is left out if its StatefulSet,
	// which has no such label, is here.
	Beside []*Object

	// Whole says that the objects and those beside them are all that the backup
	// has: what they name and is not among them is in Plan.Dangling then, beside
	// what was being deleted.
	Whole bool
}

// Plan is what Clean made of the objects of a backup. The order of both lists
// depends on the objects alone, not on the order in which they were given.
type Plan struct {
	Profile   Profile
	Manifests []*Manifest // in the order of creation
	LeftOut   []LeftOut   // by name
	Dangling  []Dangling  // what manifests name in vain, see CleanOptions.Whole; by name
}

// Manifest is an object as it is to be created again.
type Manifest struct {
	Object *Object

	// Raw is the value of an object that cannot be read (locked, damaged, of an
	// unknown kind), decrypted where a key was at hand. Profile Raw only.
	Raw []byte

	Stage Stage
	File  string // "80-workloads/deployments_infra-production_supercronic.yaml"

	// Exists says that a cluster makes an object of this name by itself (the
	// ServiceAccount default, the Namespace kube-system) and that kubectl create
	// would therefore refuse it; kubectl apply merges it. File then ends in
	// .apply, which kubectl create -R passes over.
	Exists bool

	// Collides says that a clone has the name of its original, which exists once
	// in a cluster: it is to be renamed by hand. File then ends in .collides,
	// which kubectl create -R passes over.
	Collides bool

	Wake string // the kubectl command that wakes what was suspended; "" for none

	Changes []Change
	Notes   []string // what the operator should know; no value of the object

	// behind is the Service that has to answer before the object can be created;
	// nil for nearly all.
	behind *identity

	group *group
	rules []Rule
}

// Content is the object cleaned, made anew at each call: a million of them
// would not fit into memory. nil where only Raw is there.
func (m *Manifest) Content() (map[string]any, error) {
	if m.Raw != nil {
		return nil, nil
	}
	e, err := m.group.clean(m.group.member(m.Object), m.rules)
	if err != nil {
		return nil, err
	}
	return e.content, nil
}

// Change is a field that a rule dropped or changed. A list or map that loses
// its last entry goes with it and has no Change of its own.
type Change struct {
	Path   string `json:"path"`   // spec.ports[0].nodePort, metadata.annotations["a.b/c"]; indexes are those of the backup
	Action Action `json:"action"` //
	Rule   string `json:"rule"`   // Rule.ID

	// Digest tells two old values apart and no more: HMAC-SHA256 of the value's
	// JSON under the object's own uid, the first 16 hex digits. Neither the
	// manifest nor the report has the uid, so that a dropped value of a Secret
	// cannot be guessed from it. "" when the object has no uid.
	Digest string `json:"digest,omitempty"`
}

// Action is what happened to a field.
type Action string

// The actions.
const (
	Dropped Action = "dropped"
	Changed Action = "changed"
)

// LeftOut is an object that has no manifest.
type LeftOut struct {
	Object *Object
	Rule   string // Rule.ID, or one of the Missing reasons
	Reason string // for people; no value of the object

	// ByRule is true for what the profile leaves out on purpose, false for what
	// was asked for and is missing.
	ByRule bool
}

// Reasons for which an object is missing from a Plan (LeftOut.ByRule false).
const (
	Unreadable  = "unreadable"   // locked, undecodable or of an unknown kind: see the object's Problems
	InvalidName = "invalid-name" // an API server would refuse the name
	Unserved    = "unserved"     // neither the definition, nor the API server that it is wanted for, serves its version or one that is the same
)

// Missing are the objects that were asked for and have no manifest for a
// reason that is no rule of the profile.
func (p *Plan) Missing() []LeftOut {
	return slices.DeleteFunc(slices.Clone(p.LeftOut), func(l LeftOut) bool { return l.ByRule })
}

// Complete tells whether all that was asked for is in the plan as it was in
// the backup, but for what rules of the profile dropped or left out.
func (p *Plan) Complete() bool {
	return len(p.Missing()) == 0 && !slices.ContainsFunc(p.Manifests, func(m *Manifest) bool { return len(m.Object.Problems) > 0 })
}

// WakeCommands are the kubectl commands that wake what was suspended, in the
// order of creation.
func (p *Plan) WakeCommands() (commands []string) {
	for _, m := range p.Manifests {
		if m.Wake != "" {
			commands = append(commands, m.Wake)
		}
	}
	return commands
}

// Clean turns objects of a backup into manifests that kubectl create takes.
//
// The objects belong together: what owns, selects or defines another of them
// should be among them, because that is what the rules look at. Their content
// is not changed; what Convert could not do becomes a Problem.
func Clean(objects []*Object, opts CleanOptions) (*Plan, error) {
	plan := &Plan{Profile: cmp.Or(opts.Profile, Recreate)}
	var rules []Rule
	switch plan.Profile {
	case Recreate:
		rules = opts.rules()
		if opts.Clone != nil {
			if err := opts.Clone.Validate(); err != nil {
				return nil, fmt.Errorf("cleaning: %w", err)
			}
		}
	case Raw:
	default:
		return nil, fmt.Errorf("cleaning: profile %q is neither %q nor %q", plan.Profile, Recreate, Raw)
	}
	group := newGroup(objects, opts)
	for _, c := range inOrder(slices.Values(group.members), func(m *member) cleaned {
		asBytes := !m.readable || hasProblem(m.object, InvalidText)
		if asBytes && plan.Profile == Raw && !opts.Stream {
			return cleaned{manifest: rawManifest(m)}
		}
		e, err := group.clean(m, rules)
		if err != nil {
			return cleaned{err: err}
		}
		return cleaned{leftOut: e.leftOut, dangling: group.inVain(e), manifest: &Manifest{
			Object: m.object, Exists: e.exists, Collides: e.collides, Wake: e.wake, Changes: e.changes, Notes: e.notes, behind: e.behind, group: group, rules: rules,
		}}
	}) {
		switch {
		case c.err != nil:
			return nil, c.err
		case c.leftOut != nil:
			plan.LeftOut = append(plan.LeftOut, *c.leftOut)
		default:
			plan.Manifests, plan.Dangling = append(plan.Manifests, c.manifest), append(plan.Dangling, c.dangling...)
		}
	}
	group.whole = nil // manifests keep their group
	sortDangling(plan.Dangling)
	arrange(plan, opts.Clone)
	return plan, nil
}

// cleaned is what became of one member.
type cleaned struct {
	manifest *Manifest
	leftOut  *LeftOut
	dangling []Dangling
	err      error
}

// rules are those that the options ask for.
func (o CleanOptions) rules() []Rule {
	rules := ruleTable()
	if o.Clone != nil {
		rules = append(rules, o.Clone.rules()...)
	}
	if o.Suspend {
		rules = append(rules, suspendRules()...)
	}
	return rules
}

// rawManifest keeps the bytes of an object that cannot be read.
func rawManifest(m *member) *Manifest {
	raw := m.object.Raw
	if raw == nil {
		raw = append([]byte{}, m.object.KV.Value...)
	}
	why := m.why
	if why == "" {
		why = "it holds text that is not UTF-8"
	}
	return &Manifest{Object: m.object, Raw: raw, Notes: []string{"only its raw bytes are written: " + why}}
}
