package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	corev1 "k8s.io/api/core/v1"

	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
	"github.com/lifeboat-dr/lifeboat/registry"
)

// pki says what is wrong with certificates, and how long the first of them
// lasts.
func (v *verification) pki(src *source) {
	if src.control == nil {
		v.say("certificates", checkSkipped, "there is no kubernetes/ in it")
		return
	}
	good := 0
	for _, f := range src.control.CheckPKI(time.Now()) {
		switch {
		case f.OK && !f.Note:
			good++
		case f.OK:
			v.say("certificates", checkNote, "%q: %s", f.Path, f.Detail)
		default:
			v.say("certificates", checkMismatch, "%q: %s", f.Path, f.Detail)
		}
	}
	for _, p := range src.control.Problems() {
		v.say("files", checkNote, "%q %s", p.Path, p.Detail)
	}
	certs, _ := src.control.Certificates()
	if len(certs) == 0 {
		v.say("certificates", checkMismatch, "there is none in kubernetes/pki")
		return
	}
	first := slices.MinFunc(certs, func(a, b controlplane.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
	v.say("certificates", checkGood, "%d checked against key, CA and clock; the first ends %s", good, first.NotAfter.Format(time.DateOnly))
}

// belongs finds out whether the two halves are of one cluster.
func (v *verification) belongs(ctx context.Context, env *environment, src *source, opts sourceOptions) error {
	regOpts, err := src.registryOptions(env, opts)
	if err != nil {
		return err
	}
	reg := registry.New(src.db, regOpts)
	if err := v.encryption(ctx, reg, src.control != nil || opts.EncryptionConfig != ""); err != nil {
		return err
	}
	if src.control == nil {
		v.say("belongs together", checkSkipped, "there is no kubernetes/ to hold the snapshot against")
		return nil
	}
	v.member(src)
	return v.authority(ctx, reg, src.control)
}

// encryption tries the keys on every value that is encrypted at rest. keys
// says whether SRC is a thing that should hold them.
func (v *verification) encryption(ctx context.Context, reg *registry.Registry, keys bool) error {
	survey, err := reg.Survey(ctx)
	if err != nil {
		return err
	}
	for _, l := range survey.Locks {
		switch {
		case l.Locked == 0:
			v.say("encryption keys", checkGood, "%s opens all %d values", l.Lock, l.Objects)
		case !keys:
			v.say("encryption keys", checkSkipped, "%d values are locked by %s, whose key is elsewhere: give --encryption-config", l.Locked, l.Lock)
		default:
			v.say("encryption keys", checkMismatch, "%d of %d values locked by %s are opened by no key at hand", l.Locked, l.Objects, l.Lock)
		}
	}
	if len(survey.Locks) == 0 {
		v.say("encryption keys", checkGood, "nothing is encrypted at rest")
	}
	return nil
}

// member looks for the manifest's etcd member in the snapshot, by name: URLs
// change, and are worth a note alone.
func (v *verification) member(src *source) {
	flags, ok := src.control.Flags(controlplane.Etcd)
	name := flags["name"]
	if !ok || name == "" {
		v.say("etcd member", checkSkipped, "no etcd manifest with a --name is in kubernetes/manifests")
		return
	}
	members, _, err := src.db.Members()
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
func (v *verification) authority(ctx context.Context, reg *registry.Registry, control *controlplane.View) error {
	ca, err := control.ReadFile(controlplane.FolderPKI + "/ca.crt")
	if err != nil {
		ca = nil
	}
	var cas, tokens tally
	key := control.ServiceAccountKey()
	want := func(k registry.Key) bool {
		return k.Resource() == "configmaps" && k.Name == "kube-root-ca.crt" || k.Resource() == "secrets"
	}
	for o, err := range reg.Objects(ctx, want) {
		if err != nil {
			return err
		}
		switch typed := o.Typed.(type) {
		case *corev1.ConfigMap:
			cas.add(controlplane.SharesCertificate(ca, []byte(typed.Data["ca.crt"])), o.String())
		case *corev1.Secret:
			if token := typed.Data[corev1.ServiceAccountTokenKey]; typed.Type == corev1.SecretTypeServiceAccountToken && len(token) > 0 && key != nil {
				tokens.add(signedWith(string(token), key), o.String())
			}
		}
	}
	switch {
	case ca == nil:
		v.say("cluster CA", checkMismatch, "there is no kubernetes/pki/ca.crt")
	default:
		v.tell("cluster CA", cas, "kubernetes/pki/ca.crt is the one in %d ConfigMaps kube-root-ca.crt",
			"kubernetes/pki/ca.crt is another one than in %d of %d ConfigMaps kube-root-ca.crt (%s is one)", "no ConfigMap kube-root-ca.crt is in the snapshot")
	}
	if key == nil {
		v.say("token key", checkSkipped, "neither sa.pub nor sa.key is in kubernetes/pki")
		return nil
	}
	v.tell("token key", tokens, "kubernetes/pki/sa.pub has signed %d tokens in the snapshot",
		"kubernetes/pki/sa.pub has not signed %d of %d tokens in the snapshot (%s is one)", "no long-lived token is in the snapshot")
	return nil
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
