package archives

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

func archiveVerifyCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "verify",
		Usage: "is it whole, do its parts belong together, can it be restored from",
		UsageText: "lifeboat archive verify backup.tar.gz.age -i recovery.key --pubkey backup.pub\n" +
			"lifeboat archive verify kube-backup.tar.gz",
		ArgsUsage: "SRC",
		Description: `Every layer to its end; the manifest against the content; the snapshot's sum,
pages and records; every certificate against its key, its CA and the clock; and
that all of it is of one cluster: CA, encryption keys, etcd member, tokens.
Archives that others made are verified too; what could not be checked is said.

A good archive with a good signature is remembered, in $XDG_STATE_HOME/lifeboat
or, for root, in /var/lib/lifeboat. An older one of the same cluster is exit
code 3 from then on. Damage is exit code 5, parts that do not fit are 3.`,
		Flags: append(console.SourceFlags(),
			&cli.BoolFlag{Name: "read-data", Value: true, Usage: "read all of it (the default)"},
			&cli.BoolFlag{Name: "quick", Usage: "signature, keys and end of the encryption alone; says what was skipped"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON),
		),
		Action: func(c *cli.Context) error {
			path, err := console.OneArgument(c, "SRC")
			if err != nil {
				return err
			}
			opts, err := console.SourceOptionsOf(c)
			if err != nil {
				return err
			}
			v := &verification{Source: path}
			if c.Bool("quick") || !c.Bool("read-data") {
				err = v.quick(c.Context, env, opts)
			} else {
				err = v.full(c.Context, env, opts)
			}
			if err != nil {
				return err
			}
			if err := v.print(env); err != nil {
				return err
			}
			return v.verdict()
		},
	}
}

// verdict words of one check.
type checkState string

const (
	checkGood     checkState = "good"
	checkNote     checkState = "note"
	checkSkipped  checkState = "not checked"
	checkMismatch checkState = "MISMATCH"
	checkBad      checkState = "BAD"
)

type check struct {
	Name   string     `json:"name"`
	State  checkState `json:"state"`
	Detail string     `json:"detail"`
}

// verification is what archive verify shows; -o json prints it as it stands.
type verification struct {
	Source   string             `json:"source"`
	Kind     console.SourceKind `json:"kind,omitempty"`
	Checks   []check            `json:"checks"`
	Manifest *archive.Manifest  `json:"manifest,omitempty"`
}

func (v *verification) say(name string, state checkState, format string, args ...any) {
	v.Checks = append(v.Checks, check{name, state, fmt.Sprintf(format, args...)})
}

func (v *verification) full(ctx context.Context, env *console.Environment, opts console.SourceOptions) error {
	inventory := &archive.Inventory{}
	opts.Inventory = inventory
	src, err := console.OpenSource(ctx, env, opts, v.Source)
	if err != nil {
		return err
	}
	defer src.Close()
	v.Kind, v.Manifest = src.Kind, inventory.Manifest
	for _, l := range src.Layers {
		state := checkGood
		if l.State == "missing" {
			state = checkSkipped
		}
		v.say(l.Name, state, "%s", l.Detail)
	}
	if src.Kind == console.KindArchive {
		v.manifest(inventory, src)
		v.whichSnapshot(src)
	}
	phase := env.Progress.Start("verifying "+v.Source, 0)
	defer phase.Done()
	found, err := v.examine(ctx, env, src, opts)
	if err != nil {
		return err
	}
	v.snapshot(src, found)
	v.pki(src)
	v.belongs(src, opts, found.belongings)
	v.remember(env, src, found)
	return nil
}

// examined is what the passes over the database found.
type examined struct {
	problems []snapshot.Problem
	hash     snapshot.Hash
	*belongings
}

// examine makes the passes over the database, side by side.
func (v *verification) examine(ctx context.Context, env *console.Environment, src *console.Source, opts console.SourceOptions) (*examined, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e := &examined{}
	passes := []func() error{
		func() (err error) { e.belongings, err = gather(ctx, env, src, opts); return err },
		func() (err error) { e.problems, err = src.Db.Check(ctx); return err },
	}
	if v.Manifest != nil || src.SignedBy != "" {
		passes = append(passes, func() (err error) { e.hash, err = src.Db.HashKV(ctx, 0); return err })
	}
	ended := make(chan error)
	for _, pass := range passes {
		go func() { ended <- pass() }()
	}
	var first error
	for range passes {
		if err := <-ended; err != nil && first == nil {
			first = err
			cancel() // the others give up
		}
	}
	return e, first
}

// manifest holds the archive against what it says of itself.
func (v *verification) manifest(inventory *archive.Inventory, src *console.Source) {
	m := inventory.Manifest
	if m == nil {
		v.say("manifest", checkSkipped, "there is none: another program made the archive, and no digest covers its files")
		return
	}
	wrong := inventory.Check(src.Links)
	for _, w := range wrong {
		v.say("manifest", checkBad, "%s", w)
	}
	if len(wrong) == 0 {
		v.say("manifest", checkGood, "%d entries, each as it was packed on %s, %s", len(m.Entries), console.OrDash(m.Node), m.Time.Format(time.RFC3339))
	}
}

// whichSnapshot names the databases among the files. A bare one in the place of
// the snapshot is a mismatch: a nightly script whose `etcdctl snapshot save`
// fails packs kubernetes/ alone, with the copy of the last upgrade in it. What
// bears etcd's sum was saved as a snapshot, wherever it was put.
func (v *verification) whichSnapshot(src *console.Source) {
	for _, fact := range src.Facts {
		if fact.Code == archive.InnerDatabase && fact.Entry != src.Inside {
			v.say("snapshot", checkNote, "%q is an etcd database too, and not the snapshot", fact.Entry)
		}
	}
	switch {
	case src.Inside == "":
	case src.Trailer == snapshot.TrailerGood:
		v.say("snapshot", checkNote, "it is %q, among the files of the control plane", src.Inside)
	default:
		v.say("snapshot", checkMismatch, "there is none: the only etcd database is %q, which no snapshot save has made", src.Inside)
	}
}

// snapshot says what every record is, and holds etcd's hash against the
// manifest's.
func (v *verification) snapshot(src *console.Source, found *examined) {
	for _, p := range found.problems {
		v.say("records", checkBad, "%s", p)
	}
	if len(found.problems) == 0 {
		v.say("records", checkGood, "every record is what its revision says, to revision %d", src.Db.Revision())
	}
	if v.Manifest == nil {
		return
	}
	hash := found.hash.Hash
	if etcd := v.Manifest.Etcd; etcd.Revision != src.Db.Revision() || etcd.Hash != hash {
		v.say("etcd hash", checkBad, "revision %d with hash %d, the manifest says revision %d with hash %d", src.Db.Revision(), hash, etcd.Revision, etcd.Hash)
	} else {
		v.say("etcd hash", checkGood, "%d at revision %d, as in the manifest", hash, etcd.Revision)
	}
}

// quick looks at both ends of the encryption and at nothing between.
func (v *verification) quick(ctx context.Context, env *console.Environment, opts console.SourceOptions) error {
	o := &console.Opener{Env: env, Opts: opts, Src: &console.Source{Path: v.Source}}
	defer o.Release()
	if err := o.CheckSignature(ctx); err != nil {
		return fmt.Errorf("opening %q: %w", v.Source, err)
	}
	if opts.PubKey != "" {
		v.say("signature", checkGood, "by key %s: %s", o.Src.SignedBy, o.Src.SignedComment)
	} else {
		v.say("signature", checkSkipped, "no --pubkey was given")
	}
	file, err := o.File()
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	keys, err := o.Keys()
	if err != nil {
		return err
	}
	plain, found, err := crypto.NewReader(io.NewSectionReader(file, 0, info.Size()), keys)
	if err != nil {
		return fmt.Errorf("opening %q: %w", v.Source, err)
	}
	switch {
	case found.Armored:
		v.say("age", checkSkipped, "the header opens; an armored file has to be read to its end to know more")
	case found.Encrypted:
		proven, err := lastChunk(file, info.Size(), keys.Identities)
		switch {
		case err != nil:
			return fmt.Errorf("opening %q: %w", v.Source, err)
		case !proven:
			v.say("age", checkSkipped, "the header opens; opened with a passphrase, the end was not looked at")
		default:
			v.say("age", checkGood, "the header opens and the last chunk is authentic: nothing is missing behind it; %s", console.RecipientsOf(found))
		}
	}
	reader, err := archive.NewReader(plain, console.LimitsOf(opts))
	if errors.Is(err, archive.ErrNotArchive) {
		return console.WithHint(console.Usagef("opening %q: %w: --quick is for archives", v.Source, err), "leave --quick out")
	}
	if err != nil {
		return fmt.Errorf("opening %q: %w", v.Source, err)
	}
	entry, err := reader.Next()
	if err != nil {
		return fmt.Errorf("reading %q: %w", v.Source, err)
	}
	v.Kind = console.KindArchive
	v.say(string(reader.Format()), checkNote, "begins with %q", entry.Name)
	v.say("content", checkSkipped, "--quick skips everything between: all files, the manifest, the snapshot, certificates, and that the parts belong together")
	return nil
}

// lastChunk authenticates the end of an age file (age.DecryptReaderAt does so
// before it returns), with the identities at hand: asking for a passphrase a
// second time is not worth it.
func lastChunk(file io.ReaderAt, size int64, identities []age.Identity) (proven bool, err error) {
	if len(identities) == 0 {
		return false, nil
	}
	_, _, err = age.DecryptReaderAt(file, size, identities...)
	var none *age.NoIdentityMatchError
	switch {
	case errors.As(err, &none):
		return false, nil
	case err != nil:
		return false, &crypto.DamagedError{Layer: "age", Offset: size, Err: fmt.Errorf("the end of the file: %w", err)}
	}
	return true, nil
}

func (v *verification) print(env *console.Environment) error {
	if env.Format == console.FormatJSON {
		return env.PrintDocument(v)
	}
	out := console.NewSection(env)
	out.Line("%s: %s", console.Printable(v.Source), v.Kind)
	rows := make([][]string, 0, len(v.Checks))
	for _, c := range v.Checks {
		rows = append(rows, []string{"  " + c.Name, string(c.State), c.Detail})
	}
	out.Table(rows)
	return out.Err
}

// sound tells that nothing was found so far.
func (v *verification) sound() bool {
	return !slices.ContainsFunc(v.Checks, func(c check) bool { return c.State == checkBad || c.State == checkMismatch })
}

// verdict is the worst of the checks.
func (v *verification) verdict() error {
	var bad, mismatched []string
	for _, c := range v.Checks {
		switch c.State {
		case checkBad:
			bad = append(bad, c.Name)
		case checkMismatch:
			mismatched = append(mismatched, c.Name)
		case checkGood, checkNote, checkSkipped:
		}
	}
	switch {
	case len(bad) > 0:
		return &console.CodedError{Code: console.ExitDamaged, Err: errors.New("damaged: " + strings.Join(bad, ", ")), Hint: "take another copy of the backup"}
	case len(mismatched) > 0:
		return console.Incompletef("whole, but do not restore from it unseen: %s", strings.Join(mismatched, ", "))
	}
	return nil
}
