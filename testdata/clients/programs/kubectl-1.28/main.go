// Command kubectl is kubectl 1.28, called as k8s.io/kubernetes/cmd/kubectl
// calls it; that module itself cannot be built from outside of its tree.
package main

import (
	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
)

func main() {
	if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err)
	}
}
