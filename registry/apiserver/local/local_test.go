package local_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/lifeboat-dr/lifeboat/registry/apiserver/local"
)

// echo answers with the path that it is asked for.
func echo(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) }

func listen(t *testing.T, opts local.Options) *local.Server {
	if opts.Handler == nil {
		opts.Handler = http.HandlerFunc(echo)
	}
	if opts.Parent == "" {
		opts.Parent = t.TempDir()
	}
	opts.Digest = "0123abcd"
	s, err := local.Listen(opts)
	require.NoError(t, err)
	return s
}

// client is what client-go makes of the kubeconfig.
func client(t *testing.T, s *local.Server, context string) (*http.Client, *rest.Config) {
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: s.Kubeconfig}, &clientcmd.ConfigOverrides{CurrentContext: context}).ClientConfig()
	require.NoError(t, err)
	c, err := rest.HTTPClientFor(config)
	require.NoError(t, err)
	return c, config
}

func body(t *testing.T, resp *http.Response, err error) string {
	require.NoError(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(data)
}

func TestKubeconfigLeadsToTheHandler(t *testing.T) {
	t.Parallel()
	s := listen(t, local.Options{Contexts: []local.Context{{Name: "now"}, {Name: "rev-7", Path: "/rev/7"}}})
	defer s.Close()
	for context, want := range map[string]string{"now": "/api", "rev-7": "/rev/7/api", "": "/rev/7/api"} {
		c, config := client(t, s, context)
		require.Contains(t, config.Host, "/0123abcd")
		resp, err := c.Get(config.Host + "/api")
		require.Equal(t, want, body(t, resp, err))
	}
	info, err := os.Stat(s.Kubeconfig)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	info, err = os.Stat(filepath.Dir(s.Kubeconfig))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())

	address, err := url.Parse(s.URL)
	require.NoError(t, err)
	require.True(t, net.ParseIP(address.Hostname()).IsLoopback())
}

func TestOnlyTheTokenOpens(t *testing.T) {
	t.Parallel()
	s := listen(t, local.Options{})
	defer s.Close()
	good, config := client(t, s, "now")
	plain := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}

	for _, token := range []string{"", "Bearer ", "Bearer wrong", config.BearerToken, "Basic " + config.BearerToken} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/api", nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", token)
		resp, err := plain.Do(r)
		require.Contains(t, body(t, resp, err), `"reason":"Unauthorized"`)
		require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/api", nil)
	require.NoError(t, err)
	r.Host = "evil.example.com" // a name that was made to resolve to loopback
	resp, err := good.Do(r)
	require.NotContains(t, body(t, resp, err), "/api")
	require.Equal(t, http.StatusMisdirectedRequest, resp.StatusCode)

	bare := strings.TrimSuffix(s.URL, "/0123abcd")
	resp, err = good.Get(bare + "/api") // another snapshot's address
	require.Contains(t, body(t, resp, err), "stands below /0123abcd")
	require.Equal(t, http.StatusNotFound, resp.StatusCode)
	resp, err = good.Get(bare + "/") // as kubectl 1.28 asks for it
	require.Equal(t, "/", body(t, resp, err))
	_, err = http.Get(strings.Replace(s.URL, "https", "http", 1)) //nolint:bodyclose // plain text is not spoken
	if err == nil {
		t.Log("Go's server answers plain HTTP with 400")
	}
	_, err = (&http.Client{}).Get(s.URL) //nolint:bodyclose // no other authority is trusted
	require.ErrorContains(t, err, "certificate")
}

func TestCloseLeavesNothing(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	kubeconfig := filepath.Join(t.TempDir(), "dead.kubeconfig")
	hangs := make(chan struct{})
	s := listen(t, local.Options{Parent: parent, Kubeconfig: kubeconfig, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(hangs)
		<-r.Context().Done() // a watch
	})})
	c, config := client(t, s, "now")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if resp, err := c.Get(config.Host + "/api"); err == nil {
			resp.Body.Close()
		}
	}()
	<-hangs
	started := time.Now()
	require.NoError(t, s.Close())
	require.Less(t, time.Since(started), 10*time.Second)
	<-ended
	require.NoFileExists(t, kubeconfig)
	left, err := os.ReadDir(parent)
	require.NoError(t, err)
	require.Empty(t, left)
	_, err = c.Get(config.Host) //nolint:bodyclose // nothing listens
	require.Error(t, err)
}

func TestAnExistingKubeconfigIsNotTouched(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	kubeconfig := filepath.Join(parent, "config")
	require.NoError(t, os.WriteFile(kubeconfig, []byte("mine"), 0o600))
	_, err := local.Listen(local.Options{Handler: http.HandlerFunc(echo), Parent: parent, Kubeconfig: kubeconfig})
	require.ErrorIs(t, err, os.ErrExist)
	data, err := os.ReadFile(kubeconfig)
	require.NoError(t, err)
	require.Equal(t, "mine", string(data))
	left, err := os.ReadDir(parent)
	require.NoError(t, err)
	require.Len(t, left, 1)
}

// What a killed run left is removed and named; a run that lives keeps its own.
func TestAbandonedFoldersAreRemoved(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	abandoned := filepath.Join(parent, "lifeboat-serve-123")
	require.NoError(t, os.MkdirAll(filepath.Join(abandoned, "cache"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(abandoned, "lock"), nil, 0o600))
	foreign := filepath.Join(parent, "lifeboat-serve-notes")
	require.NoError(t, os.MkdirAll(foreign, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(foreign, "lock"), nil, 0o600))
	first := listen(t, local.Options{Parent: parent})
	defer first.Close()
	require.Equal(t, []string{abandoned}, first.Removed)
	require.NoDirExists(t, abandoned)
	require.DirExists(t, foreign)
	second := listen(t, local.Options{Parent: parent})
	require.Empty(t, second.Removed)
	require.NoError(t, second.Close())
	require.FileExists(t, first.Kubeconfig)
}

func TestRun(t *testing.T) {
	t.Parallel()
	s := listen(t, local.Options{})
	defer s.Close()
	var out, errs bytes.Buffer
	stdio := local.Stdio{In: strings.NewReader("in"), Out: &out, Err: &errs}
	code, err := s.Run(t.Context(), []string{"sh", "-c", `cat; echo " $KUBECONFIG"; [ -n "$KUBECACHEDIR" ] && exit 7`}, stdio)
	require.NoError(t, err)
	require.Equal(t, 7, code)
	require.Equal(t, "in "+s.Kubeconfig+"\n", out.String())

	code, err = s.Run(t.Context(), []string{"sh", "-c", "kill -KILL $$"}, stdio)
	require.NoError(t, err)
	require.Equal(t, 128+9, code)
	_, err = s.Run(t.Context(), []string{"no-such-command-anywhere"}, stdio)
	require.ErrorContains(t, err, `running "no-such-command-anywhere"`)
}

// Clients that say nothing, as many as are let in at once and more, are dropped
// after a while, and do not keep others out for ever.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	s := listen(t, local.Options{})
	defer s.Close()
	address, err := url.Parse(s.URL)
	require.NoError(t, err)
	slow := make([]net.Conn, local.MostConnections+8)
	for i := range slow {
		slow[i], err = net.Dial("tcp", address.Host)
		require.NoError(t, err)
		defer slow[i].Close()
		_, err = slow[i].Write([]byte("\x16\x03")) // the beginning of a handshake
		require.NoError(t, err)
	}
	c, config := client(t, s, "now")
	resp, err := c.Get(config.Host + "/api")
	require.Equal(t, "/api", body(t, resp, err))
	require.NoError(t, slow[0].SetReadDeadline(time.Now().Add(time.Minute)))
	_, err = io.ReadAll(slow[0])
	require.False(t, os.IsTimeout(err), "it was not dropped")
}
