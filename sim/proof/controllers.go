package proof

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
	"github.com/lifeboat-dr/lifeboat/sim/proof/sandbox"
)

// Controllers says with what a cluster is brought to life, on the proven copy.
type Controllers struct {
	Manager   Binary        // kube-controller-manager; without a path it is left out
	Scheduler Binary        // kube-scheduler; likewise
	For       time.Duration // how long they run when they have their Leases; 0 is DefaultControllersFor
}

// DefaultControllersFor is long enough for the Nodes to go NotReady (50 s), and
// for everything that controllers do at once.
const DefaultControllersFor = time.Minute

// Ran is what the controllers have done while they ran.
type Ran struct {
	For      time.Duration `json:"for"`                // nanoseconds
	Deleted  []Write       `json:"deleted,omitempty"`  // objects of the backup, with the controller and its reason
	Jobs     []string      `json:"jobs,omitempty"`     // that CronJobs have started
	NotReady []string      `json:"notReady,omitempty"` // Nodes that were Ready in the backup
	Writes   []string      `json:"writes,omitempty"`   // how often who has written what

	Unexplained []string `json:"unexplained,omitempty"` // objects that went, and nobody who may was seen deleting them

	// Next is what the backup's objects say of the time thereafter.
	Next *lifeboat.Awakening `json:"next,omitempty"`
}

// planControllers takes the components that can be run; of the others it says
// why not.
func (r *runner) planControllers() {
	if r.opts.Controllers == nil {
		return
	}
	for _, part := range []struct {
		name   string
		binary Binary
	}{{controlplane.ControllerManager, r.opts.Controllers.Manager}, {controlplane.Scheduler, r.opts.Controllers.Scheduler}} {
		name, binary := part.name, part.binary
		if binary.Path == "" {
			r.say(lifeboat.NotChecked(name, "there is none on this host to be run"))
			continue
		}
		c, err := newComponent(r.b.ControlPlane(), name, binary)
		if err != nil {
			r.say(lifeboat.NotChecked(name, "%v", err))
			continue
		}
		r.layout.others = append(r.layout.others, &c)
	}
}

// watch is a control plane that is looked at while its controllers work.
type watch struct {
	*runner
	api       *api
	begun     time.Time
	working   time.Time // since when all of them work, as far as they do
	processes map[string]*sandbox.Process
	taken     map[string]time.Duration // Leases, by component
	unready   []string                 // Nodes, before they worked
	probe     probe
}

// control runs the archived controllers for a while, and looks at what they do.
func (r *runner) control(ctx context.Context) (string, error) {
	const name = "controllers"
	switch {
	case len(r.layout.others) == 0:
		return "there is none to be run", nil
	case r.sandbox.Way() == sandbox.Loopback:
		r.say(lifeboat.NotChecked(name, "without a network of its own the sandbox has nothing that keeps them from the cluster"))
		return "not run", nil
	case r.report.cannotStart():
		r.say(lifeboat.NotChecked(name, "what is served is not the backup"))
		return "not run", nil
	}
	if err := r.serveAudited(ctx); err != nil {
		return "", err
	}
	a, err := r.api()
	if err != nil {
		return "", err
	}
	defer a.close()
	w := &watch{runner: r, api: a, begun: time.Now(), processes: map[string]*sandbox.Process{}, taken: map[string]time.Duration{}}
	if w.unready, err = w.notReady(ctx); err != nil {
		return "", w.answered(err)
	}
	for i, c := range r.layout.others {
		program := r.program(*c)
		if w.processes[c.name], err = r.sandbox.Run(program); err != nil {
			return "", err
		}
		r.report.Programs[2+i].Command = append([]string{program.Path}, program.Args...)
	}
	if err := w.wait(ctx); err != nil {
		return "", err
	}
	return w.judge(ctx)
}

// serveAudited starts the API server anew, with a log of who writes what.
func (r *runner) serveAudited(ctx context.Context) error {
	if err := r.server.Kill(); err != nil {
		return err
	}
	if err := os.WriteFile(r.layout.onHost(auditPolicyPath), []byte(auditPolicy), 0o600); err != nil {
		return err
	}
	program := r.program(r.layout.server)
	program.Name += "-audited"
	program.Args = append(program.Args[:len(program.Args):len(program.Args)], auditFlags...)
	_, _, err := r.serve(ctx, program)
	return err
}

// leasePatience is how long controllers may take to take their Leases: those of
// the archived ones, which nobody renews, have to run out first.
const leasePatience = 45 * time.Second

// wait lets the controllers work: for the time asked for from when they have
// taken their Leases. What ends is a finding; the time runs on for the other.
func (w *watch) wait(ctx context.Context) error {
	long := w.opts.Controllers.For
	if long == 0 {
		long = DefaultControllersFor
	}
	tick := time.NewTicker(10 * poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-w.server.Done():
			return w.ended(controlplane.APIServer, w.server)
		case <-w.etcd.Done():
			return w.ended(controlplane.Etcd, w.etcd)
		case <-tick.C:
		}
		working := true
		for name, p := range w.processes {
			w.look(ctx, name)
			working = working && (w.taken[name] != 0 || over(p))
		}
		w.probe.step(ctx, w.api)
		switch {
		case !w.working.IsZero():
			if time.Since(w.working) > long {
				return nil
			}
		case working || time.Since(w.begun) > min(long, leasePatience):
			w.working = time.Now()
		}
	}
}

// look sees whether a component has taken its Lease by now.
func (w *watch) look(ctx context.Context, name string) {
	if w.taken[name] != 0 {
		return
	}
	var lease struct {
		Spec struct {
			RenewTime time.Time `json:"renewTime"`
		} `json:"spec"`
	}
	err := w.api.json(ctx, w.leasePath(name), jsonType, &lease)
	if err == nil && lease.Spec.RenewTime.After(w.begun) {
		w.taken[name] = time.Since(w.begun).Round(time.Second / 10)
	}
}

func (w *watch) leasePath(name string) string {
	flags := w.flagsOf(name)
	namespace, lease := flags["leader-elect-resource-namespace"], flags["leader-elect-resource-name"]
	if namespace == "" {
		namespace = "kube-system"
	}
	if lease == "" {
		lease = name
	}
	return path.Join("/apis/coordination.k8s.io/v1/namespaces", namespace, "leases", lease)
}

func (w *watch) flagsOf(name string) controlplane.Flags {
	for _, c := range w.layout.others {
		if c.name == name {
			return c.flags
		}
	}
	return nil
}

// judge says what came of it.
func (w *watch) judge(ctx context.Context) (string, error) {
	for _, c := range w.layout.others {
		w.judgeProcess(c)
	}
	w.judgeDeployments(ctx)
	ran := &Ran{For: time.Since(w.working).Round(time.Second / 10)}
	w.report.Controllers = ran
	events, err := w.layout.readAudit()
	if err != nil {
		return "", err
	}
	d := &deletions{alive: w.alive, events: events}
	if d.gone, err = w.gone(ctx); err != nil {
		return "", w.answered(err)
	}
	ran.Deleted, ran.Unexplained = d.all()
	ran.Writes = writers(events)
	for _, e := range events {
		if e.Verb == "create" && e.resource().String() == "jobs.batch" && e.author() == "cronjob-controller" {
			ran.Jobs = append(ran.Jobs, e.label())
		}
	}
	if ran.NotReady, err = w.notReady(ctx); err != nil {
		return "", w.answered(err)
	}
	if ran.Next, err = w.b.Awakening(ctx, 0); err != nil {
		w.say(lifeboat.NotChecked("what the controllers will do", "%v", err))
	}
	w.sayRan(ran)
	return fmt.Sprintf("for %s: %d deletions, %d Jobs, %d Nodes not ready", ran.For, len(ran.Deleted)+len(ran.Unexplained), len(ran.Jobs), len(ran.NotReady)), nil
}

func (w *watch) judgeProcess(c *component) {
	p := w.processes[c.name]
	took, taken := w.taken[c.name]
	switch {
	case over(p):
		w.say(lifeboat.Mismatch(c.name, "%s ended with %q: %s", c.name, p.State(), w.words(p)))
	case taken:
		w.say(lifeboat.Good(c.name, 1, "Leases", "it took its Lease after %s, and works", took))
	case c.flags["leader-elect"] == "false":
		w.say(lifeboat.NotChecked(c.name, "it runs, and --leader-elect=false has it take no Lease"))
	default:
		w.say(lifeboat.Mismatch(c.name, "%s has not taken its Lease: %s", c.name, w.words(p)))
	}
}

func over(p *sandbox.Process) bool {
	select {
	case <-p.Done():
		return true
	default:
		return false
	}
}

// sayRan makes checks of what the controllers did.
func (w *watch) sayRan(ran *Ran) {
	const name = "deletions"
	if n := len(w.alive); len(ran.Unexplained) == 0 {
		w.say(lifeboat.Good(name, int64(n), "objects", "of %d objects the controllers have deleted %d, each for a reason that is theirs", n, len(ran.Deleted)))
	} else {
		w.say(lifeboat.Mismatch(name, "%d objects went without an explanation: %s", len(ran.Unexplained), few(ran.Unexplained)))
	}
	text := fmt.Sprintf("within %s of a real start: CronJobs start %d Jobs, %d Nodes go NotReady, %d objects are deleted", ran.For, len(ran.Jobs), len(ran.NotReady), len(ran.Deleted))
	if ran.Next != nil && ran.Next.Pods > 0 {
		text += fmt.Sprintf("; %s after a Node was noticed the first of %d Pods are evicted", ran.Next.After, ran.Next.Pods)
	}
	w.say(lifeboat.Note("what the controllers will do", "%s", text))
}

// metadataOnly asks for lists without the objects' content.
const metadataOnly = jsonType + ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

// gone lists again whatever the server has shown before, and says what it does
// not show any more. An object of the same name that has another uid is another.
func (w *watch) gone(ctx context.Context) (map[string]bool, error) {
	gone, wanted := map[string]bool{}, map[string]bool{}
	for id, l := range w.alive {
		gone[id] = true
		wanted[l.resource.path] = true
	}
	for _, s := range w.found.found {
		if !wanted[s.path] {
			continue
		}
		err := w.each(ctx, s, func(it item) {
			id := label(s.stored, it.Metadata.Namespace+"/"+it.Metadata.Name)
			if it.Metadata.UID == w.alive[id].item.Metadata.UID {
				delete(gone, id)
			}
		})
		if status := (*statusError)(nil); errors.As(err, &status) {
			w.say(lifeboat.NotChecked("deletions", "%s cannot be listed as a whole: %s", s.stored, status.text))
			for id, l := range w.alive {
				if l.resource.path == s.path {
					delete(gone, id)
				}
			}
			continue
		}
		if err != nil {
			return nil, err
		}
	}
	return gone, nil
}

// auditLog is where the parent reads the log of the audited server.
func (l *layout) auditLog() string {
	return filepath.Join(l.dir, "roots", l.server.name, auditLogPath)
}
