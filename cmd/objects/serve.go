package objects

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/internal/argv"
	"github.com/lifeboat-dr/lifeboat/internal/words"
	"github.com/lifeboat-dr/lifeboat/registry/apiserver"
	"github.com/lifeboat-dr/lifeboat/registry/apiserver/local"
)

// ServeCommand is `lifeboat serve`.
func ServeCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "serve",
		Usage: "the Kubernetes API from a backup, read-only, for kubectl, k9s, Helm and the rest",
		UsageText: "lifeboat serve kube-backup.tar.gz -- kubectl get pods -A\n" +
			"lifeboat serve kube-backup.tar.gz -- k9s --readonly\n" +
			"lifeboat serve kube-backup.tar.gz --at '20:40' -- kubectl get cm -n infra\n" +
			"lifeboat serve kube-backup.tar.gz --older nightly.snapshot -- k9s --readonly\n" +
			"lifeboat serve kube-backup.tar.gz --kubeconfig dead.kubeconfig",
		ArgsUsage: argv.CommandAfterSource,
		Flags: append(append(console.SourceFlags(), servingFlags()...),
			&cli.StringFlag{Name: "kubeconfig", Usage: "write the kubeconfig to a new `FILE`, which is removed at the end"},
		),
		Action: func(c *cli.Context) error {
			if c.NArg() < 1 {
				return console.Usagef("serve takes SRC, and maybe a command; as in: lifeboat serve kube-backup.tar.gz -- kubectl get pods -A")
			}
			return serve(c, env, c.Args().Tail())
		},
	}
}

// KubectlCommand is `lifeboat kubectl`.
func KubectlCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "kubectl",
		Usage: "kubectl on a backup; what follows SRC is kubectl's own",
		UsageText: "lifeboat kubectl kube-backup.tar.gz get pods -A\n" +
			"lifeboat kubectl kube-backup.tar.gz describe pod db-0 -n infra-production\n" +
			"lifeboat kubectl --rev 1200 kube-backup.tar.gz get cm -n infra -o yaml",
		ArgsUsage: argv.VerbatimAfterSource,
		Flags:     append(console.SourceFlags(), servingFlags()...),
		Action: func(c *cli.Context) error {
			if c.NArg() < 2 {
				return console.Usagef("kubectl takes SRC and what kubectl takes; as in: lifeboat kubectl kube-backup.tar.gz get pods -A")
			}
			return serve(c, env, append([]string{local.Kubectl()}, c.Args().Tail()...))
		},
	}
}

// servingFlags say what is shown.
func servingFlags() []cli.Flag {
	return append(console.MomentsFlags(), &cli.BoolFlag{Name: "redact-secrets", Usage: "digests in the place of the values of Secrets"})
}

// serve opens SRC, answers for it, and runs a command or waits for Ctrl-C.
func serve(c *cli.Context, env *console.Environment, command []string) error {
	opts, err := console.SourceOptionsOf(c)
	if err != nil {
		return err
	}
	src, err := console.OpenWithOlder(c, env, opts, c.Args().First())
	if err != nil {
		return err
	}
	defer src.Close()
	moments, err := console.Moments(c, env, src)
	if err != nil {
		return err
	}
	regOpts, err := src.RegistryOptions(0)
	if err != nil {
		return err
	}
	handler, err := apiserver.New(c.Context, apiserver.Options{
		Reader: src.History(), Registry: regOpts, Source: c.Args().First(), RedactSecrets: c.Bool("redact-secrets"),
	})
	if err != nil {
		return err
	}
	defer handler.Close()
	facts, err := handler.Facts(c.Context)
	if err != nil {
		return err
	}
	contexts, err := contextsOf(moments, facts)
	if err != nil {
		return err
	}
	server, err := local.Listen(local.Options{Handler: handler, Digest: facts.Digest, Contexts: contexts, Kubeconfig: c.String("kubeconfig"), Private: len(command) > 0})
	if err != nil {
		return err
	}
	defer server.Close()
	if n := len(moments); n > 0 { // the last one is current
		if facts, err = handler.FactsAt(c.Context, moments[n-1]); err != nil {
			return err
		}
	}
	introduce(env, facts, server)
	return untilEnd(c.Context, env, server, contexts, command)
}

// contextsOf are "now" and one for each revision, which has to be there.
func contextsOf(revisions []int64, facts apiserver.Facts) ([]local.Context, error) {
	contexts := []local.Context{{Name: "now"}}
	for _, revision := range revisions {
		if err := facts.Holds(revision); err != nil {
			return nil, err
		}
		contexts = append(contexts, local.Context{Name: fmt.Sprintf("rev-%d", revision), Path: fmt.Sprintf("/rev/%d", revision)})
	}
	return contexts, nil
}

// introduce says what is shown, and how far behind it is.
func introduce(env *console.Environment, facts apiserver.Facts, server *local.Server) {
	for _, folder := range server.Removed {
		env.Note("removed %q, which a killed run had left", folder)
	}
	when := ""
	if !facts.Moment.IsZero() {
		when = fmt.Sprintf(" of %s; from ages that a client counts itself, as describe does, subtract %s",
			facts.Moment.UTC().Format("2006-01-02 15:04:05 UTC"), facts.Behind(time.Now()))
	}
	env.Note("%d objects at revision %d%s", facts.Objects, facts.Revision, when)
	if facts.Unserved > 0 {
		env.Warn("%d objects are of kinds that Kubernetes %s does not serve and no definition in the backup describes; lifeboat etcd keys lists them", facts.Unserved, facts.Kubernetes)
	}
}

// untilEnd runs the command, or waits for Ctrl-C.
func untilEnd(ctx context.Context, env *console.Environment, server *local.Server, contexts []local.Context, command []string) error {
	if len(command) > 0 {
		in, out, errs := env.Streams()
		code, err := server.Run(ctx, command, local.Stdio{In: in, Out: out, Err: errs})
		if err != nil {
			return console.WithHint(err, runHint(command[0]))
		}
		return console.ExitWith(code)
	}
	names := make([]string, len(contexts))
	for i, context := range contexts {
		names[i] = context.Name
	}
	fmt.Fprintf(env.Stdout, "export KUBECONFIG=%s\n", words.ShellQuote(server.Kubeconfig))
	env.Note("answering until Ctrl-C; contexts: %s", strings.Join(names, ", "))
	return server.Wait(ctx)
}

func runHint(command string) string {
	if command == "kubectl" {
		return "no kubectl is in PATH; lifeboat-kubectl of the same release does, in PATH or beside lifeboat. lifeboat get, extract and inspect need none"
	}
	return ""
}
