// Command kube-1.34 is kube-apiserver, kube-controller-manager or
// kube-scheduler of Kubernetes 1.34, by the name under which it is called.
//
// The calls are those of k8s.io/kubernetes/cmd/*/*.go, whose own go.mod names
// folders of its tree and cannot be built from outside of it.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

func main() {
	go exitWithParent()
	switch name := filepath.Base(os.Args[0]); name {
	case "kube-apiserver":
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "kube-controller-manager":
		os.Exit(cli.Run(controllers.NewControllerManagerCommand()))
	case "kube-scheduler":
		os.Exit(cli.Run(scheduler.NewSchedulerCommand()))
	default:
		fmt.Fprintf(os.Stderr, "%s is none of the programs in here\n", name)
		os.Exit(2)
	}
}

// exitWithParent is that of the oracle's own programs: a server ends when the
// pipe that is its standard input does, since the test that has started it is
// gone then. What lifeboat starts in a sandbox has none, and ends with that.
func exitWithParent() {
	if info, err := os.Stdin.Stat(); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(1)
}
