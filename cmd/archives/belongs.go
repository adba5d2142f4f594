package archives

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
	"time"

	"github.com/golang-jwt/jwt/v5"
	corev1 "k8s.io/api/core/v1"

	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/registry"
)

// pki says what is wrong with certificates, and how long the first of them
// lasts.
func (v *verification) pki(src *console.Source) {
	if src.Control == nil {
		v.say("certificates", checkSkipped, "there is no kubernetes/ in it")
		return
	}
	good := 0
	for _, f := range src.Control.CheckPKI(time.Now()) {
		switch {
		case f.OK && !f.Note:
			good++
		case f.OK:
			v.say("certificates", checkNote, "%q: %s", f.Path, f.Detail)
		default:
			v.say("certificates", checkMismatch, "%q: %s", f.Path, f.Detail)
		}
	}
	for _, p := range src.Control.Problems() {
		v.say("files", checkNote, "%q %s", p.Path, p.Detail)
	}
	certs, _ := src.Control.Certificates()
	if len(certs) == 0 {
		v.say("certificates", checkMismatch, "there is none in kubernetes/pki")
		return
	}
	first := slices.MinFunc(certs, func(a, b controlplane.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
	v.say("certificates", checkGood, "%d checked against key, CA and clock; the first ends %s", good, first.NotAfter.Format(time.DateOnly))
}

// belongings is what one pass over all live objects finds of the cluster that
// they come from.
type belongings struct {
	cluster string // UID of the namespace kube-system
	locks   map[registry.Lock]*tally

	ca     []byte // kubernetes/pki/ca.crt, nil without one
	key    crypto.PublicKey
	cas    tally // ConfigMaps kube-root-ca.crt with that CA
	tokens tally // tokens that the key has signed
}

// gather makes the pass. Nothing is decoded but what is asked about.
func gather(ctx context.Context, env *console.Environment, src *console.Source, opts console.SourceOptions) (*belongings, error) {
	regOpts, err := src.RegistryOptions(env, opts)
	if err != nil {
		return nil, err
	}
	b := &belongings{locks: map[registry.Lock]*tally{}}
	if src.Control != nil {
		if b.ca, err = src.Control.ReadFile(controlplane.FolderPKI + "/ca.crt"); err != nil {
			b.ca = nil
		}
		b.key = src.Control.ServiceAccountKey()
	}
	reg := registry.New(src.Db, regOpts)
	for entry, err := range reg.Entries(ctx, func(k registry.Key) bool { return !k.System }) {
		if err != nil {
			return nil, err
		}
		lock, locked := registry.ParseLock(entry.KV.Value)
		if locked {
			_, err := regOpts.Keyring.Open(ctx, entry.Key.Path, entry.KV.Value)
			b.lock(lock).add(err == nil, "")
		}
		if b.wants(entry, locked) {
			b.look(reg.Decode(ctx, entry))
		}
	}
	return b, nil
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
func (v *verification) belongs(src *console.Source, opts console.SourceOptions, b *belongings) {
	v.encryption(b.locks, src.Control != nil || opts.EncryptionConfig != "")
	if src.Control == nil {
		v.say("belongs together", checkSkipped, "there is no kubernetes/ to hold the snapshot against")
		return
	}
	v.member(src)
	v.authority(b)
}

// encryption says which values the keys at hand open. keys says whether SRC is
// a thing that should hold them.
func (v *verification) encryption(locks map[registry.Lock]*tally, keys bool) {
	byName := func(a, b registry.Lock) int { return strings.Compare(a.String(), b.String()) }
	for _, lock := range slices.SortedFunc(maps.Keys(locks), byName) {
		n := locks[lock]
		switch {
		case n.bad == 0:
			v.say("encryption keys", checkGood, "%s opens all %d values", lock, n.good)
		case lock.Provider == "kms": // whose key is never in a backup
			v.say("encryption keys", checkSkipped, "%d values are locked by %s: only that KMS opens them", n.bad, lock)
		case !keys:
			v.say("encryption keys", checkSkipped, "%d values are locked by %s, whose key is elsewhere: give --encryption-config", n.bad, lock)
		default:
			v.say("encryption keys", checkMismatch, "%d of %d values locked by %s are opened by no key at hand", n.bad, n.good+n.bad, lock)
		}
	}
	if len(locks) == 0 {
		v.say("encryption keys", checkGood, "nothing is encrypted at rest")
	}
}

// member looks for the manifest's etcd member in the snapshot, by name: URLs
// change, and are worth a note alone.
func (v *verification) member(src *console.Source) {
	flags, ok := src.Control.Flags(controlplane.Etcd)
	name := flags["name"]
	if !ok || name == "" {
		v.say("etcd member", checkSkipped, "no etcd manifest with a --name is in kubernetes/manifests")
		return
	}
	members, _, err := src.Db.Members()
	if err != nil {
		return // Check has said it
	}
	for _, m := range members {
		if m.Name != name {
			continue
		}
		v.say("etcd member", checkGood, "%q of the manifest is in the snapshot's member list", name)
		if want := flags["initial-advertise-peer-urls"]; want != "" && !slices.Contains(m.PeerURLs, want) {
			v.say("etcd member", checkNote, "%q has peer URLs %s there, and %s in the manifest", name, strings.Join(m.PeerURLs, ","), want)
		}
		return
	}
	v.say("etcd member", checkMismatch, "%q of the manifest is not in the snapshot's member list", name)
}

// authority holds CA and token key against what the cluster had handed out.
func (v *verification) authority(b *belongings) {
	switch {
	case b.ca == nil:
		v.say("cluster CA", checkMismatch, "there is no kubernetes/pki/ca.crt")
	default:
		v.tell("cluster CA", b.cas, "kubernetes/pki/ca.crt is the one in %d ConfigMaps kube-root-ca.crt",
			"kubernetes/pki/ca.crt is another one than in %d of %d ConfigMaps kube-root-ca.crt (%s is one)", "no ConfigMap kube-root-ca.crt is in the snapshot")
	}
	if b.key == nil {
		v.say("token key", checkSkipped, "neither sa.pub nor sa.key is in kubernetes/pki")
		return
	}
	v.tell("token key", b.tokens, "kubernetes/pki/sa.pub has signed %d tokens in the snapshot",
		"kubernetes/pki/sa.pub has not signed %d of %d tokens in the snapshot (%s is one)", "no long-lived token is in the snapshot")
}

// tally counts what fits and what does not.
type tally struct {
	good, bad int
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
func (v *verification) tell(name string, t tally, good, bad, none string) {
	switch {
	case t.good+t.bad == 0:
		v.say(name, checkSkipped, "%s", none)
	case t.good == 0:
		v.say(name, checkMismatch, bad, t.bad, t.bad, t.example)
	default:
		v.say(name, checkGood, good, t.good)
		if t.bad > 0 {
			v.say(name, checkNote, bad, t.bad, t.good+t.bad, t.example)
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
