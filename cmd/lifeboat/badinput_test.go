package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

// backup is harbour's archive, taken apart.
type backup struct {
	archive  []byte // the .tar.gz
	tar      []byte
	snapshot []byte // with its trailer
	files    []entry
}

type entry struct {
	name string
	data []byte
	kind byte
	link string
}

func readBackup(t testing.TB) *backup {
	t.Helper()
	b := &backup{}
	var err error
	b.archive, err = os.ReadFile("../../testdata/harbour/kube-backup.tar.gz")
	require.NoError(t, err)
	unzipped, err := gzip.NewReader(bytes.NewReader(b.archive))
	require.NoError(t, err)
	b.tar, err = io.ReadAll(unzipped)
	require.NoError(t, err)
	for r := tar.NewReader(bytes.NewReader(b.tar)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return b
		}
		require.NoError(t, err)
		data, err := io.ReadAll(r)
		require.NoError(t, err)
		if h.Name == "./etcd-backup.snapshot" {
			b.snapshot = data
			continue
		}
		b.files = append(b.files, entry{name: h.Name, data: data, kind: h.Typeflag})
	}
}

// without leaves out the files whose name contains part.
func (b *backup) without(part string) []entry {
	var kept []entry
	for _, f := range b.files {
		if !strings.Contains(f.name, part) {
			kept = append(kept, f)
		}
	}
	return kept
}

func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		if e.kind == 0 {
			e.kind = tar.TypeReg
		}
		require.NoError(t, w.WriteHeader(&tar.Header{Name: e.name, Typeflag: e.kind, Linkname: e.link, Size: int64(len(e.data)), Mode: 0o600}))
		_, err := w.Write(e.data)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return buf.Bytes()
}

func gzipOf(t testing.TB, data []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_, err := w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return buf.Bytes()
}

func ageOf(t testing.TB, data []byte, recipients ...age.Recipient) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := age.Encrypt(&buf, recipients...)
	require.NoError(t, err)
	_, err = w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return buf.Bytes()
}

// flipped is data with one bit changed.
func flipped(data []byte, at int) []byte {
	c := bytes.Clone(data)
	c[at] ^= 0x10
	return c
}

// result is what a run of the program left to see.
type result struct {
	code           console.ExitCode
	stdout, stderr string
}

// lifeboat runs the program in this process.
func lifeboat(args ...string) result {
	var stdout, stderr bytes.Buffer
	code := run(context.Background(), append([]string{"lifeboat"}, args...), strings.NewReader(""), &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// badInput is a source that extract has to meet with code and words, writing
// nothing unless done says that it is still done.
type badInput struct {
	data  []byte
	args  []string
	code  console.ExitCode
	words string // in stderr
	done  bool   // the target is written all the same
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	b := readBackup(t)
	snapshot := entry{name: "./etcd-backup.snapshot", data: b.snapshot}
	withFiles := append([]entry{snapshot}, b.files...)
	mine, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	other, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	keys := t.TempDir()
	mineFile, otherFile := filepath.Join(keys, "mine"), filepath.Join(keys, "other")
	require.NoError(t, os.WriteFile(mineFile, []byte(mine.String()+"\n"), 0o600))
	require.NoError(t, os.WriteFile(otherFile, []byte(other.String()+"\n"), 0o600))
	locked := ageOf(t, b.archive, mine.Recipient())
	open := []string{"-i", mineFile}
	db := b.snapshot[:len(b.snapshot)-sha256.Size]
	page := func(n int) int { return n * os.Getpagesize() }

	cases := map[string]badInput{
		"empty file":                  {data: nil, code: console.ExitDamaged, words: "empty"},
		"not an archive":              {data: []byte("\x00\x01\x02 nothing that anyone knows"), code: console.ExitDamaged, words: "no known format"},
		"help text saved as snapshot": {data: []byte("NAME:\n\tetcdctl - A simple command line client for etcd3.\n\nUSAGE:\n\tetcdctl [flags]\n"), code: console.ExitDamaged, words: "etcdctl's help text"},
		"help text in the archive": {data: gzipOf(t, tarOf(t, entry{name: "./etcd-backup.snapshot", data: []byte("NAME:\n\tetcdctl\n\nUSAGE:\n\tetcdctl snapshot save\n")})),
			code: console.ExitDamaged, words: "etcdctl's help text"},
		"no snapshot":                          {data: gzipOf(t, tarOf(t, b.files...)), code: console.ExitDamaged, words: "no etcd snapshot in the archive"},
		"two snapshots":                        {data: gzipOf(t, tarOf(t, snapshot, entry{name: "./old.db", data: b.snapshot})), code: console.ExitRefused, words: "more than one etcd snapshot"},
		"gzip, cut":                            {data: b.archive[:len(b.archive)-20], code: console.ExitDamaged, words: "gzip layer"},
		"gzip, no CRC":                         {data: b.archive[:len(b.archive)-8], code: console.ExitDamaged, words: "gzip layer"},
		"gzip, CRC":                            {data: flipped(b.archive, len(b.archive)-6), code: console.ExitDamaged, words: "gzip layer"},
		"gzip, middle":                         {data: flipped(b.archive, len(b.archive)/2), code: console.ExitDamaged, words: "offset"},
		"tar, cut":                             {data: b.tar[:len(b.tar)/2], code: console.ExitDamaged, words: "tar layer"},
		"tar, header":                          {data: gzipOf(t, flipped(b.tar, len(b.tar)/512/2*512)), code: console.ExitDamaged, words: ""},
		"tar, no end":                          {data: gzipOf(t, bytes.TrimRight(b.tar, "\x00")), code: console.ExitDamaged, words: "tar layer"},
		"garbage after":                        {data: append(bytes.Clone(b.archive), "garbage"...), code: console.ExitDamaged, words: "gzip"},
		"a second archive after it":            {data: append(bytes.Clone(b.archive), b.archive...), code: console.ExitRefused, words: "offset"},
		"age, no identity":                     {data: locked, code: console.ExitNoKey, words: "X25519"},
		"age, wrong identity":                  {data: locked, args: []string{"-i", otherFile}, code: console.ExitNoKey, words: "X25519"},
		"age, header":                          {data: flipped(locked, bytes.Index(locked, []byte("\n--- "))+10), args: open, code: console.ExitDamaged, words: "age"},
		"age, chunk":                           {data: flipped(locked, len(locked)/2), args: open, code: console.ExitDamaged, words: "age"},
		"age, last chunk gone":                 {data: locked[:len(locked)-5000], args: open, code: console.ExitDamaged, words: "age"},
		"age, cut between chunks":              {data: locked[:200+16+3*(64<<10+16)], args: open, code: console.ExitDamaged, words: "age"},
		"age, trailing byte":                   {data: append(bytes.Clone(locked), 'x'), args: open, code: console.ExitDamaged, words: "age"},
		"trailer, one bit":                     {data: flipped(b.snapshot, len(b.snapshot)-3), code: console.ExitDamaged, words: "sha256 trailer"},
		"meta page with trailer":               {data: flipped(b.snapshot, 80), code: console.ExitDamaged, words: "sha256 trailer"},
		"leaf page with trailer":               {data: flipped(b.snapshot, len(b.snapshot)/2), code: console.ExitDamaged, words: "sha256 trailer"},
		"in the archive, one bit":              {data: gzipOf(t, tarOf(t, entry{name: "snap", data: flipped(b.snapshot, len(b.snapshot)/2)})), code: console.ExitDamaged, words: "sha256 trailer"},
		"database, cut at a page":              {data: db[:page(len(db)/page(1)-9)], code: console.ExitDamaged, words: "page"},
		"database, cut in a page":              {data: db[:page(100)+300], code: console.ExitDamaged, words: ""},
		"database, both metas":                 {data: flipped(flipped(db, 30), page(1)+30), code: console.ExitDamaged, words: ""},
		"no trailer, where required":           {data: db, args: []string{"--require-hash"}, code: console.ExitDamaged, words: "--require-hash"},
		"no trailer, where not":                {data: gzipOf(t, tarOf(t, append([]entry{{name: "db", data: db}}, b.files...)...)), code: console.ExitDone, words: "no sha256 trailer", done: true},
		"kubernetes/ missing":                  {data: gzipOf(t, tarOf(t, snapshot)), code: console.ExitIncomplete, words: "secretbox", done: true},
		"encryption key missing":               {data: gzipOf(t, tarOf(t, append([]entry{snapshot}, b.without("encryption.yaml")...)...)), code: console.ExitIncomplete, words: "not in the backup", done: true},
		"only what is locked":                  {data: gzipOf(t, tarOf(t, snapshot)), args: []string{"secrets", "-n", "d8-system"}, code: console.ExitNoKey, words: "secretbox", done: true},
		"zstd, cut":                            {data: zstdOf(t, b.tar)[:50_000], code: console.ExitDamaged, words: "zstd layer"},
		"gzip bomb":                            {data: gzipOf(t, make([]byte, 64<<20)), args: []string{"--max-size", "1MiB"}, code: console.ExitRefused, words: "offset"},
		"database in age, larger than allowed": {data: ageOf(t, b.snapshot, mine.Recipient()), args: append([]string{"--max-size", "1MiB"}, open...), code: console.ExitRefused, words: "--max-size"},
		"tar bomb":                             {data: gzipOf(t, tarOf(t, entry{name: "kubernetes/zeros", data: make([]byte, 64<<20)})), args: []string{"--max-size", "1MiB"}, code: console.ExitRefused, words: "offset"},
		"dots":                                 {data: gzipOf(t, tarOf(t, snapshot, entry{name: "../../etc/passwd", data: []byte("x")})), code: console.ExitRefused, words: `"../../etc/passwd"`},
		"absolute":                             {data: gzipOf(t, tarOf(t, snapshot, entry{name: "/etc/passwd", data: []byte("x")})), code: console.ExitIncomplete, words: `"/etc/passwd"`, done: true},
		"device":                               {data: gzipOf(t, tarOf(t, snapshot, entry{name: "kubernetes/sda", kind: tar.TypeBlock})), code: console.ExitRefused, words: `"kubernetes/sda"`},
		"same name twice":                      {data: gzipOf(t, tarOf(t, snapshot, entry{name: "kubernetes/a", data: []byte("x")}, entry{name: "kubernetes/a", data: []byte("y")})), code: console.ExitIncomplete, words: `"kubernetes/a"`, done: true},
		"terminal escape in a name":            {data: gzipOf(t, tarOf(t, snapshot, entry{name: "kubernetes/\x1b[2J", data: []byte("x")})), code: console.ExitIncomplete, words: `\x1b[2J`, done: true},
		"link, not followed":                   {data: gzipOf(t, tarOf(t, append(withFiles, entry{name: "kubernetes/shadow", kind: tar.TypeSymlink, link: "/etc/shadow"})...)), code: console.ExitDone, words: `"kubernetes/shadow"`, done: true},
		"unknown namespace":                    {data: b.archive, args: []string{"-n", "infra-prodution"}, code: console.ExitFailed, words: `nearest are "infra-production"`},
		"unknown kind":                         {data: b.archive, args: []string{"deploymnets"}, code: console.ExitFailed, words: "deployments"},
		"revision to come":                     {data: b.archive, args: []string{"--rev", "99999"}, code: console.ExitFailed, words: "future revision"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkBadInput(t, c)
		})
	}
}

func zstdOf(t testing.TB, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	return w.EncodeAll(data, nil)
}

func checkBadInput(t *testing.T, c badInput) {
	dir := t.TempDir()
	src := filepath.Join(dir, "src")
	require.NoError(t, os.WriteFile(src, c.data, 0o400))
	before, err := stateOf(src)
	require.NoError(t, err)
	target := filepath.Join(dir, "out")
	args := append([]string{"extract", src, "--to", target}, c.args...)
	if !strings.Contains(strings.Join(c.args, " "), "-n ") {
		args = append(args, "-n", "infra-production")
	}
	r := lifeboat(args...)
	require.Equal(t, c.code, r.code, r.stderr)
	require.Contains(t, r.stderr, c.words)
	require.NotContains(t, r.stderr, "\x1b", "names from a file do not reach the terminal as they are")
	require.NotContains(t, r.stderr, "panic")
	require.NotContains(t, r.stderr, "already closed")
	after, err := stateOf(src)
	require.NoError(t, err)
	require.Equal(t, before, after, "the source is never changed")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	want := []string{"src"}
	if c.done {
		want = []string{"out", "src"}
	}
	var names []string
	for _, l := range left {
		names = append(names, l.Name())
	}
	require.Equal(t, want, names)
}

// A flipped bit in a database without its trailer may go unseen where the
// pages carry no checksum. What must not happen is a panic, a hang, or a half
// target.
func TestBareDatabaseSurvivesFlippedBits(t *testing.T) {
	t.Parallel()
	b := readBackup(t)
	db := b.snapshot[:len(b.snapshot)-sha256.Size]
	dir := t.TempDir()
	damaged := 0
	const flips = 24
	for i := range flips {
		src := filepath.Join(dir, fmt.Sprintf("src-%d", i))
		at := i*len(db)/flips + i%40
		if i%2 == 0 { // the headers of pages, where the structure is
			at = at/os.Getpagesize()*os.Getpagesize() + 8 + i/2%4
		}
		require.NoError(t, os.WriteFile(src, flipped(db, at), 0o600))
		r := lifeboat("extract", src, "-n", "infra-production", "--to", filepath.Join(dir, fmt.Sprintf("out-%d", i)))
		require.Contains(t, []console.ExitCode{console.ExitDone, console.ExitIncomplete, console.ExitDamaged}, r.code, r.stderr)
		if r.code == console.ExitDamaged {
			damaged++
		}
	}
	require.Greater(t, damaged, 6, "structure errors are found")
	parts, err := filepath.Glob(filepath.Join(dir, "*.part"))
	require.NoError(t, err)
	require.Empty(t, parts)
}

func TestHostileScryptFactorIsNotTried(t *testing.T) {
	t.Parallel()
	r, err := age.NewScryptRecipient("correct horse")
	require.NoError(t, err)
	r.SetWorkFactor(10)
	locked := ageOf(t, readBackup(t).archive, r)
	dir := t.TempDir()
	phrase, src := filepath.Join(dir, "phrase"), filepath.Join(dir, "src")
	require.NoError(t, os.WriteFile(phrase, []byte("correct horse\n"), 0o600))
	require.NoError(t, os.WriteFile(src, locked, 0o600))
	good := lifeboat("get", src, "ns", "--passphrase-file", phrase)
	require.Equal(t, console.ExitDone, good.code, good.stderr)
	require.Contains(t, good.stdout, "infra-production")

	require.NoError(t, os.WriteFile(src, bytes.Replace(locked, []byte(" 10\n"), []byte(" 30\n"), 1), 0o600))
	bad := lifeboat("get", src, "ns", "--passphrase-file", phrase)
	require.Equal(t, console.ExitRefused, bad.code, bad.stderr)
	require.Contains(t, bad.stderr, "30")

	require.NoError(t, os.WriteFile(src, locked, 0o600))
	require.NoError(t, os.WriteFile(phrase, []byte("wrong\n"), 0o600))
	wrong := lifeboat("get", src, "ns", "--passphrase-file", phrase)
	require.Equal(t, console.ExitNoKey, wrong.code, wrong.stderr)
	require.NotContains(t, wrong.stderr, "wrong\n")
}

func TestInterruptLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	code := run(ctx, []string{"lifeboat", "extract", "../../testdata/harbour/kube-backup.tar.gz", "-A", "--to", filepath.Join(dir, "out")},
		strings.NewReader(""), &stdout, &stderr)
	require.Equal(t, console.ExitInterrupted, code, stderr.String())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

// A meta page that both copies agree on, with a page graph that is a circle:
// bbolt's own cursor would follow it until the stack ends.
func TestPageCircleIsDamage(t *testing.T) {
	t.Parallel()
	b := readBackup(t)
	db := bytes.Clone(b.snapshot[:len(b.snapshot)-sha256.Size])
	size := os.Getpagesize()
	circles := 0
	for p := 2; p < len(db)/size; p++ {
		const branch = 0x01
		if binary.LittleEndian.Uint16(db[p*size+8:]) == branch {
			binary.LittleEndian.PutUint64(db[p*size+16+8:], uint64(p)) // its first child is itself
			circles++
		}
	}
	require.Positive(t, circles)
	src := filepath.Join(t.TempDir(), "src")
	require.NoError(t, os.WriteFile(src, db, 0o600))
	r := lifeboat("inspect", src)
	require.Equal(t, console.ExitDamaged, r.code, r.stderr)
	require.Contains(t, r.stderr, "page ")
}
