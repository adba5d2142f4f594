package archive_test

import (
	"archive/tar"
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/archive"
)

func unpack(t *testing.T, data []byte, opts archive.UnpackOptions) (string, *archive.Unpacked, error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "out")
	require.NoError(t, os.Mkdir(dir, 0o700))
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	r, err := archive.NewReader(bytes.NewReader(data), archive.Limits{})
	if err != nil {
		return dir, nil, err
	}
	done, err := archive.Unpack(t.Context(), r, root, opts)
	return dir, done, err
}

func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		name, err := filepath.Rel(dir, path)
		require.NoError(t, err)
		found[name] = info.Mode().String()
		return nil
	}))
	return found
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	data := pack(t, sample(), archive.Compression{})
	dir, done, err := unpack(t, data, archive.UnpackOptions{})
	require.NoError(t, err)
	require.Equal(t, 4, done.Files)
	require.Len(t, done.Left, 1, "the link")
	require.Equal(t, map[string]string{
		".": "drwx------", "RECOVERY.txt": "-rw-------", "MANIFEST.json": "-rw-------", "etcd-backup.snapshot": "-rw-------",
		"kubernetes": "drwx------", "kubernetes/pki": "drwx------", "kubernetes/pki/ca.key": "-rw-------",
	}, tree(t, dir))
	info, err := os.Stat(filepath.Join(dir, "kubernetes", "pki"))
	require.NoError(t, err)
	require.Equal(t, written.Unix(), info.ModTime().Unix(), "folders keep their time")

	// With every entry watched, all of each still arrives.
	var inventory archive.Inventory
	watched, _, err := unpack(t, data, archive.UnpackOptions{Watch: inventory.Watch})
	require.NoError(t, err)
	for name := range tree(t, dir) {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.IsDir() {
			continue
		}
		want, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join(watched, name))
		require.NoError(t, err)
		require.NotEmpty(t, want, name)
		require.True(t, bytes.Equal(want, got), name)
	}
	require.Empty(t, inventory.Check([]archive.Link{{Name: "kubernetes/current", Target: "pki/ca.key"}}))

	dir, done, err = unpack(t, data, archive.UnpackOptions{Paths: []string{"kubernetes/", "nothing"}, Links: true})
	require.NoError(t, err)
	require.Equal(t, []string{"nothing"}, done.Missing)
	require.Equal(t, 1, done.Links)
	content, err := os.ReadFile(filepath.Join(dir, "kubernetes", "current"))
	require.NoError(t, err)
	require.Equal(t, "a key\n", string(content))
	require.NoFileExists(t, filepath.Join(dir, "etcd-backup.snapshot"))
}

// Whatever an archive says, nothing appears outside of the target, and nothing
// in it may be more than a file, a folder or a link that stays inside.
func TestUnpackHostile(t *testing.T) {
	t.Parallel()
	for name, items := range map[string][]item{
		"dots":                {{name: "../x", content: "x"}},
		"dots inside":         {{name: "a/../../x", content: "x"}},
		"kubernetes dots":     {{name: "./kubernetes/../../x", content: "x"}},
		"through a link":      {{name: "a", flag: tar.TypeSymlink, link: "/tmp"}, {name: "a/x", content: "x"}},
		"link for a folder":   {{name: "a/", flag: tar.TypeDir}, {name: "a", flag: tar.TypeSymlink, link: "/tmp"}},
		"hard link out":       {{name: "a", flag: tar.TypeLink, link: "../etc/shadow"}},
		"device":              {{name: "a", flag: tar.TypeBlock}},
		"pipe":                {{name: "a", flag: tar.TypeFifo}},
		"unknown":             {{name: "a", flag: 'Z'}},
		"a file, then a link": {{name: "a", content: "x"}, {name: "a", flag: tar.TypeSymlink, link: "/tmp"}},
		"file for a folder":   {{name: "a", content: "x"}, {name: "a/b", content: "y"}},
		"a thousand folders":  {{name: string(bytes.Repeat([]byte("a/"), 40)) + "x", content: "x"}},
	} {
		dir, _, err := unpack(t, closed(tarOf(items...)), archive.UnpackOptions{Links: true})
		require.ErrorIs(t, err, archive.ErrPolicy, name)
		entries, err := os.ReadDir(filepath.Dir(dir))
		require.NoError(t, err)
		require.Len(t, entries, 1, name)
	}
}

// Links are made last, and those that leave the folder by any road are not.
func TestUnpackLinks(t *testing.T) {
	t.Parallel()
	data := closed(tarOf(
		item{name: "p/q/", flag: tar.TypeDir},
		item{name: "p/q/up", flag: tar.TypeSymlink, link: ".."},
		item{name: "out1", flag: tar.TypeSymlink, link: "p/q/up/../.."},
		item{name: "out2", flag: tar.TypeSymlink, link: ".."},
		item{name: "out3", flag: tar.TypeSymlink, link: "/etc/shadow"},
		item{name: "p/q/out4", flag: tar.TypeSymlink, link: "../../../x"},
		item{name: "p/q/out5", flag: tar.TypeSymlink, link: "up/../.."}, // by name alone it would stay inside
		item{name: "p/root", flag: tar.TypeSymlink, link: "../itself"},  // as far up as it goes
		item{name: "itself", flag: tar.TypeSymlink, link: "itself"},
		item{name: "dangling", flag: tar.TypeSymlink, link: "p/nothing"},
		item{name: "hard", flag: tar.TypeLink, link: "p/q"},
	))
	dir, done, err := unpack(t, data, archive.UnpackOptions{Links: true})
	require.NoError(t, err)
	require.Equal(t, 4, done.Links)
	var left []string
	for _, fact := range done.Left {
		left = append(left, fact.Entry)
	}
	require.Equal(t, []string{"out1", "out2", "out3", "p/q/out4", "p/q/out5", "hard"}, left)
	target, err := os.Readlink(filepath.Join(dir, "p", "q", "up"))
	require.NoError(t, err)
	require.Equal(t, "..", target)
}

// Whoever watches has to hand on all of an entry: half a file is not a file.
func TestUnpackWatchedShort(t *testing.T) {
	t.Parallel()
	data := pack(t, sample(), archive.Compression{})
	_, _, err := unpack(t, data, archive.UnpackOptions{Watch: func(_ *archive.Entry, r io.Reader) (io.Reader, error) {
		return io.LimitReader(r, 1), nil
	}})
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, _, err = unpack(t, data, archive.UnpackOptions{Watch: func(e *archive.Entry, r io.Reader) (io.Reader, error) {
		if e.Name == "etcd-backup.snapshot" {
			return nil, fs.ErrPermission
		}
		return r, nil
	}})
	require.ErrorIs(t, err, fs.ErrPermission)
}

// What stands in the folder is not written over.
func TestUnpackKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	there := filepath.Join(dir, "RECOVERY.txt")
	require.NoError(t, os.WriteFile(there, []byte("another one"), 0o600))
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	r, err := archive.NewReader(bytes.NewReader(pack(t, sample(), archive.Compression{})), archive.Limits{})
	require.NoError(t, err)
	_, err = archive.Unpack(t.Context(), r, root, archive.UnpackOptions{})
	require.ErrorIs(t, err, fs.ErrExist)
	content, err := os.ReadFile(there)
	require.NoError(t, err)
	require.Equal(t, "another one", string(content))
}

// A path stands for what is below it, and not for a neighbour whose name begins
// alike; one that is nothing but a link that was not made is told from one that
// is not there.
func TestUnpackPaths(t *testing.T) {
	t.Parallel()
	data := closed(tarOf(
		item{name: "a/pki/ca.crt", content: "x"}, item{name: "a/pki-old/ca.crt", content: "y"},
		item{name: "a/latest", flag: tar.TypeSymlink, link: "/elsewhere"},
	))
	dir, done, err := unpack(t, data, archive.UnpackOptions{Paths: []string{"a/pki", "a/latest", "a/nothing"}, Links: true})
	require.NoError(t, err)
	require.Equal(t, 1, done.Files)
	require.FileExists(t, filepath.Join(dir, "a", "pki", "ca.crt"))
	require.NoDirExists(t, filepath.Join(dir, "a", "pki-old"))
	require.Equal(t, []string{"a/latest"}, done.Linked)
	require.Equal(t, []string{"a/nothing"}, done.Missing)
}

// Modes and owners are the archive's only when asked for, and never setuid.
func TestUnpackModes(t *testing.T) {
	t.Parallel()
	raw := rawEntry(item{name: "run", content: "x"})
	copy(raw[100:], "0004777\x00")
	fixSum(raw)
	dir, _, err := unpack(t, closed(raw), archive.UnpackOptions{})
	require.NoError(t, err)
	require.Equal(t, "-rwx------", tree(t, dir)["run"])
	if os.Getuid() != 0 {
		return
	}
	dir, _, err = unpack(t, closed(raw), archive.UnpackOptions{Owners: true})
	require.NoError(t, err)
	require.Equal(t, "-rwxrwxrwx", tree(t, dir)["run"])
}

// fixSum makes a header's checksum right again.
func fixSum(b []byte) {
	copy(b[148:], "        ")
	sum := 0
	for _, c := range b[:512] {
		sum += int(c)
	}
	copy(b[148:], []byte{byte('0' + sum>>15&7), byte('0' + sum>>12&7), byte('0' + sum>>9&7), byte('0' + sum>>6&7), byte('0' + sum>>3&7), byte('0' + sum&7), 0, ' '})
}

func TestCollect(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "pki"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "pki", "ca.key"), []byte("a key\n"), 0o600))
	owner := [2]int{os.Getuid(), os.Getgid()}
	if owner[0] == 0 {
		owner = [2]int{1234, 5678}
		require.NoError(t, os.Chown(filepath.Join(dir, "pki", "ca.key"), owner[0], owner[1]))
	}
	require.NoError(t, os.Symlink("pki/ca.key", filepath.Join(dir, "inside")))
	require.NoError(t, os.Symlink("/var/lib/kubelet/pki/current.pem", filepath.Join(dir, "outside")))
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	items, skipped, err := archive.Collect(t.Context(), root, "kubernetes", archive.Limits{})
	require.NoError(t, err)
	var names []string
	for _, i := range items {
		names = append(names, i.Name)
	}
	require.Equal(t, []string{"kubernetes", "kubernetes/inside", "kubernetes/outside", "kubernetes/pki", "kubernetes/pki/ca.key"}, names)
	require.Equal(t, owner, [2]int{items[4].UID, items[4].GID})
	require.Len(t, skipped, 1)
	require.Contains(t, skipped[0].Reason, "/var/lib/kubelet/pki/current.pem")

	data := pack(t, items, archive.Compression{})
	_, wrong := check(t, data)
	require.Empty(t, wrong)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "pki", "ca.key"), []byte("b key\n"), 0o600))
	_, err = archive.Write(t.Context(), &bytes.Buffer{}, items, archive.WriteOptions{})
	require.ErrorIs(t, err, archive.ErrChanged, "between the passes")
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pki", "pipe"), 0o600))
	_, skipped, err = archive.Collect(t.Context(), root, "kubernetes", archive.Limits{})
	require.NoError(t, err)
	require.Contains(t, skipped, archive.Skipped{Name: "kubernetes/pki/pipe", Code: archive.SpecialFile, Reason: "is neither a file nor a folder nor a link"})
}

// One file with a name that cannot be shown keeps nothing else out of a backup.
func TestCollectNamesThatCannotBeShown(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"good", "line\nfeed", "zero\u200bwidth", "not\xffutf8"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "folder\n", "below"), 0o700))
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	items, skipped, err := archive.Collect(t.Context(), root, "kubernetes", archive.Limits{})
	require.NoError(t, err)
	require.Len(t, items, 2)
	require.Equal(t, "kubernetes/good", items[1].Name)
	require.Len(t, skipped, 4)
	for _, s := range skipped {
		require.Equal(t, archive.UnfitName, s.Code)
	}
}
