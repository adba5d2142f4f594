package controlplane_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
)

// rebuilt is a View with some files changed; nil content leaves one out.
func rebuilt(t *testing.T, view *controlplane.View, change map[string][]byte) *controlplane.View {
	t.Helper()
	b := controlplane.New()
	for _, name := range view.Files() {
		data, err := view.ReadFile(name)
		require.NoError(t, err)
		if other, ok := change[name]; ok {
			data = other
		}
		if data != nil {
			require.NoError(t, b.Add(name, strings.NewReader(string(data))))
		}
	}
	return b.View()
}

func faults(findings []controlplane.Finding) (bad, notes []string) {
	for _, f := range findings {
		switch {
		case !f.OK && f.Note:
			bad = append(bad, f.Path+" is a note and a fault: "+f.Detail)
		case !f.OK:
			bad = append(bad, f.Path+": "+f.Detail)
		case f.Note:
			notes = append(notes, f.Path+": "+f.Detail)
		}
	}
	return bad, notes
}

// blanked is a kubeconfig in which a field holds other bytes.
func blanked(data []byte, field string) []byte {
	return regexp.MustCompile(field+": .*").ReplaceAll(data, []byte(field+": AAAA"))
}

// A real PKI has no fault; each way of mixing one up is found.
func TestCheckPKI(t *testing.T) {
	t.Parallel()
	view := harbour(t)
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	bad, notes := faults(view.CheckPKI(now))
	require.Empty(t, bad)
	require.Empty(t, notes)
	read := func(name string) []byte {
		data, err := view.ReadFile("kubernetes/pki/" + name)
		require.NoError(t, err)
		return data
	}
	conf := func(name string) []byte {
		data, err := view.ReadFile("kubernetes/" + name)
		require.NoError(t, err)
		return data
	}
	for name, c := range map[string]struct {
		change    map[string][]byte
		at        time.Time
		bad, note string
	}{
		"key of another":                    {map[string][]byte{"kubernetes/pki/apiserver.key": read("ca.key")}, now, "kubernetes/pki/apiserver.crt: its private key belongs to another certificate", ""},
		"key that is no key":                {map[string][]byte{"kubernetes/pki/apiserver.key": []byte("x")}, now, "its private key cannot be read", ""},
		"no certificate":                    {map[string][]byte{"kubernetes/pki/apiserver.crt": []byte("x")}, now, "kubernetes/pki/apiserver.crt: holds no certificate", ""},
		"external CA":                       {map[string][]byte{"kubernetes/pki/ca.key": nil}, now, "", "kubernetes/pki/ca.crt: there is no private key beside it"},
		"CA not there":                      {map[string][]byte{"kubernetes/pki/etcd/ca.crt": nil, "kubernetes/pki/etcd/ca.key": nil}, now, "", "is not in the backup"},
		"a client certificate that is none": {map[string][]byte{"kubernetes/scheduler.conf": blanked(conf("scheduler.conf"), "client-certificate-data")}, now, "kubernetes/scheduler.conf: holds a client certificate that cannot be read", ""},
		"a kubeconfig without its CA":       {map[string][]byte{"kubernetes/scheduler.conf": blanked(conf("scheduler.conf"), "certificate-authority-data")}, now, "kubernetes/scheduler.conf: holds a CA that cannot be read: kube-scheduler would not reach its API server", ""},
		"a kubeconfig that was cut":         {map[string][]byte{"kubernetes/scheduler.conf": bytes.Split(conf("scheduler.conf"), []byte("users:"))[0]}, now, "kubernetes/scheduler.conf: lacks the credentials of its current context", ""},
		"a kubeconfig without a server":     {map[string][]byte{"kubernetes/scheduler.conf": bytes.ReplaceAll(conf("scheduler.conf"), []byte("server:"), []byte("serves:"))}, now, "kubernetes/scheduler.conf: names no server", ""},
		"a kubeconfig of nothing":           {map[string][]byte{"kubernetes/scheduler.conf": []byte("kind: Config\n")}, now, "kubernetes/scheduler.conf: has no current context", ""},
		"a kubeconfig that is none":         {map[string][]byte{"kubernetes/scheduler.conf": []byte("\t{")}, now, "kubernetes/scheduler.conf: is no kubeconfig in YAML or JSON", ""},
		"leaves have expired":               {nil, now.AddDate(2, 0, 0), "", "renew it after the restore"},
		"CAs have expired":                  {nil, now.AddDate(11, 0, 0), "kubernetes/pki/ca.crt: this CA ended", ""},
		"sa.pub of another":                 {map[string][]byte{"kubernetes/pki/sa.key": read("ca.key")}, now, "kubernetes/pki/sa.key: is not the key whose public half sa.pub is", ""},
	} {
		bad, notes := faults(rebuilt(t, view, c.change).CheckPKI(c.at))
		if c.bad != "" {
			require.Contains(t, strings.Join(bad, "\n"), c.bad, name)
		} else {
			require.Empty(t, bad, name)
		}
		require.Contains(t, strings.Join(notes, "\n"), c.note, name)
	}
	require.NotNil(t, view.ServiceAccountKey())
	require.True(t, controlplane.SharesCertificate(append(read("etcd/ca.crt"), read("ca.crt")...), read("ca.crt")), "a bundle under rotation")
	require.False(t, controlplane.SharesCertificate(read("etcd/ca.crt"), read("ca.crt")))
	require.True(t, controlplane.SharesCertificate(read("ca.crt"), append(read("etcd/ca.crt"), read("ca.crt")...)))
	require.False(t, controlplane.SharesCertificate(nil, nil))
}

// Each certificate counts to its own second, one in a kubeconfig fits its key, and
// an empty file is no key.
func TestCheckPKISingly(t *testing.T) {
	t.Parallel()
	view := harbour(t)
	certs, problems := view.Certificates()
	require.Empty(t, problems)
	end := time.Time{}
	for _, c := range certs {
		if !c.IsCA && (end.IsZero() || c.NotAfter.Before(end)) {
			end = c.NotAfter
		}
	}
	_, notes := faults(view.CheckPKI(end.Add(-time.Second)))
	require.Empty(t, notes)
	_, notes = faults(view.CheckPKI(end.Add(time.Second)))
	require.NotEmpty(t, notes)

	now := end.AddDate(0, -1, 0)
	bad, notes := faults(rebuilt(t, view, map[string][]byte{"kubernetes/pki/apiserver.key": []byte("\n")}).CheckPKI(now))
	require.Empty(t, bad)
	require.Equal(t, []string{"kubernetes/pki/apiserver.crt: there is no private key beside it: kept elsewhere, or lost"}, notes)

	config, err := view.ReadFile("kubernetes/admin.conf")
	require.NoError(t, err)
	key, err := view.ReadFile("kubernetes/pki/ca.key")
	require.NoError(t, err)
	mixed := regexp.MustCompile(`client-key-data: \S+`).ReplaceAllLiteral(config, []byte("client-key-data: "+base64.StdEncoding.EncodeToString(key)))
	require.NotEqual(t, string(config), string(mixed))
	bad, _ = faults(rebuilt(t, view, map[string][]byte{"kubernetes/admin.conf": mixed}).CheckPKI(now))
	require.Equal(t, []string{"kubernetes/admin.conf: its private key belongs to another certificate"}, bad)
}

// Who may do everything is asked first; each component looks for the API server
// where its own kubeconfig says; a CA is none without its own key.
func TestClientsServersAndAuthority(t *testing.T) {
	t.Parallel()
	view := harbour(t)
	var masters []bool
	for _, c := range view.Clients() {
		masters = append(masters, c.Master())
	}
	require.Greater(t, len(masters), 3)
	require.True(t, masters[0])
	first := slices.Index(masters, false)
	require.Positive(t, first)
	require.NotContains(t, masters[first:], true)

	config, err := view.ReadFile("kubernetes/scheduler.conf")
	require.NoError(t, err)
	moved := regexp.MustCompile(`server: \S+`).ReplaceAllLiteral(config, []byte("server: https://192.0.2.99:6443"))
	other := rebuilt(t, view, map[string][]byte{"kubernetes/scheduler.conf": moved})
	require.Equal(t, []string{"https://192.0.2.99:6443"}, other.Servers(controlplane.Scheduler))
	require.Len(t, other.Servers(controlplane.ControllerManager), 1)
	require.NotContains(t, other.Servers(controlplane.ControllerManager), "https://192.0.2.99:6443")

	authority, err := view.Authority()
	require.NoError(t, err)
	require.True(t, authority.Leaf.IsCA)
	key, err := view.ReadFile("kubernetes/pki/front-proxy-ca.key")
	require.NoError(t, err)
	_, err = rebuilt(t, view, map[string][]byte{"kubernetes/pki/ca.key": key}).Authority()
	require.Error(t, err)
}

// A CA of the same name and another key is another CA: of another cluster, or of
// another time.
func TestCheckPKIOfAnotherCAOfThatName(t *testing.T) {
	t.Parallel()
	view := harbour(t)
	own, err := view.ReadFile("kubernetes/pki/ca.crt")
	require.NoError(t, err)
	block, _ := pem.Decode(own)
	cert, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(9), RawSubject: cert.RawSubject, NotBefore: cert.NotBefore, NotAfter: cert.NotAfter,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, &x509.Certificate{RawSubject: cert.RawSubject}, key.Public(), key)
	require.NoError(t, err)
	other := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	bad, _ := faults(rebuilt(t, view, map[string][]byte{"kubernetes/pki/ca.crt": other, "kubernetes/pki/ca.key": nil}).CheckPKI(cert.NotBefore.AddDate(0, 0, 1)))
	require.Contains(t, strings.Join(bad, "\n"), "kubernetes/pki/apiserver.crt: is not signed by the CA of that name")
	require.False(t, controlplane.SharesCertificate(own, other))
}
