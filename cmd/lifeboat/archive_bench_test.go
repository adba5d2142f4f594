package main

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/dustin/go-humanize"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/snapshot/snapshottest"
)

// BenchmarkArchive runs archive create, verify, unpack and rekey beside what
// operators have: age, tar and gzip where they are installed, the same in one
// process otherwise, and a copy with fsync. LIFEBOAT_BENCH_KEYS as for
// BenchmarkSideBySide; 370000 keys are 1 GB.
func BenchmarkArchive(b *testing.B) {
	keys := 100_000
	if text := os.Getenv("LIFEBOAT_BENCH_KEYS"); text != "" {
		var err error
		keys, err = strconv.Atoi(text)
		require.NoError(b, err)
	}
	s := newScene(b)
	require.NoError(b, os.Remove(s.snapshot))
	_, err := snapshottest.Generate(s.snapshot, snapshottest.Spec{Keys: keys, Trailer: true})
	require.NoError(b, err)
	ours, stock := filepath.Join(s.dir, "ours.age"), filepath.Join(s.dir, "stock.age")
	out := filepath.Join(s.dir, "out")
	fresh := func(do func() error) func() error {
		return func() error {
			if err := os.RemoveAll(out); err != nil {
				return err
			}
			return do()
		}
	}
	create := func(to string, more ...string) func() error {
		return command(append([]string{"archive", "create", "--snapshot", s.snapshot, "--kubernetes", s.kubernetes, "-r", s.recipient, "--to", to}, more...)...)
	}
	require.NoError(b, create(ours)())
	require.NoError(b, stockCreate(s, stock))
	contenders := []contender{
		{name: "tar -cz | age", rounds: 3, do: fresh(func() error { return stockCreate(s, out) })},
		{name: "archive create --no-verify", rounds: 3, do: fresh(create(out, "--no-verify")), versus: "tar -cz | age"},
		{name: "archive create", rounds: 3, do: fresh(create(out)), versus: "tar -cz | age"},
		{name: "age -d | tar -tz", rounds: 3, do: func() error { return stockList(s, ours) }},
		{name: "archive list", rounds: 3, do: command("archive", "list", ours, "-i", s.identity), versus: "age -d | tar -tz"},
		{name: "archive verify", rounds: 3, do: func() error {
			if r := lifeboat("archive", "verify", ours, "-i", s.identity); r.code != console.ExitIncomplete { // a generated database has no member list
				return fmt.Errorf("exit %d: %s", r.code, r.stderr)
			}
			return nil
		}, versus: "age -d | tar -tz"},
		{name: "archive unpack, one file", rounds: 3, do: fresh(command("archive", "unpack", ours, "-i", s.identity, "kubernetes/pki/ca.crt", "--to", out)), versus: "age -d | tar -tz"},
		{name: "copy and fsync", rounds: 3, do: fresh(func() error { return copySync(ours, out) })},
		{name: "archive rekey", rounds: 3, do: fresh(command("archive", "rekey", ours, "-i", s.identity, "--add", s.recipient, "--to", out)), versus: "copy and fsync"},
	}
	var table strings.Builder
	fmt.Fprintf(&table, "\nsnapshot %s, archive %s, of the stock pipeline %s; %s, GOMAXPROCS %d\n",
		sizeOf(b, s.snapshot), sizeOf(b, ours), sizeOf(b, stock), runtime.Version(), runtime.GOMAXPROCS(0))
	for b.Loop() {
		medians := race(b, contenders)
		for _, c := range contenders {
			ratio := ""
			if c.versus != "" {
				ratio = fmt.Sprintf("%.2f x %s", float64(medians[c.name])/float64(medians[c.versus]), c.versus)
			}
			fmt.Fprintf(&table, "%-32s %10s %10s   %s\n", c.name, medians[c.name].Round(time.Millisecond), humanize.Bytes(peakHeap(b, c.do)), ratio)
		}
	}
	fmt.Println(table.String())
}

func sizeOf(b *testing.B, path string) string {
	info, err := os.Stat(path)
	require.NoError(b, err)
	return humanize.Bytes(uint64(info.Size()))
}

// stock tells that the three programs of the pipelines are there.
func stock() bool {
	for _, program := range []string{"age", "tar", "gzip"} {
		if _, err := exec.LookPath(program); err != nil {
			return false
		}
	}
	return true
}

// stockCreate is `tar -cz SNAPSHOT KUBERNETES | age`, synced.
func stockCreate(s *scene, to string) error {
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	if stock() {
		cmd := exec.Command("sh", "-c", `tar -cz -C "$0" "$1" kubernetes | age -r "$2"`, s.dir, filepath.Base(s.snapshot), s.recipient)
		cmd.Stdout = out
		if err := cmd.Run(); err != nil {
			return err
		}
		return out.Sync()
	}
	recipient, err := age.ParseX25519Recipient(s.recipient)
	if err != nil {
		return err
	}
	sealed, err := age.Encrypt(out, recipient)
	if err != nil {
		return err
	}
	if err := packStd(sealed, s); err != nil {
		return err
	}
	if err := sealed.Close(); err != nil {
		return err
	}
	return out.Sync()
}

// packStd is tar -cz by the standard library.
func packStd(to io.Writer, s *scene) error {
	z := gzip.NewWriter(to)
	w := tar.NewWriter(z)
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := w.AddFS(root.FS()); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return z.Close()
}

// stockList is `age -d | tar -tz`.
func stockList(s *scene, path string) error {
	if stock() {
		return exec.Command("sh", "-c", `age -d -i "$0" "$1" | tar -tz`, s.identity, path).Run()
	}
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	text, err := os.ReadFile(s.identity)
	if err != nil {
		return err
	}
	id, err := age.ParseX25519Identity(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	plain, err := age.Decrypt(in, id)
	if err != nil {
		return err
	}
	z, err := gzip.NewReader(plain)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, z)
	return err
}

func copySync(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Sync()
}
