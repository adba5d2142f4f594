package lifeboat

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
	corev1 "k8s.io/api/core/v1"

	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
	"github.com/lifeboat-dr/lifeboat/registry"
)

// belongings is what one pass over all live objects finds of the cluster that
// they come from.
type belongings struct {
	cluster string // UID of the namespace kube-system
	values  int64  // looked at

	// elsewhere says that all keys stand under another prefix than the backup's
	// own manifest has, nil where they do not.
	elsewhere *registry.PrefixError

	locks map[registry.Lock]*tally

	server *registry.ServerEncryption // by the file that kube-apiserver's flag names; nil without one
	reads  tally                      // values that the server would read

	ca     []byte // kubernetes/pki/ca.crt, nil without one
	key    crypto.PublicKey
	cas    tally // ConfigMaps kube-root-ca.crt with that CA
	tokens tally // tokens that the key has signed
}

// gather makes the pass. Nothing is decoded but what is asked about.
func (b *Backup) gather(ctx context.Context) (*belongings, error) {
	regOpts, err := b.RegistryOptions(0)
	if err != nil {
		return nil, err
	}
	found := &belongings{locks: map[registry.Lock]*tally{}}
	if b.control != nil {
		if found.ca, err = b.control.ReadFile(controlplane.FolderPKI + "/ca.crt"); err != nil {
			found.ca = nil
		}
		found.key = b.control.ServiceAccountKey()
		if config, err := b.control.EncryptionConfig(); err == nil && config != nil && config.HostPath != "" {
			found.server, _ = registry.ParseServerEncryption(config.Content) // that it cannot be read, its Keyring says
		}
	}
	reg := registry.New(b.db, regOpts)
	for entry, err := range reg.Entries(ctx, func(k registry.Key) bool { return !k.System }) {
		if err != nil {
			return nil, err
		}
		found.values++
		lock, locked := registry.ParseLock(entry.KV.Value)
		if locked {
			_, err := regOpts.Keyring.Open(ctx, entry.Key.Path, entry.KV.Value)
			found.lock(lock).add(err == nil, "")
		}
		if found.server != nil {
			found.reads.add(found.server.Reads(entry.Key, entry.KV.Value), entry.Key.Path)
		}
		if found.wants(entry, locked) {
			found.look(reg.Decode(ctx, entry))
		}
	}
	return found, nil
}

func (b *belongings) lock(lock registry.Lock) *tally {
	if b.locks[lock] == nil {
		b.locks[lock] = &tally{}
	}
	return b.locks[lock]
}

// wants tells what has to be decoded. Most Secrets hold no token, and that
// shows in a value that is not encrypted.
func (b *belongings) wants(entry registry.Entry, locked bool) bool {
	switch key := entry.Key; key.Resource() {
	case "namespaces":
		return key.Name == "kube-system"
	case "configmaps":
		return key.Name == "kube-root-ca.crt"
	case "secrets":
		return b.key != nil && (locked || bytes.Contains(entry.KV.Value, []byte(corev1.SecretTypeServiceAccountToken)))
	}
	return false
}

func (b *belongings) look(o *registry.Object) {
	switch typed := o.Typed.(type) {
	case *corev1.Namespace:
		b.cluster = string(typed.UID)
	case *corev1.ConfigMap:
		b.cas.add(controlplane.SharesCertificate(b.ca, []byte(typed.Data["ca.crt"])), o.String())
	case *corev1.Secret:
		if token := typed.Data[corev1.ServiceAccountTokenKey]; typed.Type == corev1.SecretTypeServiceAccountToken && len(token) > 0 {
			b.tokens.add(signedWith(string(token), b.key), o.String())
		}
	}
}

// belongs says whether the two halves are of one cluster.
func (v *verification) belongs(found *belongings) {
	v.startable(found)
	v.encryption(found, v.b.control != nil || v.b.opts.EncryptionConfig != "")
	if v.b.control == nil {
		v.say(NotChecked("belongs together", "there is no kubernetes/ to hold the snapshot against"))
		return
	}
	v.member()
	v.authority(found)
}

// encryption says which values the keys at hand open. keys says whether the
// source is a thing that should hold them.
func (v *verification) encryption(found *belongings, keys bool) {
	const name = "encryption keys"
	byName := func(a, b registry.Lock) int { return strings.Compare(a.String(), b.String()) }
	for _, lock := range slices.SortedFunc(maps.Keys(found.locks), byName) {
		n := found.locks[lock]
		switch {
		case n.bad == 0:
			v.say(Good(name, n.good, "values", "%s opens all %d values", lock, n.good))
		case lock.Provider == "kms": // whose key is never in a backup
			v.say(NotChecked(name, "%d values are locked by %s: only that KMS opens them", n.bad, lock))
		case !keys:
			v.say(NotChecked(name, "%d values are locked by %s, whose key is elsewhere: give --encryption-config", n.bad, lock))
		default:
			v.say(Mismatch(name, "%d of %d values locked by %s are opened by no key at hand", n.bad, n.good+n.bad, lock))
		}
	}
	switch {
	case found.values == 0:
		v.say(NotChecked(name, "there is no object whose value could be encrypted"))
	case len(found.locks) == 0:
		v.say(Good(name, found.values, "values", "nothing is encrypted at rest"))
	}
}

// member looks for the manifest's etcd member in the snapshot, by name: URLs
// change, and are worth a note alone.
func (v *verification) member() {
	const check = "etcd member"
	flags, ok := v.b.control.Flags(controlplane.Etcd)
	name := flags["name"]
	if !ok || name == "" {
		v.say(NotChecked(check, "no etcd manifest with a --name is in kubernetes/manifests"))
		return
	}
	members, _, err := v.b.db.Members()
	if err != nil {
		return // the records' check has said it
	}
	for _, m := range members {
		if m.Name != name {
			continue
		}
		v.say(Good(check, int64(len(members)), "members", "%q of the manifest is in the snapshot's member list", name))
		if want := flags["initial-advertise-peer-urls"]; want != "" && !slices.Contains(m.PeerURLs, want) {
			v.say(Note(check, "%q has peer URLs %s there, and %s in the manifest", name, strings.Join(m.PeerURLs, ","), want))
		}
		return
	}
	v.say(Mismatch(check, "%q of the manifest is not in the snapshot's member list", name))
}

// authority holds CA and token key against what the cluster had handed out.
func (v *verification) authority(found *belongings) {
	if found.ca == nil {
		v.say(Mismatch("cluster CA", "there is no kubernetes/pki/ca.crt"))
	} else {
		v.tell("cluster CA", "ConfigMaps", found.cas, "kubernetes/pki/ca.crt is the one in %d ConfigMaps kube-root-ca.crt",
			"kubernetes/pki/ca.crt is another one than in %d of %d ConfigMaps kube-root-ca.crt (%s is one)", "no ConfigMap kube-root-ca.crt is in the snapshot")
	}
	if found.key == nil {
		v.say(NotChecked("token key", "neither sa.pub nor sa.key is in kubernetes/pki"))
		return
	}
	v.tell("token key", "tokens", found.tokens, "kubernetes/pki/sa.pub verifies %d tokens in the snapshot",
		"kubernetes/pki/sa.pub does not verify %d of %d tokens in the snapshot (%s is one)", "no long-lived token is in the snapshot")
}

// tally counts what fits and what does not.
type tally struct {
	good, bad int64
	example   string
}

func (t *tally) add(ok bool, name string) {
	if ok {
		t.good++
		return
	}
	if t.bad++; t.example == "" {
		t.example = name
	}
}

// tell: a part that fits is proof enough, since CAs and keys are rotated and
// old ones stay about; none that fits is a mismatch.
func (v *verification) tell(name, of string, t tally, good, bad, none string) {
	switch {
	case t.good+t.bad == 0:
		v.say(NotChecked(name, "%s", none))
	case t.good == 0:
		v.say(Mismatch(name, bad, t.bad, t.bad, t.example))
	default:
		v.say(Good(name, t.good+t.bad, of, good, t.good))
		if t.bad > 0 {
			v.say(Note(name, bad, t.bad, t.good+t.bad, t.example))
		}
	}
}

// signedWith verifies the signature of a token and nothing else: when it ends
// is of no interest here.
func signedWith(token string, key any) bool {
	parser := jwt.NewParser(jwt.WithoutClaimsValidation(), jwt.WithValidMethods([]string{"RS256", "RS384", "RS512", "ES256", "ES384", "ES512"}))
	_, err := parser.Parse(token, func(t *jwt.Token) (any, error) {
		switch t.Method.(type) {
		case *jwt.SigningMethodRSA:
			if k, ok := key.(*rsa.PublicKey); ok {
				return k, nil
			}
		case *jwt.SigningMethodECDSA:
			if k, ok := key.(*ecdsa.PublicKey); ok {
				return k, nil
			}
		}
		return nil, errors.New("a key of another kind")
	})
	return err == nil
}

// ClusterUID is the UID of the namespace kube-system, by which Kubernetes' own
// tools tell clusters apart; an error when there is none.
func (b *Backup) ClusterUID(ctx context.Context) (string, error) {
	reg, err := b.Objects(0)
	if err != nil {
		return "", err
	}
	want := func(k registry.Key) bool { return k.Resource() == "namespaces" && k.Name == "kube-system" }
	for o, err := range reg.Objects(ctx, want) {
		if err != nil {
			return "", err
		}
		if namespace, ok := o.Typed.(*corev1.Namespace); ok {
			return string(namespace.UID), nil
		}
	}
	return "", errors.New("it is not there")
}
