package host

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/archive/host"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/internal/words"
)

func imagesCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "images",
		Usage: "the images that this master needs, and a script that pulls them",
		UsageText: "lifeboat host images\n" +
			"lifeboat host images kube-backup.tar.gz --to pull/",
		ArgsUsage: "[SRC]",
		Description: `Which of them are there is read from containerd's own store, --containerd DIR
on the host; containerd may be running or not. An image counts as there when
its manifest and configuration lie in the store, whole. --have FILE, the output
of "crictl images -o json" or "ctr -n k8s.io images ls", takes its place.

With --to a folder is written: pull.sh, which pulls what is not there, and for
each registry a file with its credentials out of SRC (Secret
d8-system/deckhouse-registry, or the one that --secret names), which only root
can read; containerd-1.toml and containerd-2.toml have them for containerd's
configuration, by its version, so that kubelet pulls by itself.`,
		Flags: append(console.SourceFlags(), rootFlag(), manifestFlag(),
			&cli.StringFlag{Name: "secret", Value: "d8-system/deckhouse-registry", Usage: "`NAMESPACE/NAME` of the dockerconfigjson in SRC"},
			&cli.StringFlag{Name: "have", Usage: "`FILE` that lists the images that are there"},
			&cli.StringFlag{Name: "containerd", Value: host.ContainerdDir, Usage: "the `DIR` on the host in which containerd keeps its state"},
			&cli.StringFlag{Name: "to", Usage: "the new `FOLDER` to write the script to"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML)),
		Action: func(c *cli.Context) error {
			if c.NArg() > 1 {
				return console.Usagef("unexpected argument %q", c.Args().Get(1))
			}
			return onHost(c, env, runImages)
		},
	}
}

// imagesDocument is what is known of the images in JSON.
type imagesDocument struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	Store      string           `json:"store,omitempty"` // where it was looked up what is there
	Items      []host.ImageNeed `json:"items"`
}

func runImages(s *session) error {
	state, err := s.look()
	if err != nil {
		return err
	}
	creds, err := s.credentials()
	if err != nil {
		return err
	}
	store, err := s.imageStore()
	if err != nil {
		return err
	}
	doc := imagesDocument{APIVersion: "lifeboat/v1", Kind: "HostImageList", Items: state.ImagesNeeded(store, creds)}
	if store != nil {
		doc.Store = store.From
	}
	if len(doc.Items) == 0 {
		return console.Failf("there is no static Pod manifest in %s, so no image is known", state.Manifests)
	}
	pull := host.ToPull(doc.Items)
	if to := s.c.String("to"); to != "" && len(pull) > 0 {
		if to, err = filepath.Abs(to); err != nil {
			return err
		}
		if err := console.RefuseExisting(to); err != nil {
			return err
		}
		if err := host.WriteFolder(to, host.PullFolder(to, pull, creds)); err != nil {
			return err
		}
	}
	return s.printImages(doc, len(pull))
}

// imageStore is what --have lists, else containerd's own store; nil where there
// is neither.
func (s *session) imageStore() (*host.ImageStore, error) {
	if name := s.c.String("have"); name != "" {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		return host.ParseImageList(name, data)
	}
	store, err := s.root.ContainerdImages(s.c.Context, s.c.String("containerd"))
	switch {
	case errors.Is(err, host.ErrNoImageStore):
		s.env.Note("%v: which images are there was not checked (--have FILE lists them, --containerd DIR names another folder)", err)
		return nil, nil
	case err != nil && s.c.Context.Err() == nil:
		s.env.Warn("%v: which images are there was not checked", err)
		return nil, nil
	}
	return store, err
}

func (s *session) printImages(doc imagesDocument, pull int) error {
	if s.env.Format != console.FormatTable {
		return s.env.PrintDocument(doc)
	}
	out := console.NewSection(s.env)
	table := [][]string{{"IMAGE", "REGISTRY", "THERE", "CREDENTIALS"}}
	for _, n := range doc.Items {
		has := "none"
		if n.Credentials {
			has = "in SRC"
		}
		table = append(table, []string{console.Printable(n.Image), console.Printable(n.Registry), string(n.There), has})
	}
	out.Table(table)
	for _, n := range doc.Items {
		if n.Why != "" {
			out.Line("%s: %s", console.Printable(n.Image), console.Printable(n.Why))
		}
	}
	switch to := s.c.String("to"); {
	case pull == 0:
		out.Line("all of them are there, by %s: nothing has to be pulled", console.Printable(doc.Store))
	case to != "":
		printList(out, "Next", []string{"sh " + words.ShellQuote(filepath.Join(to, "pull.sh")), "then remove the credentials: rm -r " + words.ShellQuote(to)})
	default:
		printList(out, "Next", []string{s.root.Command("images "+words.ShellQuote(cmp.Or(s.c.Args().First(), "SRC"))+" --to pull/") + "   writes a script that pulls them, with the credentials out of SRC"})
	}
	return out.Err
}

// credentials are those in SRC; none without SRC.
func (s *session) credentials() (host.Credentials, error) {
	src := s.c.Args().First()
	if src == "" {
		return nil, nil
	}
	namespace, name, ok := strings.Cut(s.c.String("secret"), "/")
	if !ok {
		return nil, console.Usagef("--secret %q is not NAMESPACE/NAME", s.c.String("secret"))
	}
	op, err := s.opening(src)
	if err != nil {
		return nil, err
	}
	b, err := op.open(s.env)(s.c.Context)
	if err != nil {
		return nil, err
	}
	data, err := host.Secret(s.c.Context, b, namespace, name)
	if err = errors.Join(err, b.Close()); err != nil {
		return nil, err
	}
	return host.ParseCredentials(data[".dockerconfigjson"])
}
