package oracle

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/version"
	etcdgates "go.etcd.io/etcd/pkg/v3/featuregate"
	"go.etcd.io/etcd/server/v3/embed"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	baseversion "k8s.io/component-base/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

var update = flag.Bool("update", false, "rewrite the table of flags")

const knownFlags = "../../archive/controlplane/known.txt"

// etcdmainFlags are those that etcd's main program has beside embed's, what it
// takes and ignores among them (etcd server/etcdmain/config.go).
var etcdmainFlags = []string{
	"config-file", "discovery-fallback", "initial-cluster-state", "v2-deprecation", "version", "help", "h",
	"cluster-active-size", "cluster-remove-delay", "cluster-sync-interval", "config", "force", "max-result-buffer", "max-retry-attempts",
	"peer-heartbeat-interval", "peer-election-timeout", "retry-interval", "snapshot", "v", "vv",
}

// TestKnownFlags holds the table by which `archive verify` tells flags that a
// version does not know against the programs' own flag sets: hidden and
// deprecated ones are in them, and feature gates that --help leaves out. With
// -update the table is written.
func TestKnownFlags(t *testing.T) {
	var out bytes.Buffer
	fmt.Fprintln(&out, "# Made by testdata/oracle: go test -run TestKnownFlags -update")
	gates := map[string]string{}
	for name, spec := range utilfeature.DefaultMutableFeatureGate.DeepCopy().GetAll() {
		gates[string(name)] = lock(spec.LockToDefault, spec.Default)
	}
	for _, program := range []struct {
		name    string
		command *cobra.Command
	}{
		{"kube-apiserver", apiserver.NewAPIServerCommand()}, {"kube-controller-manager", controllers.NewControllerManagerCommand()}, {"kube-scheduler", scheduler.NewSchedulerCommand()},
	} {
		names := []string{"help", "h"}
		program.command.Flags().VisitAll(func(f *pflag.Flag) {
			names = append(names, f.Name)
			if f.Shorthand != "" {
				names = append(names, f.Shorthand)
			}
		})
		writeKnown(&out, program.name, baseversion.DefaultKubeBinaryVersion, names, gates)
	}
	config, flags := embed.NewConfig(), flag.NewFlagSet("etcd", flag.ContinueOnError)
	config.AddFlags(flags)
	names := slices.Clone(etcdmainFlags)
	flags.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	gates = map[string]string{}
	for name, spec := range config.ServerFeatureGate.(etcdgates.MutableFeatureGate).GetAll() {
		gates[string(name)] = lock(spec.LockToDefault, spec.Default)
	}
	writeKnown(&out, "etcd", minorVersion.FindString(version.Version), names, gates)

	if *update {
		require.NoError(t, os.WriteFile(knownFlags, out.Bytes(), 0o644))
	}
	want, err := os.ReadFile(knownFlags)
	require.NoError(t, err)
	require.Equal(t, string(want), out.String())
}

var minorVersion = regexp.MustCompile(`^[0-9]+\.[0-9]+`)

// lock is what a gate is locked to, "" for none.
func lock(locked, to bool) string {
	if !locked {
		return ""
	}
	return fmt.Sprintf(" %t", to)
}

func writeKnown(out *bytes.Buffer, component, minor string, flags []string, gates map[string]string) {
	fmt.Fprintf(out, "component %s %s\n", component, minor)
	slices.Sort(flags)
	for _, name := range slices.Compact(flags) {
		fmt.Fprintf(out, "--%s\n", name)
	}
	for _, name := range slices.Sorted(maps.Keys(gates)) {
		fmt.Fprintf(out, "gate %s%s\n", name, gates[name])
	}
}
