package controlplane_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
)

// A server whose tokens it does not accept itself is told; a rotation, in which
// the key is one of several, is none.
func TestTokenKeys(t *testing.T) {
	t.Parallel()
	private, public := tokenKey(t)
	_, other := tokenKey(t)
	for _, tc := range []struct {
		flags    string
		accepted int
		ok, fits bool
	}{
		{`"--service-account-key-file=/etc/kubernetes/pki/sa.pub"`, 1, true, true},
		{`"--service-account-key-file", "/etc/kubernetes/pki/other.pub"`, 1, true, false},
		{`"--service-account-key-file=/etc/kubernetes/pki/other.pub", "--service-account-key-file=/etc/kubernetes/pki/sa.pub"`, 2, true, true},
		{`"--service-account-key-file=/etc/kubernetes/pki/sa.pub", "--service-account-key-file=/etc/kubernetes/pki/other.pub"`, 2, true, true},
		{`"--service_account_key_file=/etc/kubernetes/pki/sa.key"`, 1, true, true},
		{`"--service-account-key-file=/etc/kubernetes/pki/absent.pub"`, 0, false, false},
		{`"--v=1"`, 0, false, false},
	} {
		b := controlplane.New()
		for name, data := range map[string]string{
			"pki/sa.key": private, "pki/sa.pub": public, "pki/other.pub": other,
			"manifests/kube-apiserver.yaml": `{"kind":"Pod","metadata":{"name":"kube-apiserver"},"spec":{"containers":[{"name":"kube-apiserver","command":["kube-apiserver","--service-account-signing-key-file=/etc/kubernetes/pki/sa.key",` + tc.flags + `]}]}}`,
		} {
			require.NoError(t, b.Add("kubernetes/"+name, strings.NewReader(data)))
		}
		keys, ok := b.View().TokenKeys()
		require.Equal(t, tc.ok, ok, tc.flags)
		require.Equal(t, tc.fits, keys.Fits, tc.flags)
		require.Len(t, keys.Accepted, tc.accepted, tc.flags)
	}
}

func tokenKey(t *testing.T) (private, public string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub}))
}
