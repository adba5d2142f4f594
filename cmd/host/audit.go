package host

import (
	"bytes"
	"errors"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/archive/host"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/registry/auditpolicy"
)

func auditCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "audit",
		Usage: "an API server that ends over its audit policy: off, on, check",
		UsageText: "lifeboat host audit off\n" +
			"lifeboat host audit check kube-backup.tar.gz\n" +
			"lifeboat host audit on",
		Subcommands: []*cli.Command{
			{
				Name: "off", Usage: "take the --audit-* flags out of kube-apiserver's manifest",
				UsageText: "lifeboat host audit off\nlifeboat host audit off --dry-run",
				Description: `The volumes that nothing else uses go with them. Comments, order and formatting
of the manifest stay.`,
				Flags: runFlags(env),
				Action: func(c *cli.Context) error {
					return onHost(c, env, func(s *session) error { return s.planned((*host.State).PlanAuditOff) })
				},
			},
			{
				Name: "on", Usage: "put back what \"off\" took out, as it was",
				UsageText: "lifeboat host audit on",
				Flags:     runFlags(env),
				Action: func(c *cli.Context) error {
					return onHost(c, env, runAuditOn)
				},
			},
			auditCheckCommand(env),
		},
	}
}

func auditCheckCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name: "check", Usage: "hold a policy against kube-apiserver's own loader",
		UsageText: "lifeboat host audit check kube-backup.tar.gz\nlifeboat host audit check audit-policy.yaml",
		ArgsUsage: "SRC|FILE",
		Description: `SRC is a backup with Secret kube-system/audit-policy in it; FILE is the policy.
Exit 5 where the server would end over it.`,
		Flags: append(console.SourceFlags(), console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML)),
		Action: func(c *cli.Context) error {
			src, err := console.OneArgument(c, "SRC or FILE")
			if err != nil {
				return err
			}
			return runAuditCheck(&session{c: c, env: env}, src)
		},
	}
}

// runAuditOn puts the flags back. Where the manifest was changed since, it says
// which lines are missing: they can be written in by hand.
func runAuditOn(s *session) error {
	const off = "host audit off"
	err := s.takeBack(off)
	if !errors.Is(err, host.ErrChanged) {
		return err
	}
	id, lastErr := host.LastDone(s.root, off)
	if lastErr != nil {
		return err
	}
	run, loadErr := host.Load(s.root, id)
	if loadErr != nil {
		return err
	}
	defer run.Close()
	for _, step := range run.Plan.Steps {
		if step.Kind == host.Edit && step.Diff != "" {
			s.env.Note("put back by hand what was taken out of %s (the lines with a minus):\n%s", step.To, step.Diff)
		}
	}
	return err
}

// auditDocument is the verdict in JSON.
type auditDocument struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Policy     string `json:"policy"`
	auditpolicy.Verdict
}

func runAuditCheck(s *session, src string) error {
	policy, of, err := s.policy(src)
	if err != nil {
		return err
	}
	v, err := auditpolicy.Check(policy)
	if err != nil {
		return &console.CodedError{Code: console.ExitDamaged, Err: err, Hint: "until it is mended: lifeboat host audit off; or kubectl -n kube-system delete secret audit-policy"}
	}
	if s.env.Format != console.FormatTable {
		return s.env.PrintDocument(auditDocument{"lifeboat/v1", "AuditPolicyVerdict", of, v})
	}
	if v.Unknown != "" {
		s.env.Warn("kube-apiserver passes over what it does not know: %s", v.Unknown)
	}
	out := console.NewSection(s.env)
	out.Line("%s: kube-apiserver takes it, %d rules", console.Printable(of), v.Rules)
	return out.Err
}

// policy is a policy in a file, or in the Secret of a backup.
func (s *session) policy(src string) (data []byte, of string, err error) {
	if data, err = head(src); err == nil && bytes.Contains(data, []byte("audit.k8s.io/")) && !bytes.ContainsRune(data, 0) {
		data, err = os.ReadFile(src)
		return data, src, err
	}
	op, err := s.opening(src)
	if err != nil {
		return nil, "", err
	}
	b, err := op.open(s.env)(s.c.Context)
	if err != nil {
		return nil, "", err
	}
	secret, err := host.Secret(s.c.Context, b, "kube-system", "audit-policy")
	if err = errors.Join(err, b.Close()); err != nil {
		return nil, "", err
	}
	data, ok := secret["audit-policy.yaml"]
	if !ok {
		return nil, "", console.Failf("Secret kube-system/audit-policy has no audit-policy.yaml")
	}
	return data, "Secret kube-system/audit-policy", nil
}

// head is a file's beginning; of a pipe nothing.
func head(src string) ([]byte, error) {
	info, err := os.Stat(src)
	if err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, os.ErrInvalid)
	}
	f, err := os.Open(src)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 64<<10))
}
