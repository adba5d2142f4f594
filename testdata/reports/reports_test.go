package reports

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/joshdk/go-junit"
	"github.com/stretchr/testify/require"
)

// picturesEnv names the folder for pictures; without it none are kept.
const picturesEnv = "LIFEBOAT_REPORT_SHOT_TO"

// hopes deviates, and its title is hostile.
const hopes = `apiVersion: lifeboat/v1
kind: Drill
title: "hopes <script>alert(1)</script> & <img src=//example.com/x> | \"quoted\""
why: "</style><style>@import url(//example.com/y)</style>"
engine: virtual
seeds: 1..3
steady: [{leader: exactly-one}]
steps:
  - {name: "a <b>cut</b>", at: 5s, do: {isolate: leader}, expect: [{leader: none, for: 2s}]}
  - {name: all die, wait: 3s, do: [heal, {kill: all}], expect: [{write: ok, within: 1s}]}
`

// drills runs drills with the program and gives the folder of their reports.
func drills(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "lifeboat")
	build := exec.Command("go", "build", "-o", program, "./cmd/lifeboat")
	build.Dir = "../.."
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "hopes.yaml"), []byte(hopes), 0o600))
	backup, err := filepath.Abs("../harbour/kube-backup.tar.gz")
	require.NoError(t, err)
	for _, args := range [][]string{
		{"lose-2-of-3-force-new-cluster", "isolate-leader", "rolling-replacement", "nospace-repair", "./hopes.yaml", "--to", "reports/members"},
		{"lose-a-node", "--backup", backup, "--to", "reports/nodes"},
	} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "reports"), 0o700))
		run := exec.Command(program, append([]string{"drill", "run"}, args...)...)
		run.Dir = dir
		var stderr bytes.Buffer
		run.Stderr = &stderr
		_, err = run.Output()
		var exit *exec.ExitError
		require.True(t, errors.As(err, &exit), "%v", err)
		require.Equal(t, 7, exit.ExitCode(), "%s", stderr.String())
	}
	return filepath.Join(dir, "reports")
}

func TestReports(t *testing.T) {
	dir := drills(t)
	t.Run("pages", func(t *testing.T) { pages(t, dir) })
	t.Run("junit", func(t *testing.T) { junitFiles(t, dir) })
}

// pages holds that every page renders on a desk, on a phone and on paper, in
// both colours; that the console stays silent, and that nothing is asked for but
// the page itself.
func pages(t *testing.T, dir string) {
	chromium := browser(t)
	pages, err := filepath.Glob(filepath.Join(dir, "*", "*", "report.html"))
	require.NoError(t, err)
	require.Len(t, pages, 6)
	for _, file := range pages {
		name := filepath.Base(filepath.Dir(file))
		backgrounds := map[string]string{}
		for _, v := range views() {
			s := look(t, chromium, file, v)
			require.Empty(t, s.complaints, "%s, %s", name, v.name)
			require.Empty(t, s.requests, "%s, %s", name, v.name)
			require.LessOrEqual(t, s.Width, float64(v.width), "%s, %s: it has to be scrolled sideways", name, v.name)
			require.True(t, s.Shapes > 10 || name == "lose-a-node", "%s, %s: the drawing is there", name, v.name)
			require.Greater(t, s.Styled, 30, "%s, %s: the style is let in by the page's own policy", name, v.name)
			require.Contains(t, s.Text, "Expected and observed")
			switch name {
			case "hopes":
				require.Contains(t, s.Title, "hopes <script>")
				require.Contains(t, s.Text, "deviated")
			case "lose-a-node":
				require.Contains(t, s.Title, ": deviated")
			default:
				require.Contains(t, s.Title, ": met")
			}
			backgrounds[v.name] = s.Background
			keep(t, name, v, s)
		}
		require.NotEqual(t, backgrounds["desktop"], backgrounds["desktop-dark"])
		require.Equal(t, "rgb(255, 255, 255)", backgrounds["print"])
	}
}

// keep writes the pictures that the documents show.
func keep(t *testing.T, drill string, v view, s seen) {
	t.Helper()
	dir := os.Getenv(picturesEnv)
	if dir == "" || drill != "lose-2-of-3-force-new-cluster" || v.name != "desktop" && v.name != "phone-dark" {
		return
	}
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "drill-report-"+v.name+".png"), s.picture, 0o644))
}

// The watch itself is not blind: a page that asks for something outside, and
// one that complains, are seen.
func TestTheWatchSees(t *testing.T) {
	chromium := browser(t)
	asked := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
	}))
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "bad.html")
	require.NoError(t, os.WriteFile(file, []byte(`<!DOCTYPE html><title>bad</title><img src="`+server.URL+`/x.png"><div style="width:2000px">wide</div><script>console.error("no")</script>`), 0o600))
	s := look(t, chromium, file, views()[0])
	require.NotEmpty(t, s.complaints)
	require.NotEmpty(t, s.requests)
	require.Greater(t, s.Width, 1280.0)
	<-asked
}

// junitFiles holds that junit.xml says to a reader that is not ours what
// report.html says.
func junitFiles(t *testing.T, dir string) {
	suites, err := junit.IngestFile(filepath.Join(dir, "members", "hopes", "junit.xml"))
	require.NoError(t, err)
	require.Len(t, suites, 1)
	require.Equal(t, "hopes", suites[0].Name)
	require.Equal(t, len(suites[0].Tests), suites[0].Totals.Tests)
	require.GreaterOrEqual(t, suites[0].Totals.Failed, 4, "a check, and three seeds")
	for _, test := range suites[0].Tests {
		require.NotEmpty(t, test.Name)
		require.Equal(t, "lifeboat.drill.virtual.hopes", test.Classname)
		if test.Status == junit.StatusFailed {
			require.Error(t, test.Error)
			require.NotEmpty(t, test.Message)
		}
	}
	suites, err = junit.IngestFile(filepath.Join(dir, "members", "isolate-leader", "junit.xml"))
	require.NoError(t, err)
	require.Equal(t, suites[0].Totals.Tests, suites[0].Totals.Passed)
	require.Positive(t, suites[0].Totals.Passed)
	require.Positive(t, suites[0].Totals.Duration)
}
