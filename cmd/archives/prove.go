package archives

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/sim/proof"
	"github.com/lifeboat-dr/lifeboat/sim/proof/programs"
)

// ProveCommand is `lifeboat prove`.
func ProveCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "prove",
		Usage: "start a real API server from a backup, in a sandbox, and compare what it serves",
		UsageText: "lifeboat prove kube-backup.tar.gz.age -i recovery.key\n" +
			"lifeboat prove kube-backup.tar.gz --kube-apiserver ./apiserver --to proof\n" +
			"lifeboat prove kube-backup.tar.gz --image image.tar --sign b.key --to proof\n" +
			"lifeboat prove kube-backup.tar.gz --controllers",
		ArgsUsage: "SRC",
		Description: `A data dir is restored from SRC, and the archived commands of etcd and
kube-apiserver run on it as they stand: on the archived addresses, with the
archived certificates and keys, in namespaces that see nothing of this host
and of which nothing is left. When the server is ready, every resource that it
serves is listed and compared with what SRC holds.

kube-apiserver is this host's own: a running one, one that the container
runtime has unpacked, one in PATH; or that of --kube-apiserver or --image. etcd
is the one that is linked in, unless --etcd names one. No root is needed where
users may make namespaces. docs/prove.md says what a proof proves.

With --controllers the archived kube-controller-manager and kube-scheduler run
for a minute after that. What they delete is named with the controller and its
reason, and what a real restore has to expect is told: CronJobs that start,
Nodes that go NotReady, Pods that are evicted.

Exit code 0: proven. 3: proven, but for what is listed. 5: the backup cannot
start. 1: this host could not try.`,
		Flags: append(console.SourceFlags(),
			&cli.StringFlag{Name: "kube-apiserver", Value: "auto", Usage: "`PATH` of the binary, or auto"},
			&cli.StringFlag{Name: "etcd", Value: "linked", Usage: "`PATH` of the binary, auto, or linked"},
			&cli.StringFlag{Name: "image", Usage: "take kube-apiserver, and what else is in it, out of an image's tar `FILE` (docker save, OCI)"},
			&cli.BoolFlag{Name: "controllers", Usage: "run kube-controller-manager and kube-scheduler, too"},
			&cli.DurationFlag{Name: "controllers-for", Value: proof.DefaultControllersFor, Usage: "how `LONG` they run"},
			&cli.StringFlag{Name: "kube-controller-manager", Value: "auto", Usage: "`PATH` of the binary, or auto"},
			&cli.StringFlag{Name: "kube-scheduler", Value: "auto", Usage: "`PATH` of the binary, or auto"},
			&cli.StringFlag{Name: "work-dir", Usage: "`DIR` for the restored copy, plaintext, removed at the end (default: where --to goes)"},
			&cli.StringFlag{Name: "data-dir", Usage: "prove the data dir `DIR` of a stopped member, as it stands, with SRC's manifests and certificates"},
			&cli.BoolFlag{Name: "all", Usage: "compare all objects in whole, not 25 of each resource"},
			&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "`N` picks the objects that are compared in whole"},
			&cli.DurationFlag{Name: "timeout", Value: proof.DefaultTimeout, Usage: "how `LONG` the server may take to become ready"},
			&cli.StringFlag{Name: "to", Usage: "the folder `DIR` for report.json, .md, .html and junit.xml; it must not exist"},
			&cli.BoolFlag{Name: "reissue-expired", Usage: "sign expired certificates anew with the archived CA, in the sandbox alone"},
			&cli.BoolFlag{Name: "record", Usage: "write SRC.proof.json beside SRC, for archive catalog"},
			&cli.StringFlag{Name: "sign", Usage: "sign report.json with the minisign secret key in `FILE`"},
			&cli.StringFlag{Name: "sign-passphrase-file", Usage: "`FILE` with the passphrase of the signing key"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON),
		),
		Action: func(c *cli.Context) error {
			path, err := console.OneArgument(c, "SRC")
			if err != nil {
				return err
			}
			return prove(c, env, path)
		},
	}
}

func prove(c *cli.Context, env *console.Environment, path string) (err error) {
	signer, err := proofSigner(c, env)
	if err != nil {
		return err
	}
	opts, err := console.SourceOptionsOf(c)
	if err != nil {
		return err
	}
	if c.Duration("controllers-for") < 20*time.Second {
		return console.Usagef("--controllers-for has to be 20s at least: the Leases of the archived controllers run out after 15s")
	}
	if c.Bool("record") && c.String("data-dir") != "" {
		return console.Usagef("--record is of SRC, and --data-dir has another data dir proven")
	}
	to := c.String("to")
	if to != "" {
		if err := console.RefuseExisting(to); err != nil {
			return err
		}
	}
	src, err := console.OpenSource(c.Context, env, opts, path)
	if err != nil {
		return err
	}
	defer src.Close()
	if dir := c.String("data-dir"); dir != "" {
		archive := src
		if src, err = console.OpenSource(c.Context, env, opts, dir); err != nil {
			return err
		}
		defer src.Close()
		if src.Kind() != lifeboat.DataDir {
			return console.Usagef("--data-dir %q is an %s, and no data dir", dir, src.Kind())
		}
		src.Adopt(archive)
	}
	work := c.String("work-dir")
	if work == "" {
		work = filepath.Dir(filepath.Clean(to))
	}
	lab, err := env.Scratch(work)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lab.Close()) }()
	options, err := proofOptions(c, src, lab.Dir())
	if err != nil {
		return err
	}
	phase := env.Progress.Start("proving "+path, 0)
	report, err := proof.Run(c.Context, src, options)
	phase.Done()
	if err != nil {
		return err
	}
	if to != "" {
		if err := writeProof(env, to, report, signer); err != nil {
			return err
		}
	}
	if err := printProof(env, report); err != nil {
		return err
	}
	if c.Bool("record") {
		if err := report.Record(src.Size()).WriteBeside(path); err != nil {
			return err
		}
	}
	return report.Err()
}

func proofSigner(c *cli.Context, env *console.Environment) (*crypto.Signer, error) {
	path := c.String("sign")
	switch {
	case path == "":
		return nil, nil
	case c.String("to") == "":
		return nil, console.Usagef("--sign needs a report to sign: --to DIR")
	}
	signer, warnings, err := crypto.ReadSigner(path, console.PassphraseIn(env, c.String("sign-passphrase-file")))
	for _, warning := range warnings {
		env.Warn("%s", warning)
	}
	return signer, err
}

func proofOptions(c *cli.Context, src *lifeboat.Backup, dir string) (proof.Options, error) {
	version := console.ReadVersion()
	o := proof.Options{
		Seed: c.Uint64("seed"), All: c.Bool("all"), ReissueExpired: c.Bool("reissue-expired"), DataDir: c.String("data-dir"), Timeout: c.Duration("timeout"),
		Versions: map[string]string{
			"lifeboat": version.Version, "etcd": version.Modules["go.etcd.io/etcd/server/v3"], "kubernetes": version.Modules["k8s.io/kubernetes"],
		},
	}
	found := filepath.Join(dir, "found")
	o.Dir = filepath.Join(dir, "proof")
	for _, folder := range []string{found, o.Dir} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			return o, err
		}
	}
	var err error
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return o, err
	}
	return o, proofPrograms(c, src, found, &o)
}

// proofPrograms finds what is to be run. What a proof can do without may be
// missing, unless a path was given.
func proofPrograms(c *cli.Context, src *lifeboat.Backup, dir string, o *proof.Options) (err error) {
	version := ""
	if control := src.ControlPlane(); control != nil {
		version, _ = control.KubernetesVersion()
	}
	find := func(name string) (proof.Binary, error) {
		return proofProgram(c, programs.Wanted{Name: name, Version: version, Image: c.String("image"), Dir: dir})
	}
	if o.APIServer, err = find(controlplane.APIServer); err != nil {
		return console.WithHint(err, "--kube-apiserver PATH or --image FILE gives it, such as: ctr -n k8s.io image export kube-apiserver.tar IMAGE")
	}
	if c.String("etcd") != "linked" {
		if o.Etcd, err = proofProgram(c, programs.Wanted{Name: controlplane.Etcd, Dir: dir}); err != nil {
			return err
		}
	}
	if !c.Bool("controllers") {
		return nil
	}
	o.Controllers = &proof.Controllers{For: c.Duration("controllers-for")}
	for name, binary := range map[string]*proof.Binary{controlplane.ControllerManager: &o.Controllers.Manager, controlplane.Scheduler: &o.Controllers.Scheduler} {
		if *binary, err = find(name); err != nil && !errors.Is(err, programs.ErrNotFound) {
			return err
		}
	}
	return nil
}

// proofProgram is the binary whose path the flag of its name gives; "auto" looks
// in the image first, if there is one.
func proofProgram(c *cli.Context, wanted programs.Wanted) (proof.Binary, error) {
	path := c.String(wanted.Name)
	if path == "auto" {
		p, err := programs.Find(c.Context, wanted)
		if wanted.Name != controlplane.APIServer && wanted.Image != "" && errors.Is(err, programs.ErrNotFound) {
			wanted.Image = "" // which most often has kube-apiserver alone
			p, err = programs.Find(c.Context, wanted)
		}
		return proof.Binary{Path: p.Path, Found: p.Found}, err
	}
	if wanted.Name == controlplane.APIServer && wanted.Image != "" {
		return proof.Binary{}, console.Usagef("--kube-apiserver and --image: one of them")
	}
	absolute, err := filepath.Abs(path)
	if err == nil {
		_, err = os.Stat(absolute)
	}
	return proof.Binary{Path: absolute, Found: "given: " + path}, err
}

func writeProof(env *console.Environment, to string, r *proof.Report, signer *crypto.Signer) error {
	folder, err := console.CreateFolder(env, to)
	if err != nil {
		return err
	}
	var sign proof.Sign
	if signer != nil {
		sign = signer.Sign
	}
	if err := r.WriteFiles(folder.Root, sign); err != nil {
		return errors.Join(fmt.Errorf("writing the report: %w", err), folder.Discard())
	}
	return folder.Commit()
}

func printProof(env *console.Environment, r *proof.Report) error {
	for _, weaker := range r.Weaker {
		env.Note("a weaker proof: %s", weaker)
	}
	if env.Format == console.FormatJSON {
		return env.PrintDocument(r)
	}
	out := console.NewSection(env)
	out.Line("%s: %s", console.Printable(r.Source.Path), r.Verdict)
	var rows [][]string
	for _, s := range r.Steps {
		detail := s.Detail
		if s.Failed {
			detail = "failed"
		}
		rows = append(rows, []string{"  " + s.Name, s.Took.Round(10 * time.Millisecond).String(), detail})
	}
	out.Table(rows)
	rows = nil
	for _, check := range r.Checks {
		rows = append(rows, []string{"  " + check.Name, string(check.State()), check.Detail})
	}
	out.Heading("Checked")
	out.Table(rows)
	return out.Err
}
