package host

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
)

// MaxQuota is what etcd itself suggests as the most (etcd.io/docs dev-guide/limit):
// beyond it etcd warns, and a restart and a new member take their time.
const MaxQuota = 8 << 30

// minQuota is less than any database of a cluster that runs.
const minQuota = 16 << 20

// QuotaOptions say how large a database may become.
type QuotaOptions struct {
	Double bool
	Set    int64 // bytes

	// Disarm asks for the alarm to be cleared offline, which is refused where
	// there are other members: each applies the cap by itself, so one that is
	// disarmed alone takes what the others refuse, and diverges (etcd
	// server/etcdserver/apply/uber_apply.go, apply_backend.go).
	Disarm bool
}

// PlanQuota raises --quota-backend-bytes in etcd's manifest.
func (s *State) PlanQuota(now time.Time, opts QuotaOptions) (*Plan, error) {
	p, err := s.begin("host quota", now)
	if err != nil {
		return nil, err
	}
	if !s.Etcd.In() {
		return nil, fmt.Errorf("editing etcd's manifest in %s: %w", s.Manifests, ErrNoManifest)
	}
	have, set := s.Quota()
	want := opts.Set
	if have == 0 && opts.Double {
		return nil, refusef("--quota-backend-bytes is %q: what that is cannot be told, so say how large it is to be with --set", s.etcdFlags()["quota-backend-bytes"])
	}
	if opts.Double {
		want = 2 * have
	}
	e, err := controlplane.Edit(s.Etcd.Data, controlplane.Etcd)
	if err != nil {
		return nil, err
	}
	if given := e.Given("quota-backend-bytes"); len(given) > 1 {
		p.note("--quota-backend-bytes stands %d times: the last one, %s, counts and is changed", len(given), given[len(given)-1])
	}
	if err := e.Set("quota-backend-bytes", strconv.FormatInt(want, 10)); err != nil {
		return nil, err
	}
	if err := s.tooSmall(want); err != nil {
		return nil, err
	}
	s.quotaNotes(p, have, want, set)
	if opts.Disarm {
		return s.disarm(p, e.Data)
	}
	if string(e.Data) == string(s.Etcd.Data) {
		return nil, fmt.Errorf("--quota-backend-bytes=%d in %s: %w", want, s.Etcd.Path, ErrNothing)
	}
	if err := s.edit(p, s.Etcd, e.Data, fmt.Sprintf("the database may grow to %s; kubelet restarts etcd with it", size(want))); err != nil {
		return nil, err
	}
	p.next("wait until etcd serves: %s endpoint health", s.Etcdctl())
	s.elsewhere(p, want)
	p.next("when all of them have it, disarm the alarm: %s alarm disarm", s.Etcdctl())
	s.moduleQuota(p, want)
	return p.finish(), nil
}

func (s *State) quotaNotes(p *planner, have, want int64, set bool) {
	switch {
	case have == 0:
	case set:
		p.note("the quota is %s now", size(have))
	default:
		p.note("the manifest sets no quota: etcd's own default is 2 GiB")
	}
	if want > MaxQuota {
		p.note("%s is beyond the 8 GiB that etcd suggests as the most: it warns at its start, and starts, snapshots and new members take longer; look for what fills it (lifeboat etcd usage) and compact", size(want))
	}
	if want < have {
		p.note("%s is less than that", size(want))
	}
}

// tooSmall refuses a quota at which etcd takes no write, and one whose unit was
// forgotten.
func (s *State) tooSmall(want int64) error {
	sv := s.DataDir.Survivor
	switch {
	case want < minQuota:
		return refusef("a quota of %d bytes: is a unit missing, as in 8GiB?", want)
	case sv != nil && sv.DatabaseErr == nil && sv.Info.Size >= want:
		return refusef("the database has %s already: with a quota of %s etcd would refuse every write", size(sv.Info.Size), size(want))
	}
	return nil
}

// disarm plans that the alarm goes out of the data dir while etcd is stopped:
// a new data dir, of this member alone.
func (s *State) disarm(p *planner, edited []byte) (*Plan, error) {
	switch {
	case s.DataDir.Survivor == nil || s.DataDir.Survivor.DatabaseErr != nil:
		return nil, refusef("it is not known who the members are while %s cannot be read: stop etcd, and leave its manifest in place: systemctl stop kubelet; crictl stopp $(crictl pods --name '^etcd' -q); while it serves, this disarms it: %s alarm disarm", s.DataDir.Real, s.Etcdctl())
	case !s.Alone():
		return nil, refusef("the data dir knows %d members: one that is disarmed alone would apply what the others refuse, and diverge in silence; raise the quota on all of them, then: %s alarm disarm",
			len(s.DataDir.Survivor.Members), s.Etcdctl())
	}
	p.plan.Severe = true
	if string(edited) != string(s.Etcd.Data) {
		if err := s.edit(p, s.Etcd, edited, "the database may grow"); err != nil {
			return nil, err
		}
	}
	moved := *s
	moved.Etcd.edited = true
	if err := moved.replaceMember(p, "from this host's own data dir, without its alarms"); err != nil {
		return nil, err
	}
	s.afterRestore(p, RestoreOptions{})
	return p.finish(), nil
}

// elsewhere names the other hosts, which need the same.
func (s *State) elsewhere(p *planner, want int64) {
	sv := s.DataDir.Survivor
	if sv == nil {
		p.next("do the same on every other master: lifeboat host quota --set %d", want)
		return
	}
	for _, m := range sv.Members {
		if m.Name != s.Member.Name && m.Name != "" {
			p.next("on %s (%s), the same: lifeboat host quota --set %d", m.Name, strings.Join(m.PeerURLs, ","), want)
		}
	}
}

// moduleQuota is the change of Deckhouse's own setting, without which
// control-plane-manager takes the flag back.
func (s *State) moduleQuota(p *planner, want int64) {
	if s.Deckhouse() {
		p.next("so that control-plane-manager keeps it, kubectl apply this:\n%s", ModuleConfig("etcd:\n  maxDbSize: "+strconv.FormatInt(want, 10)))
	}
}

// ModuleConfig is the ModuleConfig control-plane-manager with these settings,
// given as YAML.
func ModuleConfig(settings string) string {
	return "apiVersion: deckhouse.io/v1alpha1\nkind: ModuleConfig\nmetadata:\n  name: control-plane-manager\nspec:\n  version: 1\n  settings:\n    " +
		strings.ReplaceAll(strings.TrimSpace(settings), "\n", "\n    ") + "\n"
}

func size(bytes int64) string {
	switch {
	case bytes%(1<<30) == 0:
		return fmt.Sprintf("%d GiB", bytes>>30)
	case bytes < 1<<30:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
}
