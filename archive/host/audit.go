package host

import (
	"fmt"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
)

// PlanAuditOff takes the --audit-* flags out of kube-apiserver's manifest, and
// the volumes that only they needed: what an operator does when the server does
// not start over a policy.
func (s *State) PlanAuditOff(now time.Time) (*Plan, error) {
	p, err := s.begin("host audit off", now)
	if err != nil {
		return nil, err
	}
	if !s.APIServer.In() {
		return nil, fmt.Errorf("editing kube-apiserver's manifest in %s: %w", s.Manifests, ErrNoManifest)
	}
	e, err := controlplane.Edit(s.APIServer.Data, controlplane.APIServer)
	if err != nil {
		return nil, err
	}
	flags := e.FlagsNamed("audit-")
	if len(flags) == 0 {
		return nil, fmt.Errorf("%s has no --audit- flag: %w", s.APIServer.Path, ErrNothing)
	}
	var paths []string
	for _, f := range flags {
		for _, value := range e.Given(f) {
			if strings.HasPrefix(value, "/") {
				paths = append(paths, value)
			}
		}
		if err := e.Remove(f); err != nil {
			return nil, err
		}
	}
	volumes, err := e.Unmount(paths)
	if err != nil {
		return nil, err
	}
	why := "kube-apiserver starts without auditing: it ends over a policy or a log that it cannot use"
	if len(volumes) > 0 {
		why += "; nothing else uses the volumes " + strings.Join(volumes, ", ")
	}
	if err := s.edit(p, s.APIServer, e.Data, why); err != nil {
		return nil, err
	}
	p.next("if it is not started anew by itself: crictl stopp $(crictl pods --name=kube-apiserver -q)")
	p.next("mend the policy, or delete it: kubectl -n kube-system delete secret audit-policy")
	if s.Deckhouse() {
		p.next("control-plane-manager writes the flags again unless this is applied (auditPolicyEnabled: false turns the policy of the Secret off, basicAuditPolicyEnabled: false Deckhouse's own rules, auditLog.output: Stdout the file):\n%s",
			ModuleConfig("apiserver:\n  auditPolicyEnabled: false\n  basicAuditPolicyEnabled: false"))
	}
	p.next("check the mended one before it is used: lifeboat host audit check FILE")
	p.next("%s   puts the flags back, as they were", s.root.Command("audit on"))
	return p.finish(), nil
}
