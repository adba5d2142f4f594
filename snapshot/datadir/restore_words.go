package datadir

import (
	"fmt"
	"strings"
)

// Steps are what Run does for each member, for people.
func (p *RestorePlan) Steps() []string {
	var steps []string
	step := func(format string, args ...any) { steps = append(steps, fmt.Sprintf(format, args...)) }
	for _, m := range p.Members {
		step("build %s as member %s, peer URLs %s", m.Builds, m.Name, strings.Join(m.PeerURLs, ","))
		step("check it against SRC: %d keys, revision %d", p.Keys, p.NewRevision)
		if p.BootCheck {
			step("boot a real etcd on a copy of it, compare HashKV and the number of keys")
		}
		if m.WALDir != "" {
			step("put its log into %s", m.WALDir)
		}
		if m.Aside != "" {
			step("move %s to %s", m.Renames, m.Aside)
		}
		step("rename it to %s", m.Renames)
	}
	step("at most %d bytes are needed for each member", p.Bytes)
	return steps
}

// Next is what is left to do before the cluster can be used, for people.
func (p *RestorePlan) Next() []string {
	steps := []string{}
	for _, m := range p.Members {
		flags := fmt.Sprintf("start etcd with --name=%s --data-dir=%s --initial-advertise-peer-urls=%s", m.Name, m.root, strings.Join(m.PeerURLs, ","))
		if m.WALDir != "" {
			flags += " --wal-dir=" + m.WALDir
		}
		steps = append(steps, flags+" (as in its manifest); no --force-new-cluster")
	}
	steps = append(steps, "restart kube-apiserver, kube-controller-manager, kube-scheduler and the kubelets: their caches are newer than the data")
	if !strings.Contains(p.InitialCluster, ",") {
		steps = append(steps, "further masters join as new members, with empty data dirs: etcdctl member add")
	}
	return steps
}
