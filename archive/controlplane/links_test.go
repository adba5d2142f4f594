package controlplane_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
)

// linked is harbour with its PKI in kubernetes/ssl, as kubespray has it.
func linked(t testing.TB, links ...archive.Link) *controlplane.View {
	t.Helper()
	b := controlplane.New()
	v := harbour(t)
	for _, name := range v.Files() {
		data, err := v.ReadFile(name)
		require.NoError(t, err)
		require.NoError(t, b.Add(strings.Replace(name, "kubernetes/pki/", "kubernetes/ssl/", 1), strings.NewReader(string(data))))
	}
	for _, link := range links {
		b.AddLink(link)
	}
	return b.View()
}

func TestLinkedPKI(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/etc/kubernetes/ssl", "ssl", "./real/../ssl/"} {
		v := linked(t, archive.Link{Name: "kubernetes/pki", Target: target},
			archive.Link{Name: "kubernetes/ssl/front.crt", Target: "front-proxy-ca.crt"}, archive.Link{Name: "kubernetes/ssl/gone", Target: "/srv/x"})
		data, err := v.ReadFile("kubernetes/pki/etcd/ca.crt")
		require.NoError(t, err, target)
		require.Contains(t, string(data), "BEGIN CERTIFICATE")
		_, err = v.ReadFile("kubernetes/pki/front.crt")
		require.NoError(t, err, "a link in a folder that a link leads to")
		require.NotNil(t, v.ServiceAccountKey())
		config, err := v.EncryptionConfig()
		require.NoError(t, err)
		require.Empty(t, config.Others, "a second name is not a second file")
		want := harbour(t).CheckPKI(time.Unix(1800000000, 0))
		require.GreaterOrEqual(t, len(v.CheckPKI(time.Unix(1800000000, 0))), len(want))
		require.Empty(t, v.Problems())
	}
	_, err := linked(t, archive.Link{Name: "kubernetes/pki", Target: "/srv/ssl"}).ReadFile("kubernetes/pki/ca.crt")
	require.Error(t, err)
	require.Equal(t, linked(t).Files(), linked(t, archive.Link{Name: "kubernetes/here", Target: "."}).Files(), "a folder within itself has nothing more")
}

// A file of the archive is never another one's, whatever a link says.
func TestLinksHideNoFile(t *testing.T) {
	t.Parallel()
	b := controlplane.New()
	for name, text := range map[string]string{"kubernetes/pki/ca.crt": "own", "kubernetes/ssl/ca.crt": "other", "kubernetes/ssl/sa.pub": "more"} {
		require.NoError(t, b.Add(name, strings.NewReader(text)))
	}
	b.AddLink(archive.Link{Name: "kubernetes/pki", Target: "ssl"})
	v := b.View()
	for name, want := range map[string]string{"kubernetes/pki/ca.crt": "own", "kubernetes/pki/sa.pub": "more"} {
		data, err := v.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, want, string(data))
	}
}

// Links in circles, and links that multiply, end.
func TestHostileLinks(t *testing.T) {
	t.Parallel()
	var links []archive.Link
	add := func(name, target string) {
		links = append(links, archive.Link{Name: "kubernetes/" + name, Target: target})
	}
	add("self", "self")
	add("here", ".")
	add("ssl/up", "..")
	add("x/to-y", "../y")
	add("y/to-x", "../x")
	for i := range 40 { // two to the power of 40
		for _, arm := range []string{"l", "r"} {
			add(fmt.Sprintf("d%d/%s", i, arm), fmt.Sprintf("../d%d", i+1))
		}
	}
	v := linked(t, links...)
	require.NotEmpty(t, v.Problems())
	require.LessOrEqual(t, len(v.Files()), 2*controlplane.MaxFiles)
}
