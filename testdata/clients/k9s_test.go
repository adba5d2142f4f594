package clients

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// k9sConfig keeps k9s from asking its release host for a newer version.
const k9sConfig = `k9s:
  skipLatestRevCheck: true
  refreshRate: 2
  ui: {splashless: true, logoless: true, noIcons: true}
`

// TestK9s looks at a backup with k9s in a terminal, by its keys: every kind of
// all namespaces, an object's YAML and description, its tree, a custom
// resource. Its log has no error but the ones named below.
func TestK9s(t *testing.T) {
	t.Parallel()
	tmux, err := exec.LookPath("tmux")
	if err != nil {
		t.Skip("no tmux on this host; make interop installs it")
	}
	b := newBench(t, k9s, "k9s")
	kubectl := newBench(t, newKubectl, "kubectl")
	kinds := strings.Fields(kubectl.quiet(t, "api-resources", "--verbs=list", "-o", "name"))
	home := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(home, "config.yaml"), []byte(k9sConfig), 0o600))
	log := filepath.Join(home, "k9s.log")
	s := startScreen(t, tmux, append(b.env, "K9S_CONFIG_DIR="+home, "TERM=xterm-256color"),
		b.lifeboat+" serve "+b.source+" -- k9s --readonly --logLevel info --logFile "+log)

	s.sees(t, `pods\(default\)\[0\]`, `K8s Rev: v1\.37\.1\+lifeboat`)
	s.asks(t, "pods infra-production")
	s.sees(t, `pods\(infra-production\)\[\d+\]`, "db-0", "Running")
	s.keys(t, "/", "db-0", "Enter")
	s.sees(t, `</db-0>`)
	s.keys(t, "y")
	s.sees(t, `YAML\(infra-production/db-0\)`, "apiVersion: v1", "kind: Pod")
	s.keys(t, "Escape", "d")
	s.sees(t, `Describe\(infra-production/db-0\)`, "Controlled By:")
	s.keys(t, "Escape")
	s.asks(t, "xray deploy infra-production")
	s.sees(t, `Xray-Deployments\(infra-production\)`, `deployment/supercronic\(1\) \[4/4/0\]`, "pod/supercronic-56b5b7bfd-bbznw", "secret/db-password")
	s.asks(t, "ships all")
	s.sees(t, `ships\(all\)\[1\]`, "infra-production")
	s.keys(t, "y")
	s.sees(t, "fleet.example.com/v1", "tonnage")
	s.keys(t, "Escape")
	s.asks(t, "namespaces") // which takes no namespace
	s.sees(t, `namespaces\(all\)\[\d+\]`)
	for _, kind := range kinds {
		plural, _, _ := strings.Cut(kind, ".") // k9s knows kinds by their plural names
		if plural == "namespaces" {
			continue
		}
		s.asks(t, plural+" all")
		s.sees(t, ` `+plural+`\(all\)\[\d+\]`)
	}
	s.keys(t, ":", "quit", "Enter")
	s.ends(t)
	text, err := os.ReadFile(log)
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if plain := colours.ReplaceAllString(line, ""); troubled.MatchString(plain) {
			require.Regexp(t, knownTrouble, plain)
		}
	}
}

var (
	colours  = regexp.MustCompile(`\x1b\[[0-9;]*m`)
	troubled = regexp.MustCompile(` (ERR|WRN) |^E\d{4} |panic`)

	// knownTrouble are the lines that k9s may log, each with its reason.
	knownTrouble = regexp.MustCompile(strings.Join([]string{
		`metrics-server`,                         // a backup has no metrics, and discovery says so
		`No resources found for `,                // a kind with no objects
		`gvr=networking\.k8s\.io/v1/ipaddresses`, // its table has more cells than columns, by Kubernetes' own printer
	}, "|"))
)

// screen is a terminal in tmux with a program in it.
type screen struct {
	tmux, socket string
	env          []string
}

func startScreen(t *testing.T, tmux string, env []string, command string) *screen {
	t.Helper()
	s := &screen{tmux, filepath.Join(t.TempDir(), "tmux"), env}
	s.do(t, "-f", "/dev/null", "new-session", "-d", "-s", "k9s", "-x", "180", "-y", "50", command)
	t.Cleanup(func() {
		kill := exec.Command(s.tmux, "-S", s.socket, "kill-server")
		_ = kill.Run() // it has ended by itself if all went well
	})
	return s
}

func (s *screen) do(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(s.tmux, append([]string{"-S", s.socket}, args...)...)
	cmd.Env = s.env
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, "tmux %q: %s", args, output)
	return string(output)
}

// keys types: names of keys as tmux has them, all else letter by letter.
func (s *screen) keys(t *testing.T, keys ...string) {
	t.Helper()
	for _, key := range keys {
		s.do(t, "send-keys", "-t", "k9s", key)
		time.Sleep(100 * time.Millisecond) // k9s completes words as they are typed
	}
}

// asks goes to a view.
func (s *screen) asks(t *testing.T, view string) { t.Helper(); s.keys(t, ":", view, "Enter") }

// sees waits until the screen shows all of what is wanted, as regular
// expressions.
func (s *screen) sees(t *testing.T, wanted ...string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		text, missing := s.do(t, "capture-pane", "-p", "-t", "k9s"), ""
		for _, want := range wanted {
			if !regexp.MustCompile(want).MatchString(text) {
				missing = want
			}
		}
		if missing == "" {
			return
		}
		require.True(t, time.Now().Before(deadline), fmt.Sprintf("the screen does not show %q:\n%s", missing, text))
		time.Sleep(100 * time.Millisecond)
	}
}

// ends waits until the program is gone, and tmux with it.
func (s *screen) ends(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return exec.Command(s.tmux, "-S", s.socket, "has-session").Run() != nil }, 30*time.Second, 100*time.Millisecond)
}
