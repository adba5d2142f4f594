package lifeboat

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
	"github.com/lifeboat-dr/lifeboat/registry"
)

// startable says what would keep the archived components from starting, or from
// finding their data: files that their flags name and nobody packed, addresses
// that no certificate answers to, an API server that would read another part of
// the keyspace or could not decrypt what it reads.
func (v *verification) startable(found *belongings) {
	control := v.b.control
	if control == nil {
		v.say(NotChecked("files of flags", "there is no kubernetes/ with manifests in it"))
		return
	}
	if found.elsewhere != nil {
		v.say(Mismatch("etcd prefix", "kube-apiserver would start as an empty cluster: %v", found.elsewhere))
	}
	v.manifests(control)
	v.mentions(control.Mentions())
	v.knownFlags(control.CommandLines())
	v.addresses(control)
	v.encryptionFlag(control, found)
	v.tokenKeys(control)
}

// manifests: kubelet starts nothing from a component's manifest that is cut or
// empty.
func (v *verification) manifests(control *controlplane.View) {
	for _, component := range []string{controlplane.APIServer, controlplane.ControllerManager, controlplane.Scheduler, controlplane.Etcd} {
		name := controlplane.FolderManifests + "/" + component + ".yaml"
		if _, runs := control.Flags(component); !runs && slices.Contains(control.Files(), name) {
			v.say(Mismatch("static Pods", "%q holds no Pod that runs %s: it would not start", name, component))
		}
	}
}

// tokenKeys: a server that does not accept its own tokens starts, and locks every
// Pod out.
func (v *verification) tokenKeys(control *controlplane.View) {
	const name = "token keys"
	switch keys, ok := control.TokenKeys(); {
	case !ok:
		v.say(NotChecked(name, "the kube-apiserver manifest does not name both keys, or one of them cannot be read"))
	case !keys.Fits:
		v.say(Mismatch(name, "kube-apiserver would sign tokens with %q, and accept those of %q alone: no Pod could speak to it", keys.Signing, keys.Accepted))
	default:
		v.say(Good(name, int64(len(keys.Accepted)), "keys", "kube-apiserver accepts the tokens that it signs"))
	}
}

// Startable is the part of Verify that says what would keep the archived
// components from starting. It makes one pass over the objects.
func (b *Backup) Startable(ctx context.Context) ([]Check, error) {
	v := &verification{b: b}
	found, err := v.gather(ctx)
	if err != nil {
		return nil, fmt.Errorf("looking for what would keep the components from starting: %w", err)
	}
	v.startable(found)
	return v.checks, nil
}

// Authorities is the part of Verify that holds the CA and the token key of
// kubernetes/pki against what the cluster had handed out: an API server starts
// with those of another cluster, too. It makes one pass over the objects.
func (b *Backup) Authorities(ctx context.Context) ([]Check, error) {
	v := &verification{b: b}
	if b.control == nil {
		return nil, nil
	}
	found, err := v.gather(ctx)
	if err != nil {
		return nil, fmt.Errorf("holding the CA against the objects: %w", err)
	}
	v.authority(found)
	return v.checks, nil
}

// namedFiles bounds the files that a check's detail names.
const namedFiles = 5

// mentions holds the files that flags name against those that are there.
func (v *verification) mentions(all []controlplane.Mention) {
	const name = "files of flags"
	var packed, apart, elsewhere, unmounted []string
	for _, m := range all {
		switch {
		case m.Place == controlplane.Missing:
			v.say(Mismatch(name, "%q names %q with --%s, and it is not in the backup: %s would not start", m.Manifest, m.Host, m.Flag, m.Component))
		case m.Place == controlplane.Blank && m.KeptApart():
			apart = append(apart, m.Host)
		case m.Place == controlplane.Blank:
			v.say(Mismatch(name, "%q names %q with --%s, and it is empty in the backup: %s would not start", m.Manifest, m.Host, m.Flag, m.Component))
		case m.Place == controlplane.Elsewhere:
			elsewhere = append(elsewhere, m.Host)
		default:
			packed = append(packed, m.Host)
			if !m.Mounted {
				unmounted = append(unmounted, fmt.Sprintf("%s (--%s)", m.Host, m.Flag))
			}
		}
	}
	if len(elsewhere) > 0 {
		v.say(Note(name, "outside of /etc/kubernetes, so in no backup of it: %s", someOf(elsewhere)))
	}
	if len(apart) > 0 {
		v.say(Note(name, "empty in the backup, and to be put in before kube-controller-manager starts: %s", someOf(apart)))
	}
	if len(unmounted) > 0 {
		v.say(Note(name, "no mount of the static Pod brings this into its container: %s", someOf(unmounted)))
	}
	if len(all) == 0 {
		v.say(NotChecked(name, "no manifest in kubernetes/manifests has a flag that names a file"))
		return
	}
	if len(packed)+len(apart)+len(elsewhere) == len(all) {
		v.say(Good(name, int64(len(packed)), "files", "%d files that the manifests name are in the backup", len(packed)))
	}
}

// someOf names the first of a list, each once.
func someOf(names []string) string {
	slices.Sort(names)
	names = slices.Compact(names)
	if more := len(names) - namedFiles; more > 0 {
		return fmt.Sprintf("%s and %d more", quoted(names[:namedFiles]), more)
	}
	return quoted(names)
}

// addresses holds the names in serving certificates against the flags.
func (v *verification) addresses(control *controlplane.View) {
	const name = "serving addresses"
	wrong, looked := control.Unanswered()
	for _, w := range wrong {
		v.say(Mismatch(name, "%s is reached at %q (--%s), and %q does not name that address", w.Component, w.Address, w.Flag, w.File))
	}
	if len(wrong) == 0 {
		v.say(Good(name, int64(looked), "addresses", "%d addresses of the flags are in the certificates shown there", looked))
	}
}

// encryptionFlag: keys that lie in the backup are of no use to an API server
// whose manifest does not name them.
func (v *verification) encryptionFlag(control *controlplane.View, found *belongings) {
	const name = "encryption flag"
	flags, ok := control.Flags(controlplane.APIServer)
	locked := int64(0)
	for _, n := range found.locks {
		locked += n.good + n.bad
	}
	switch {
	case !ok:
		v.say(NotChecked(name, "no kube-apiserver manifest is in kubernetes/manifests"))
	case flags["etcd-servers"] == "": // without which it does not start
		v.say(NotChecked(name, "the flags of kube-apiserver are not in its manifest: a script or a file has them"))
	case flags["encryption-provider-config"] == "" && locked > 0:
		v.say(Mismatch(name, "%d values are encrypted, and the kube-apiserver manifest has no --encryption-provider-config: it would not become ready", locked))
	case locked > 0:
		v.say(Good(name, locked, "values", "the kube-apiserver manifest names a configuration for the %d values that are encrypted", locked))
	}
	if found.server != nil && found.values > 0 {
		v.encryptionConfig(found)
	}
}

// encryptionConfig: a key that has another name, or stands at another resource, opens
// values here and not there.
func (v *verification) encryptionConfig(found *belongings) {
	const name = "encryption config"
	switch read := found.reads; {
	case len(found.server.Masked) > 0:
		v.say(Mismatch(name, "kube-apiserver would end at once: in its encryption configuration a wildcard stands before %s", someOf(found.server.Masked)))
	case read.bad > 0:
		v.say(Mismatch(name, "kube-apiserver could not read %d of %d values (%q is one): its encryption configuration has, for their resource, no key of that name, or no identity",
			read.bad, read.good+read.bad, read.example))
	default:
		v.say(Good(name, read.good, "values", "the encryption configuration has a provider for each of the %d values", read.good))
	}
}

// gather is Backup.gather, but for a backup whose own manifest has another
// prefix than the keys: that is what Verify is asked about, and no reason to
// give up.
func (v *verification) gather(ctx context.Context) (*belongings, error) {
	found, err := v.b.gather(ctx)
	prefix := (*registry.PrefixError)(nil)
	if v.b.control != nil && v.b.opts.EtcdPrefix == "" && errors.As(err, &prefix) {
		return &belongings{elsewhere: prefix}, nil
	}
	return found, err
}
