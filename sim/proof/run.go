package proof

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
	"github.com/lifeboat-dr/lifeboat/sim/proof/programs"
	"github.com/lifeboat-dr/lifeboat/sim/proof/sandbox"
)

// Options say with what a backup is proven.
type Options struct {
	// Dir is an empty folder of the caller's own, 0700, with room for the
	// restored data dir: everything that the proof writes, plaintext, stands in
	// it. The caller removes it.
	Dir string

	APIServer Binary // kube-apiserver
	Etcd      Binary // etcd; without a path the one that is linked serves, in a child process

	// Controllers has the controllers run for a while after the comparison; nil
	// does without.
	Controllers *Controllers

	// DataDir is the data dir of a stopped member that is proven as it stands, a
	// copy of it; "" has one restored from the backup. The backup is the same dir
	// then, opened, with another one's kubernetes/ (lifeboat.Backup.Adopt).
	DataDir string

	// ReissueExpired has expired certificates signed anew, with the archived
	// authorities and in the sandbox alone.
	ReissueExpired bool

	Seed    uint64        // of the sample of objects that are compared in whole
	All     bool          // all of them are
	Timeout time.Duration // until the API server is ready; 0 is DefaultTimeout
	Ways    []sandbox.Way // as sandbox.Spec has them; nil: namespaces, and Loopback where the host forbids them

	Versions map[string]string // of the program, for the report
	Progress func(step string) // told what begins; nil for nobody
}

// Binary is a program and where it was found, in words.
type Binary struct {
	Path  string // absolute
	Found string
}

// DefaultTimeout is how long an API server may take to become ready. A real one
// takes five seconds; etcd's own start probe gives four minutes.
const DefaultTimeout = 3 * time.Minute

// The steps of a proof.
const (
	stepRestore = "restoring the data dir"
	stepSandbox = "making the sandbox"
	stepLook    = "asking the programs for their versions"
	stepEtcd    = "starting etcd"
	stepServer  = "starting kube-apiserver"
	stepCompare = "comparing what it serves"
	stepControl = "running the controllers"
)

// errStopped ends a proof whose report says why.
var errStopped = errors.New("the proof has ended")

// Run proves a backup. An error says that this host could not try, or that the
// proof was interrupted; what is wrong with the backup stands in the report.
func Run(ctx context.Context, b *lifeboat.Backup, opts Options) (*Report, error) {
	r := &runner{b: b, opts: opts, report: &Report{Started: time.Now().UTC(), Seed: opts.Seed, Versions: opts.Versions}}
	err := r.run(ctx)
	if r.sandbox != nil {
		err = errors.Join(err, r.sandbox.Close())
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err != nil && !errors.Is(err, errStopped) {
		return nil, fmt.Errorf("proving %q: %w", b.Path(), err)
	}
	r.report.conclude()
	return r.report, nil
}

// runner is a proof under way.
type runner struct {
	b        *lifeboat.Backup
	opts     Options
	report   *Report
	layout   *layout
	sandbox  *sandbox.Sandbox
	etcd     *sandbox.Process
	server   *sandbox.Process
	restored int64 // revision of the restored data
	version  string
	other    bool // the API server is of another version than the manifest's image

	found *catalog          // what the server offers
	alive map[string]living // what of the backup it serves
}

func (r *runner) run(ctx context.Context) (err error) {
	if r.opts.Timeout == 0 {
		r.opts.Timeout = DefaultTimeout
	}
	if r.layout, err = newLayout(r.opts, r.b.ControlPlane()); err != nil {
		return err
	}
	r.planControllers()
	r.manifests()
	if err := r.source(ctx); err != nil {
		return err
	}
	if r.opts.ReissueExpired {
		var names []string
		if r.layout.renewed, names, err = reissue(r.b.ControlPlane(), r.report.Started); err != nil {
			return err
		}
		if len(names) > 0 {
			r.weaker("expired, and signed anew for the sandbox: %s", strings.Join(names, ", "))
		}
	}
	for _, s := range r.steps() {
		if r.opts.Progress != nil {
			r.opts.Progress(s.name)
		}
		begun := time.Now()
		detail, err := s.do(ctx)
		step := Step{Name: s.name, Took: time.Since(begun).Round(time.Millisecond), Detail: detail, Failed: err != nil}
		r.report.Steps = append(r.report.Steps, step)
		if err != nil {
			return err
		}
	}
	return nil
}

// step is a part of the work; what it returns says how it went.
type step struct {
	name string
	do   func(context.Context) (string, error)
}

func (r *runner) steps() []step {
	steps := []step{
		{stepRestore, r.restore}, {stepSandbox, r.isolate}, {stepLook, r.look},
		{stepEtcd, r.startEtcd}, {stepServer, r.startServer}, {stepCompare, r.compare},
	}
	if r.opts.Controllers != nil {
		steps = append(steps, step{stepControl, r.control})
	}
	return steps
}

func (r *runner) say(c ...lifeboat.Check) { r.report.Checks = append(r.report.Checks, c...) }

func (r *runner) weaker(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(r.report.Weaker, text) {
		r.report.Weaker = append(r.report.Weaker, text)
	}
}

// manifests says what kubelet would make of them, and the sandbox does not: it
// would run a second manifest of a component, too, and bring in what is mounted
// and no more.
func (r *runner) manifests() {
	for _, c := range r.layout.all() {
		for _, name := range r.layout.control.Manifests(c.name) {
			if name != c.Manifest {
				r.weaker("%s runs %s, too, as kubelet would; what ran is %s", name, c.name, c.Manifest)
			}
		}
	}
	for _, m := range r.layout.control.Mentions() {
		if m.Place == controlplane.InBackup && !m.Mounted && slices.ContainsFunc(r.layout.all(), func(c *component) bool { return c.name == m.Component }) {
			r.weaker("no mount of %s brings %s into its container, and here it is there (--%s)", m.Manifest, m.Path, m.Flag)
		}
	}
}

// source says what is proven.
func (r *runner) source(ctx context.Context) error {
	r.report.Source = Source{Path: r.b.Path(), Kind: string(r.b.Kind()), Revision: r.b.DB().Revision()}
	if uid, err := r.b.ClusterUID(ctx); err == nil { // else another check says what is wrong
		r.report.Source.Cluster = uid
	}
	info, err := os.Stat(r.b.Path())
	if err != nil || !info.Mode().IsRegular() {
		return nil //nolint:nilerr // a pipe has no digest
	}
	r.report.Source.SHA256, err = digest(r.b.Path())
	return err
}

func digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (r *runner) restore(ctx context.Context) (string, error) {
	if err := r.layout.write(); err != nil {
		return "", err
	}
	if r.opts.DataDir != "" {
		if err := r.alone(); err != nil {
			return "", err
		}
		r.restored = r.b.DB().Revision()
		return fmt.Sprintf("a copy of %s, revision %d", r.opts.DataDir, r.restored), r.layout.copyDir(r.opts.DataDir)
	}
	result, err := r.layout.restore(ctx, r.b)
	if err != nil {
		return "", err
	}
	r.restored = result.NewRevision
	return fmt.Sprintf("%d keys, revision %d, raised to %d", result.Keys, result.Revision, result.NewRevision), nil
}

// alone refuses a data dir whose member needs others to serve: nobody is in the
// sandbox but itself.
func (r *runner) alone() error {
	if at := r.b.Evidence(); at != nil && at.Voters > 1 {
		return &lifeboat.Error{Class: lifeboat.Failed, Err: fmt.Errorf("%q is of a cluster of %d members, and one alone does not serve", r.opts.DataDir, at.Voters),
			Hint: "prove the archive itself, or what etcd restore and etcd rebuild make: a data dir of one member"}
	}
	return nil
}

// isolate makes the sandbox, and takes a weaker one where the host allows no
// other.
func (r *runner) isolate(ctx context.Context) (string, error) {
	roots, err := r.layout.roots()
	if err != nil {
		return "", err
	}
	ips, _ := r.layout.addresses()
	spec := sandbox.Spec{Dir: r.opts.Dir, Addresses: ips, Roots: roots, Ways: r.opts.Ways}
	r.sandbox, err = sandbox.Start(ctx, spec)
	if forbidden := (*sandbox.ForbiddenError)(nil); errors.As(err, &forbidden) && r.opts.Ways == nil {
		r.weaker("%v: it ran on this host's loopback, with other paths, addresses and ports than the archived ones", forbidden)
		spec.Ways = []sandbox.Way{sandbox.Loopback}
		r.sandbox, err = sandbox.Start(ctx, spec)
	}
	if err != nil {
		return "", err
	}
	r.report.Way = string(r.sandbox.Way())
	for _, note := range r.sandbox.Notes() {
		r.weaker("%s", note)
	}
	if r.sandbox.Way() == sandbox.Loopback {
		return r.report.Way, r.layout.toLoopback()
	}
	if len(ips) == 0 {
		return "no address beside the loopback's own", nil
	}
	words := make([]string, len(ips))
	for i, ip := range ips {
		words[i] = ip.String()
	}
	return "with " + strings.Join(words, ", ") + " on its loopback device", nil
}

// look asks the programs for their versions, in the sandbox: they may come out
// of somebody's image.
func (r *runner) look(ctx context.Context) (string, error) {
	etcd := ProgramUsed{Name: r.layout.etcd.name, Found: "linked into lifeboat", Version: r.opts.Versions["etcd"], Image: r.layout.etcd.Image}
	var err error
	if r.opts.Etcd.Path == "" {
		r.weaker("etcd is the one that is linked into lifeboat (%s), not the one of the manifest's image %s", etcd.Version, etcd.Image)
	} else if etcd, err = r.used(ctx, r.layout.etcd); err != nil {
		return "", err
	}
	r.report.Programs = []ProgramUsed{etcd}
	versions := []string{etcd.Version}
	for _, c := range append([]*component{&r.layout.server}, r.layout.others...) {
		program, err := r.used(ctx, *c)
		if err != nil {
			return "", err
		}
		if c == &r.layout.server {
			r.version, r.other = program.Version, program.Other
		}
		r.report.Programs = append(r.report.Programs, program)
		versions = append(versions, program.Version)
	}
	return strings.Join(versions, ", "), nil
}

// used runs a program with --version and holds it against the manifest's image.
func (r *runner) used(ctx context.Context, c component) (ProgramUsed, error) {
	p := ProgramUsed{Name: c.name, Found: c.binary.Found, Image: c.Image}
	var err error
	if p.SHA256, err = digest(c.binary.Path); err != nil {
		return p, err
	}
	process, err := r.sandbox.Run(sandbox.Program{Name: c.name + "-version", Root: c.name, Path: r.pathOf(c), Args: []string{"--version"}})
	if err != nil {
		return p, fmt.Errorf("running %q: %w", c.binary.Path, errors.Join(err, programs.Unfit(c.binary.Path)))
	}
	select {
	case <-process.Done():
	case <-time.After(30 * time.Second):
		return p, errors.Join(fmt.Errorf("%q --version gave no answer in 30 s", c.binary.Path), process.Kill())
	case <-ctx.Done():
		return p, context.Cause(ctx)
	}
	said, err := os.ReadFile(process.Log())
	if err != nil {
		return p, err
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(said)), "\n")
	if process.ExitCode() != 0 {
		return p, fmt.Errorf("%q --version: %s: %q", c.binary.Path, process.State(), clip(first))
	}
	p.Version = clip(first)
	if says := map[bool]string{true: "etcd Version: ", false: "Kubernetes v"}[c.name == controlplane.Etcd]; !strings.HasPrefix(first, says) {
		return p, fmt.Errorf("%q is not %s: its --version says %q", c.binary.Path, c.name, p.Version)
	}
	same, other := compareVersion(p.Version, c.Image)
	if p.Other = other; !same {
		r.weaker("%s is %q, and the manifest's image is %q", c.name, p.Version, c.Image)
	}
	return p, nil
}

// pathOf is where a program stands for the sandbox.
func (r *runner) pathOf(c component) string {
	if r.sandbox.Way() == sandbox.Loopback {
		return c.binary.Path
	}
	return inRoot(c.name)
}

// program is a component's archived command.
func (r *runner) program(c component) sandbox.Program {
	for _, name := range c.Unset {
		r.weaker("$(%s) of %s has its value from elsewhere, and none here", name, c.Manifest)
	}
	return sandbox.Program{Name: c.name, Root: c.name, Path: r.pathOf(c), Args: c.Command[1:], Env: append(environment(), c.Env...)}
}

// release is the version in what a program says and in an image's tag: 3.7.0 of
// etcd:3.7.0-0, 1.34.0-rc.1 of v1.34.0-rc.1, 1.34.1 of v1.34.1-rke2r1.
var release = regexp.MustCompile(`[0-9]+\.[0-9]+\.[0-9]+(?:-(?:alpha|beta|rc)\.[0-9]+)?`)

// compareVersion holds what a program says against an image: whether it is known
// to be of its version, and whether it is known to be of another. An image may be
// named by its digest alone, and a program built from source says 0.0.0.
func compareVersion(version, image string) (same, other bool) {
	image, _, _ = strings.Cut(image, "@")
	_, tag, _ := strings.Cut(filepath.Base(image), ":")
	have, want := release.FindString(version), release.FindString(tag)
	known := have != "" && want != "" && !strings.HasPrefix(have, "0.0.0")
	return known && have == want, known && have != want
}
