// Command lifeboat-kubectl is kubectl for a host that has none: `lifeboat
// kubectl SRC …` runs it where there is no kubectl in PATH. It is k8s.io/kubectl's
// own command without what a backup cannot do and a socket would be opened for.
//
// It is a program and a module of its own because it would make lifeboat a
// sixth larger, and each of its starts slower.
package main

import (
	"fmt"
	"os"
	"slices"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
)

// leftOut are the commands that lead into containers or listen on a port, and
// those that find other programs.
func leftOut() []string {
	return []string{"attach", "cp", "debug", "exec", "plugin", "port-forward", "proxy", "run"}
}

func main() {
	if os.Getenv("KUBECONFIG") == "" { // whose absence would mean ~/.kube/config
		fmt.Fprintln(os.Stderr, "lifeboat-kubectl: lifeboat runs it, as in: lifeboat kubectl kube-backup.tar.gz get pods -A")
		os.Exit(2)
	}
	if err := os.Setenv("KUBERC", "off"); err != nil { // or ~/.kube/kuberc
		fmt.Fprintln(os.Stderr, "lifeboat-kubectl:", err)
		os.Exit(1)
	}
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	command := cmd.NewKubectlCommand(cmd.KubectlOptions{
		Arguments: os.Args, IOStreams: streams,
		ConfigFlags: genericclioptions.NewConfigFlags(true).WithDeprecatedPasswordFlag().WithDiscoveryBurst(300).WithDiscoveryQPS(50).WithWarningPrinter(streams),
	})
	for _, sub := range command.Commands() {
		if slices.Contains(leftOut(), sub.Name()) {
			command.RemoveCommand(sub)
		}
	}
	if err := cli.RunNoErrOutput(command); err != nil {
		util.CheckErr(err)
	}
}
