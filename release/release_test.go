package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The version of a package begins with a number, and grows.
func TestPackageVersion(t *testing.T) {
	at := time.Date(2026, 11, 28, 20, 0, 0, 0, time.UTC)
	for version, want := range map[string]string{
		"v1.2.3":          "1.2.3",
		"v1.2.3-4-gabcde": "1.2.3+4+gabcde",
		"abcdef0":         "0.0.20261128200000+abcdef0",
		"abcdef0-dirty":   "0.0.20261128200000+abcdef0.dirty",
	} {
		if got := (&release{version: version, time: at}).packageVersion(); got != want {
			t.Errorf("%s is %s, and should be %s", version, got, want)
		}
	}
}

func TestInstalled(t *testing.T) {
	for name, want := range map[string]string{
		"lifeboat":               "/usr/bin/lifeboat",
		"man/lifeboat-get.1.gz":  "/usr/share/man/man1/lifeboat-get.1.gz",
		"man/lifeboat-time.7.gz": "/usr/share/man/man7/lifeboat-time.7.gz",
		"completion/zsh":         "/usr/share/zsh/site-functions/_lifeboat",
		"docs/time.md":           "/usr/share/doc/lifeboat/docs/time.md",
		"LICENSE":                "/usr/share/doc/lifeboat/LICENSE",
	} {
		if got := installed(name); got != want {
			t.Errorf("%s is installed as %s, and should be %s", name, got, want)
		}
	}
}

// Two copies of a commit on two paths give the same bytes, and what they give
// can be installed, runs and has a manual. It builds six programs: make soak.
func TestSameBytesTwice(t *testing.T) {
	if os.Getenv("LIFEBOAT_RELEASE") == "" {
		t.Skip("LIFEBOAT_RELEASE is not set: make release-check sets it")
	}
	first, second := released(t, "a"), released(t, "a/longer/path")
	for name, data := range first {
		if !bytes.Equal(data, second[name]) {
			t.Errorf("%s differs between two paths", name)
		}
	}
	if len(first) != 7 || len(second) != 7 {
		t.Fatalf("released %d and %d files, and should be archive and bill, the same of kubectl, deb, rpm and sums", len(first), len(second))
	}
	for name, data := range first {
		if strings.HasSuffix(name, ".deb") {
			install(t, data)
		}
	}
}

// released is what one copy of the repository gives, by file name.
func released(t *testing.T, path string) map[string][]byte {
	t.Helper()
	dir := filepath.Join(t.TempDir(), path)
	must(t, exec.Command("git", "clone", "-q", "..", dir))
	program := filepath.Join(t.TempDir(), "release")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = filepath.Join(dir, "release")
	must(t, build)
	run := exec.Command(program, "-to", "dist", "-only", "linux/amd64")
	run.Dir = dir
	must(t, run)
	out := map[string][]byte{}
	entries, err := os.ReadDir(filepath.Join(dir, "dist"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, "dist", e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = data
	}
	return out
}

func install(t *testing.T, deb []byte) {
	t.Helper()
	if _, err := exec.LookPath("dpkg"); err != nil || os.Geteuid() != 0 {
		t.Log("not installed: that needs dpkg and root")
		return
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "lifeboat.deb")
	if err := os.WriteFile(path, deb, 0o600); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(dir, "root")
	for _, d := range []string{"info", "updates", "triggers"} {
		if err := os.MkdirAll(filepath.Join(root, "var/lib/dpkg", d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "var/lib/dpkg/status"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, exec.Command("dpkg", "--root="+root, "--log=/dev/null", "-i", path))
	must(t, exec.Command(filepath.Join(root, "usr/bin/lifeboat"), "version"))
	if _, err := exec.LookPath("man"); err == nil {
		page := must(t, exec.Command("man", "-l", filepath.Join(root, "usr/share/man/man1/lifeboat-extract.1.gz")))
		if !strings.Contains(page, "kubectl create") {
			t.Errorf("the manual of extract is %q", page)
		}
	}
}

func must(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return string(out)
}
