package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/crypto"
)

// scene is harbour's backup, taken apart into files, with keys beside it.
type scene struct {
	*backup
	dir, snapshot, kubernetes   string
	identity, recipient, signer string
}

func newScene(t testing.TB) *scene {
	t.Helper()
	s := &scene{backup: readBackup(t), dir: t.TempDir()}
	s.snapshot, s.kubernetes = filepath.Join(s.dir, "etcd.snapshot"), filepath.Join(s.dir, "kubernetes")
	require.NoError(t, os.WriteFile(s.snapshot, s.backup.snapshot, 0o600))
	for _, f := range s.files {
		path := filepath.Join(s.dir, filepath.FromSlash(f.name))
		if f.kind == tar.TypeDir {
			require.NoError(t, os.MkdirAll(path, 0o700))
			continue
		}
		require.NoError(t, os.WriteFile(path, f.data, 0o600))
	}
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	s.identity, s.recipient, s.signer = filepath.Join(s.dir, "id"), id.Recipient().String(), filepath.Join(s.dir, "sig")
	require.NoError(t, os.WriteFile(s.identity, []byte(id.String()+"\n"), 0o600))
	private, public, err := crypto.GenerateSigner(nil)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(s.signer, private, 0o600))
	require.NoError(t, os.WriteFile(s.signer+".pub", public, 0o600))
	return s
}

// create makes an archive of the scene and gives its path.
func (s *scene) create(t testing.TB, name string, args ...string) string {
	t.Helper()
	path, r := s.pack(name, args...)
	require.Equal(t, console.ExitDone, r.code, r.stderr)
	return path
}

// pack is create whatever comes of it.
func (s *scene) pack(name string, args ...string) (string, result) {
	path := filepath.Join(s.dir, name)
	return path, lifeboat(append([]string{"archive", "create", "--snapshot", s.snapshot, "--kubernetes", s.kubernetes, "--node", "master-0", "--to", path}, args...)...)
}

// What must not be packed is refused before a file is made.
func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	out := filepath.Join(t.TempDir(), "out")
	file := func(data []byte) string {
		path := filepath.Join(t.TempDir(), "snapshot")
		require.NoError(t, os.WriteFile(path, data, 0o600))
		return path
	}
	for name, c := range map[string]struct {
		args  []string
		code  console.ExitCode
		words string
	}{
		"help text":         {[]string{"--snapshot", file([]byte("NAME:\n\tetcdctl - A simple client\n\nUSAGE:\n\tetcdctl [flags]\n"))}, console.ExitDamaged, "etcdctl's help text"},
		"empty":             {[]string{"--snapshot", file(nil)}, console.ExitDamaged, "empty"},
		"torn":              {[]string{"--snapshot", file(s.backup.snapshot[:len(s.backup.snapshot)/2])}, console.ExitDamaged, ""},
		"one bit":           {[]string{"--snapshot", file(flipped(s.backup.snapshot, 1<<20))}, console.ExitDamaged, "sha256 trailer"},
		"not there":         {[]string{"--snapshot", "/nothing"}, console.ExitFailed, "no such file"},
		"an archive":        {[]string{"--snapshot", harbourArchive}, console.ExitUsage, "is an archive already"},
		"no folder":         {[]string{"--snapshot", s.snapshot, "--kubernetes", "/nothing"}, console.ExitFailed, `"/nothing"`},
		"bad recipient":     {[]string{"--snapshot", s.snapshot, "-r", "age1x"}, console.ExitUsage, "recipient"},
		"signing to stdout": {[]string{"--snapshot", s.snapshot, "--sign", s.signer, "--to", "-"}, console.ExitUsage, "--sign"},
		"bad level":         {[]string{"--snapshot", s.snapshot, "--compress", "zstd", "--level", "9"}, console.ExitUsage, "levels 1 to 4"},
		"bad compression":   {[]string{"--snapshot", s.snapshot, "--compress", "lzma"}, console.ExitUsage, "lzma"},
		"wrong signing key": {[]string{"--snapshot", s.snapshot, "--sign", s.identity}, console.ExitFailed, "not a secret key of minisign"},
	} {
		args := append([]string{"archive", "create"}, c.args...)
		if !strings.Contains(strings.Join(c.args, " "), "--to") {
			args = append(args, "--to", out)
		}
		r := lifeboat(args...)
		require.Equal(t, c.code, r.code, "%s: %s", name, r.stderr)
		require.Contains(t, r.stderr, c.words, name)
		require.Empty(t, r.stdout, name)
		left, err := os.ReadDir(filepath.Dir(out))
		require.NoError(t, err)
		require.Empty(t, left, name)
	}
}

// A snapshot of one cluster and files of another: found out, and named.
func TestMixedUp(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	whole := lifeboat("archive", "verify", s.create(t, "whole.tar.gz"))
	require.Equal(t, console.ExitDone, whole.code, whole.stdout)

	caCert, caKey := foreignCA(t, time.Now().Add(time.Hour))
	expiredCert, expiredKey := foreignCA(t, time.Now().Add(-time.Hour))
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(s.kubernetes, name))
		require.NoError(t, err)
		return data
	}
	for name, c := range map[string]struct {
		change map[string][]byte // files of kubernetes/; nil removes
		words  []string
		code   console.ExitCode
		packed console.ExitCode // of archive create: no server would start without a file that a flag names
	}{
		"the CA of another cluster":  {map[string][]byte{"pki/ca.crt": caCert, "pki/ca.key": caKey}, []string{`cluster CA +MISMATCH`, `"kubernetes/pki/apiserver.crt": is not signed by the CA of that name`}, console.ExitIncomplete, console.ExitDone},
		"a CA that has ended":        {map[string][]byte{"pki/ca.crt": expiredCert, "pki/ca.key": expiredKey}, []string{`this CA ended`}, console.ExitIncomplete, console.ExitDone},
		"a certificate of other key": {map[string][]byte{"pki/apiserver.key": read("pki/apiserver-kubelet-client.key")}, []string{`"kubernetes/pki/apiserver.crt": its private key belongs to another certificate`}, console.ExitIncomplete, console.ExitDone},
		"other encryption keys":      {map[string][]byte{"encryption.yaml": swapKey(t, read("encryption.yaml"))}, []string{`encryption keys +MISMATCH +6 of 6 values locked by secretbox`}, console.ExitIncomplete, console.ExitDone},
		"no encryption keys":         {map[string][]byte{"encryption.yaml": nil}, []string{`encryption keys +MISMATCH`}, console.ExitIncomplete, console.ExitIncomplete},
		"another member":             {map[string][]byte{"manifests/etcd.yaml": bytes.ReplaceAll(read("manifests/etcd.yaml"), []byte("--name=master-0"), []byte("--name=dock-0"))}, []string{`etcd member +MISMATCH +"dock-0" of the manifest is not in the snapshot's member list`}, console.ExitIncomplete, console.ExitDone},
		"another token key":          {map[string][]byte{"pki/sa.key": nil, "pki/sa.pub": publicPEM(t)}, []string{`token key +MISMATCH`}, console.ExitIncomplete, console.ExitIncomplete},
		"no CA":                      {map[string][]byte{"pki/ca.crt": nil}, []string{`there is no kubernetes/pki/ca.crt`}, console.ExitIncomplete, console.ExitIncomplete},
		"an empty kubeconfig":        {map[string][]byte{"scheduler.conf": {}}, []string{`files of flags +MISMATCH .* names "/etc/kubernetes/scheduler.conf" with --kubeconfig, and it is empty in the backup: kube-scheduler would not start`}, console.ExitIncomplete, console.ExitIncomplete},
		"an empty key":               {map[string][]byte{"pki/apiserver.key": {}}, []string{`files of flags +MISMATCH .* and it is empty in the backup: kube-apiserver would not start`}, console.ExitIncomplete, console.ExitIncomplete},
		"an empty manifest":          {map[string][]byte{"manifests/kube-apiserver.yaml": []byte("\n")}, []string{`static Pods +MISMATCH +"kubernetes/manifests/kube-apiserver.yaml" holds no Pod that runs kube-apiserver: it would not start`}, console.ExitIncomplete, console.ExitIncomplete},
		"a kubeconfig that was cut":  {map[string][]byte{"scheduler.conf": bytes.Split(read("scheduler.conf"), []byte("users:"))[0]}, []string{`certificates +MISMATCH +"kubernetes/scheduler.conf": lacks the credentials of its current context`}, console.ExitIncomplete, console.ExitDone},
		"the CA's key kept apart":    {map[string][]byte{"pki/ca.key": {}}, []string{`certificates +note +"kubernetes/pki/ca.crt": there is no private key beside it`}, console.ExitDone, console.ExitDone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mixed := newScene(t)
			for file, data := range c.change {
				path := filepath.Join(mixed.kubernetes, file)
				if data == nil {
					require.NoError(t, os.Remove(path))
					continue
				}
				require.NoError(t, os.WriteFile(path, data, 0o600))
			}
			path, packed := mixed.pack("mixed.tar.gz")
			require.Equal(t, c.packed, packed.code, packed.stderr)
			r := lifeboat("archive", "verify", path)
			require.Equal(t, c.code, r.code, r.stdout)
			for _, words := range c.words {
				require.Regexp(t, words, r.stdout)
			}
			noSecrets(t, mixed, r.stdout+r.stderr)
		})
	}
}

// foreignCA is a CA of the name that kubeadm gives to every cluster's.
func foreignCA(t testing.TB, until time.Time) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kubernetes"}, NotBefore: until.Add(-24 * time.Hour), NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

func publicPEM(t testing.TB) []byte {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// swapKey puts another key of the same length into an EncryptionConfiguration.
func swapKey(t testing.TB, config []byte) []byte {
	t.Helper()
	before, rest, ok := strings.Cut(string(config), "secret: ")
	require.True(t, ok)
	_, after, ok := strings.Cut(rest, "\n")
	require.True(t, ok)
	return []byte(before + "secret: " + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("k"), 32)) + "\n" + after)
}

// noSecrets greps what was printed for the fixture's own key material.
func noSecrets(t testing.TB, s *scene, printed string) {
	t.Helper()
	require.NotContains(t, printed, "AGE-SECRET-KEY")
	for _, f := range s.files {
		if !strings.HasSuffix(f.name, ".key") && !strings.HasSuffix(f.name, "encryption.yaml") {
			continue
		}
		for line := range strings.Lines(string(f.data)) {
			line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "secret:"))
			if len(line) >= 40 && !strings.HasPrefix(line, "-----") {
				require.NotContains(t, printed, line, f.name)
			}
		}
	}
}

// A manifest that does not say what is there, in every way, is damage.
func TestManifestAgainstContent(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	data, err := os.ReadFile(s.create(t, "plain.tar", "--compress", "none"))
	require.NoError(t, err)
	digest := fmt.Sprintf("%x", sha256.Sum256(s.backup.snapshot))
	for name, c := range map[string]struct {
		old, new, words string
		code            console.ExitCode
	}{
		"other content":  {"--name=master-0", "--name=master-X", "has other content than the manifest says", console.ExitDamaged},
		"another file":   {`"name": "kubernetes/pki/ca.crt"`, `"name": "kubernetes/pki/cb.crt"`, "in the archive and not in the manifest", console.ExitDamaged},
		"other snapshot": {digest, strings.Repeat("0", 64), `"etcd-backup.snapshot" has other content than the manifest says`, console.ExitDamaged},
		"etcd's hash":    {`"hash": 2834535985`, `"hash": 2834535986`, "etcd hash", console.ExitDamaged},
		"etcd's rev":     {`"revision": 1485`, `"revision": 1486`, "etcd hash", console.ExitDamaged},
		"newer format":   {`"format": 1,`, `"format": 2,`, "made by a newer version", console.ExitRefused},
		"newer feature":  {`"format": 1,`, `"format": 1,"requires":["x"],`, "made by a newer version", console.ExitRefused},
		"broken":         {`"format": 1,`, `"format": 1;`, "not the JSON of a manifest", console.ExitDamaged},
		"another member": {`"node": "master-0"`, `"node": "master-1"`, "", console.ExitDone}, // no digest covers the manifest: a signature does
	} {
		changed := bytes.Replace(data, []byte(c.old), []byte(c.new), 1)
		require.NotEqual(t, data, changed, name)
		if d := len(changed) - len(data); d > 0 { // the padding gives way
			changed = bytes.TrimRight(changed, "\x00")
			changed = append(changed, make([]byte, len(data)-len(changed))...)
			changed = fixSize(t, changed, c.new, d)
		}
		path := filepath.Join(t.TempDir(), "changed.tar")
		require.NoError(t, os.WriteFile(path, changed, 0o600))
		r := lifeboat("archive", "verify", path)
		require.Equal(t, c.code, r.code, "%s: %s%s", name, r.stdout, r.stderr)
		require.Contains(t, r.stdout+r.stderr, c.words, name)
	}
}

// fixSize makes MANIFEST.json's tar header as long as its content became.
func fixSize(t testing.TB, data []byte, _ string, more int) []byte {
	t.Helper()
	at := bytes.Index(data, []byte("./MANIFEST.json"))
	require.Positive(t, at)
	header := data[at : at+512]
	size, err := strconv.ParseInt(string(header[124:135]), 8, 64)
	require.NoError(t, err)
	copy(header[124:135], []byte("00000000000"))
	text := strconv.FormatInt(size+int64(more), 8)
	copy(header[135-len(text):], text)
	copy(header[148:], "        ")
	sum := 0
	for _, b := range header {
		sum += int(b)
	}
	text = strconv.FormatInt(int64(sum), 8)
	copy(header[148:], "000000\x00 ")
	copy(header[154-len(text):], text)
	return data
}

// The archive family gives bad inputs the exit codes that reading gives them,
// and leaves nothing.
func TestBadArchives(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	sealed, err := os.ReadFile(s.create(t, "a.age", "-r", s.recipient))
	require.NoError(t, err)
	b := s.backup
	for name, c := range map[string]struct {
		data []byte
		code console.ExitCode
	}{
		"empty":             {nil, console.ExitDamaged},
		"text":              {[]byte("hello"), console.ExitDamaged},
		"age v2":            {[]byte("age-encryption.org/v2\n-> X25519 a\nb\n--- c\n"), console.ExitDamaged},
		"age, cut":          {sealed[:len(sealed)-1], console.ExitDamaged},
		"age, header cut":   {sealed[:60], console.ExitDamaged},
		"age, bit":          {flipped(sealed, len(sealed)/2), console.ExitDamaged},
		"age, trailing":     {append(bytes.Clone(sealed), 0), console.ExitDamaged},
		"gzip, cut":         {b.archive[:len(b.archive)-9], console.ExitDamaged},
		"gzip, CRC":         {flipped(b.archive, len(b.archive)-7), console.ExitDamaged},
		"gzip, garbage":     {append(bytes.Clone(b.archive), "garbage"...), console.ExitDamaged},
		"second archive":    {append(bytes.Clone(b.archive), b.archive...), console.ExitRefused},
		"tar, no end":       {b.tar[:len(b.tar)/512*512-20480], console.ExitDamaged},
		"dots":              {gzipOf(t, tarOf(t, entry{name: "../x", data: []byte("x")})), console.ExitRefused},
		"backslash dots":    {gzipOf(t, tarOf(t, entry{name: "a/../../x", data: []byte("x")})), console.ExitRefused},
		"device":            {gzipOf(t, tarOf(t, entry{name: "x", kind: tar.TypeChar})), console.ExitRefused},
		"through a symlink": {gzipOf(t, tarOf(t, entry{name: "a", kind: tar.TypeSymlink, link: "/tmp"}, entry{name: "a/x"})), console.ExitRefused},
	} {
		path := filepath.Join(t.TempDir(), "bad")
		require.NoError(t, os.WriteFile(path, c.data, 0o600))
		for _, args := range [][]string{{"verify"}, {"list"}, {"unpack", "--to", path + ".out"}} {
			r := lifeboat(append([]string{"archive", args[0], path, "-i", s.identity}, args[1:]...)...)
			require.Equal(t, c.code, r.code, "%s %s: %s", name, args[0], r.stderr)
			require.NotContains(t, r.stderr, "\x1b")
			noSecrets(t, s, r.stdout+r.stderr)
		}
		left, err := os.ReadDir(filepath.Dir(path))
		require.NoError(t, err)
		require.Len(t, left, 1, name)
	}
}

// What stands in the place of the part and was not left by a run of ours stays there.
func TestStrangePartStays(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	target := filepath.Join(t.TempDir(), "out")
	part := target + ".part"
	create := func() result {
		return lifeboat("archive", "create", "--snapshot", s.snapshot, "--to", target)
	}
	require.NoError(t, os.WriteFile(part, []byte("a download"), 0o600))
	r := create()
	require.Equal(t, console.ExitRefused, r.code, r.stderr)
	require.Contains(t, r.stderr, "already exists and was not created by lifeboat")
	require.FileExists(t, part)

	require.NoError(t, os.Remove(part))
	leftPart(t, part)
	file, err := os.Open(filepath.Join(part, partMark))
	require.NoError(t, err)
	require.NoError(t, syscall.Flock(int(file.Fd()), syscall.LOCK_EX))
	r = create()
	require.Equal(t, console.ExitRefused, r.code, r.stderr)
	require.Contains(t, r.stderr, "is being written by another run of lifeboat")
	require.NoError(t, file.Close())
	r = create()
	require.Equal(t, console.ExitDone, r.code, r.stderr)
	require.Contains(t, r.stderr, "which a killed run had left")
	require.NoDirExists(t, part)

	theirs := filepath.Join(filepath.Dir(target), "folder.part", "theirs")
	require.NoError(t, os.MkdirAll(theirs, 0o700))
	r = lifeboat("archive", "unpack", target, "--to", filepath.Join(filepath.Dir(target), "folder"))
	require.Equal(t, console.ExitRefused, r.code, r.stderr)
	require.DirExists(t, theirs)
}

// partMark is what tells a folder that a killed run left.
const partMark = ".lifeboat-part"

func leftPart(t testing.TB, part string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(part, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(part, partMark), nil, 0o600))
}

// A file with the name of a part may be the source itself, or somebody's
// download: it is never removed.
func TestPartIsTheSource(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	sealed, err := os.ReadFile(s.create(t, "a.age", "-r", s.recipient))
	require.NoError(t, err)
	for name, c := range map[string]struct {
		data []byte
		args []string // SRC and --to come behind
	}{
		"encrypt": {sealed, []string{"encrypt", "-r", s.recipient}},
		"decrypt": {sealed, []string{"decrypt", "-i", s.identity}},
		"rekey":   {sealed, []string{"rekey", "-i", s.identity, "--add", s.recipient}},
		"rotate":  {sealed, []string{"rekey", "-i", s.identity, "--rotate", "--recipients", recipientFile(t, s)}},
		"create":  {s.backup.snapshot, []string{"create", "--snapshot"}},
	} {
		// Somebody's download, and what a killed run left.
		for _, left := range []bool{false, true} {
			target := filepath.Join(t.TempDir(), "backup")
			part := target + ".part"
			if left {
				leftPart(t, part)
				part = filepath.Join(part, "data")
			}
			require.NoError(t, os.WriteFile(part, c.data, 0o600))
			link := filepath.Join(t.TempDir(), "link")
			require.NoError(t, os.Symlink(part, link))
			for _, src := range []string{part, link} {
				r := lifeboat(append(append([]string{"archive"}, c.args...), src, "--to", target)...)
				require.Equal(t, console.ExitRefused, r.code, "%s: %s", name, r.stderr)
				require.NoFileExists(t, target, name)
				left, err := os.ReadFile(part)
				require.NoError(t, err, name)
				require.True(t, bytes.Equal(c.data, left), name)
			}
		}
	}

	// In the folder that a killed run left.
	target := filepath.Join(t.TempDir(), "folder")
	src := filepath.Join(target+".part", "inner", "backup.tar.gz")
	require.NoError(t, os.MkdirAll(filepath.Dir(src), 0o700))
	leftPart(t, target+".part")
	require.NoError(t, os.WriteFile(src, s.backup.archive, 0o600))
	r := lifeboat("archive", "unpack", src, "--to", target)
	require.Equal(t, console.ExitRefused, r.code, r.stderr)
	require.FileExists(t, src)
	r = lifeboat("archive", "unpack", harbourArchive, "--to", target)
	require.Equal(t, console.ExitDone, r.code, r.stderr)
	require.Contains(t, r.stderr, "which a killed run had left")
}

func recipientFile(t testing.TB, s *scene) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "recipients")
	require.NoError(t, os.WriteFile(path, []byte(s.recipient+"\n"), 0o600))
	return path
}

// Interrupted, the archive commands leave nothing and say 130.
func TestArchiveInterrupted(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	sealed := s.create(t, "a.age", "-r", s.recipient)
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range [][]string{
		{"create", "--snapshot", s.snapshot, "--kubernetes", s.kubernetes, "-r", s.recipient},
		{"unpack", sealed, "-i", s.identity},
		{"encrypt", sealed, "-r", s.recipient},
		{"decrypt", sealed, "-i", s.identity},
		{"rekey", sealed, "-i", s.identity, "--add", s.recipient},
	} {
		var stdout, stderr bytes.Buffer
		args = append(append([]string{"lifeboat", "archive"}, args...), "--to", filepath.Join(dir, "out"))
		require.Equal(t, console.ExitInterrupted, run(ctx, args, strings.NewReader(""), &stdout, &stderr), stderr.String())
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Empty(t, left, "%q", args)
	}
}
