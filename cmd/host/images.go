package host

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
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
		Description: `With --to a folder is written: pull.sh, and for each registry a file with its
credentials out of SRC (Secret d8-system/deckhouse-registry, or the one that
--secret names), which only root can read. --have FILE, the output of "crictl
images -o json" or "ctr -n k8s.io images ls -q", leaves out what is there.`,
		Flags: append(console.SourceFlags(), rootFlag(), manifestFlag(),
			&cli.StringFlag{Name: "secret", Value: "d8-system/deckhouse-registry", Usage: "`NAMESPACE/NAME` of the dockerconfigjson in SRC"},
			&cli.StringFlag{Name: "have", Usage: "`FILE` that lists the images that are there"},
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

// imageRow is one image.
type imageRow struct {
	Image       string `json:"image"`
	Registry    string `json:"registry"`
	There       string `json:"there"` // yes, no, not checked
	Credentials bool   `json:"credentials"`
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
	var have []byte
	if name := s.c.String("have"); name != "" {
		if have, err = os.ReadFile(name); err != nil {
			return err
		}
	}
	rows, missing := []imageRow{}, []string{}
	for _, image := range state.Images() {
		row := imageRow{Image: image, Registry: host.Registry(image), There: "not checked"}
		if have != nil {
			row.There = "no"
			if strings.Contains(string(have), image) {
				row.There = "yes"
			}
		}
		row.Credentials = creds[row.Registry] != ""
		if row.There != "yes" {
			missing = append(missing, image)
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return console.Failf("there is no static Pod manifest, so no image is known")
	}
	if to := s.c.String("to"); to != "" {
		if err := writePull(to, missing, creds); err != nil {
			return err
		}
	}
	return s.printImages(rows)
}

func (s *session) printImages(rows []imageRow) error {
	if s.env.Format != console.FormatTable {
		return s.env.PrintDocument(map[string]any{"apiVersion": "lifeboat/v1", "kind": "HostImageList", "items": rows})
	}
	out := console.NewSection(s.env)
	table := [][]string{{"IMAGE", "REGISTRY", "THERE", "CREDENTIALS"}}
	for _, r := range rows {
		has := "none"
		if r.Credentials {
			has = "in SRC"
		}
		table = append(table, []string{r.Image, r.Registry, r.There, has})
	}
	out.Table(table)
	if to := s.c.String("to"); to != "" {
		printList(out, "Next", []string{"sh " + words.ShellQuote(filepath.Join(to, "pull.sh")), "then remove the credentials: rm -r " + words.ShellQuote(to)})
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

// writePull makes the folder with the script and the credentials.
func writePull(to string, images []string, creds host.Credentials) error {
	to, err := filepath.Abs(to)
	if err != nil {
		return err
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	files := map[string]string{}
	for _, image := range images {
		registry := host.Registry(image)
		if creds[registry] == "" || files[registry] != "" {
			continue
		}
		files[registry] = filepath.Join(to, strings.ReplaceAll(registry, ":", "_")+".auth")
		if err := os.WriteFile(files[registry], []byte(creds[registry]+"\n"), 0o600); err != nil {
			return err
		}
	}
	slices.Sort(images)
	return os.WriteFile(filepath.Join(to, "pull.sh"), []byte(host.PullScript(images, files)), 0o700)
}
