package whole

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// leave makes what a run leaves that is killed while it builds.
func leave(t testing.TB, target string) (part string) {
	t.Helper()
	part = target + ".part"
	require.NoError(t, os.MkdirAll(filepath.Join(part, dataName), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(part, marker), nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(part, dataName, "half"), []byte("hal"), 0o600))
	return part
}

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

// What lifeboat did not create is in the way and stays as it is, whatever its
// name.
func TestForeignIsNotTouched(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(dir, part string) error{
		"a download":        func(_, part string) error { return os.WriteFile(part, []byte("theirs"), 0o600) },
		"a folder":          func(_, part string) error { return os.MkdirAll(filepath.Join(part, "theirs"), 0o700) },
		"a link":            func(_, part string) error { return os.Symlink("nowhere", part) },
		"a link to a build": func(dir, part string) error { return os.Symlink(leave(t, filepath.Join(dir, "x")), part) },
		"a link as marker": func(_, part string) error {
			return errors.Join(os.Mkdir(part, 0o700), os.Symlink("/etc/hostname", filepath.Join(part, marker)))
		},
		"a folder as marker": func(_, part string) error { return os.MkdirAll(filepath.Join(part, marker), 0o700) },
		"a pipe":             func(_, part string) error { return unix.Mkfifo(part, 0o600) },
		"a note without mark": func(_, part string) error {
			return errors.Join(os.Mkdir(part, 0o700), os.WriteFile(filepath.Join(part, noteName), nil, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			target := filepath.Join(dir, "target")
			require.NoError(t, make(dir, target+".part"))
			before := tree(t, dir)
			err := WriteFile(target, []byte("new"), Options{})
			require.ErrorIs(t, err, ErrForeign)
			require.ErrorIs(t, err, fs.ErrExist)
			require.ErrorContains(t, err, `target.part" already exists and was not created by lifeboat`)
			require.Equal(t, before, tree(t, dir))
		})
	}
}

func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		require.NoError(t, err)
		found[path] = entry.Type().String()
		if entry.Type().IsRegular() {
			found[path] += read(t, path)
		}
		return nil
	}))
	return found
}

// A note that was made up does not lead out of the folder.
func TestHostileNote(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{`, `{"built":"../../yesterday","aside":"target.old-20010909T014640Z","new":1,"old":2}`, `{"built":"data","aside":"../target.old-20010909T014640Z"}`,
		`{"built":"data","aside":"yesterday"}`, `{"built":"/etc/passwd","aside":"target.old-20010909T014640Z"}`, ``,
	} {
		dir := t.TempDir()
		target := filepath.Join(dir, "target")
		require.NoError(t, os.WriteFile(filepath.Join(dir, "yesterday"), []byte("an old backup"), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(leave(t, target), noteName), []byte(text), 0o600))
		before := tree(t, dir)
		err := WriteFile(target, []byte("new"), Options{})
		require.ErrorContains(t, err, "reading what", text)
		require.Equal(t, before, tree(t, dir), text)
	}
}

// A run that lives is left alone; one that is gone is not.
func TestInUse(t *testing.T) {
	t.Parallel()
	target := filepath.Join(t.TempDir(), "target")
	living, err := NewDir(target, Options{})
	require.NoError(t, err)
	root, err := living.Root()
	require.NoError(t, err)
	require.NoError(t, root.WriteFile("text", []byte("mine"), 0o600))
	err = WriteFile(target, []byte("new"), Options{})
	require.ErrorIs(t, err, ErrInUse)
	require.ErrorContains(t, err, `target.part" is being written by another run of lifeboat`)
	require.NoError(t, living.Commit())
	require.Equal(t, "mine", read(t, filepath.Join(target, "text")))
	require.ErrorIs(t, WriteFile(target, []byte("new"), Options{}), ErrExists)
}

// A marker that somebody removed, or put another one in the place of, while its
// lock was waited for is not the folder's.
func TestLockOfAMarkerThatIsGone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), marker)
	create := func() *os.File {
		file, err := os.Create(path)
		require.NoError(t, err)
		t.Cleanup(func() { _ = file.Close() })
		return file
	}
	old := create()
	require.NoError(t, lock(old))
	require.NoError(t, os.Remove(path))
	require.ErrorIs(t, lock(old), ErrInUse)
	next := create()
	require.ErrorIs(t, lock(old), ErrInUse)
	require.NoError(t, lock(next))
}

// What is to be read is no leftover, however it is named.
func TestSourceIsNotRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	part := leave(t, target)
	require.NoError(t, os.Symlink(part, filepath.Join(dir, "link")))
	before := tree(t, dir)
	for _, source := range []string{part, filepath.Join(part, dataName, "half"), filepath.Join(dir, "link", dataName), filepath.Join(part, "..", "target.part")} {
		err := WriteFile(target, nil, Options{Sources: []string{"", "-", source}})
		require.ErrorIs(t, err, ErrSource, source)
		require.Equal(t, before, tree(t, dir))
	}
	require.NoError(t, WriteFile(target, nil, Options{Sources: []string{"", "-", dir, filepath.Join(dir, "absent")}}))
	require.NoDirExists(t, part)
}

// Two that replace in one second, and a killed run's of the same one.
func TestSameSecond(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	opts := Options{Existing: MoveAside, Now: time.Unix(1e9, 0)}
	require.NoError(t, os.Mkdir(target+".old-20010909T014640Z", 0o700)) // a folder: rename(2) would replace an empty one
	for _, text := range []string{"a", "b", "c"} {
		require.NoError(t, WriteFile(target, []byte(text), opts))
	}
	require.DirExists(t, target+".old-20010909T014640Z")
	require.Equal(t, "a", read(t, target+".old-20010909T014640Z-2"))
	require.Equal(t, "b", read(t, target+".old-20010909T014640Z-3"))

	// The name is taken between the plan and the rename.
	f, err := NewFile(target, opts)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(f.Aside, []byte("somebody's"), 0o600))
	_, err = f.WriteString("d")
	require.NoError(t, err)
	require.NoError(t, f.Commit())
	require.Equal(t, target+".old-20010909T014640Z-5", f.Aside)
	require.Equal(t, "c", read(t, f.Aside))
	require.Equal(t, "somebody's", read(t, target+".old-20010909T014640Z-4"))
}

// What came into being meanwhile is not replaced.
func TestNewNameIsTaken(t *testing.T) {
	t.Parallel()
	for _, without := range [][]string{nil, {"rename"}} {
		for _, dir := range []bool{false, true} {
			target := filepath.Join(t.TempDir(), "target")
			s := scenario{dir: dir, without: without}
			err := s.write(filepath.Dir(target), "new", Options{before: func(call string) error {
				if call == "rename" {
					require.NoError(t, os.WriteFile(target, []byte("somebody's"), 0o600))
				}
				return s.refuse(call)
			}})
			require.ErrorIs(t, err, ErrExists)
			require.Equal(t, "somebody's", read(t, target))
			require.NoDirExists(t, target+".part")
		}
	}
}

// A link is followed where what it leads to is replaced, and is in the way where
// nothing is.
func TestLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"var", "mnt/data"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, name), 0o700))
	}
	link, real := filepath.Join(dir, "var", "etcd"), filepath.Join(dir, "mnt", "data", "etcd")
	require.NoError(t, os.Symlink("hop", link))
	require.NoError(t, os.Symlink("../mnt/data/etcd", filepath.Join(dir, "var", "hop")))
	require.ErrorIs(t, WriteFile(link, nil, Options{}), ErrExists)

	member := Options{Inside: "member"}
	p, err := PlanDir(link, member)
	require.NoError(t, err)
	require.Equal(t, []string{real, real + ".part"}, []string{p.Final, p.Part}, "nothing stands there yet")
	require.NoError(t, os.Mkdir(real, 0o700))
	p, err = PlanDir(link, member)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(real, "member"), p.Final, "an empty folder")
	require.NoError(t, os.Mkdir(filepath.Join(real, "member"), 0o700))
	_, err = PlanDir(link, member)
	require.ErrorIs(t, err, fs.ErrExist)
	require.ErrorContains(t, err, `mnt/data/etcd" already holds "member"`)
	member.Existing = MoveAside
	d, err := NewDir(link, member)
	require.NoError(t, err)
	_, err = d.Root()
	require.NoError(t, err)
	require.NoError(t, d.Commit())
	require.Equal(t, real, d.Final)
	require.Equal(t, filepath.Dir(real), filepath.Dir(d.Aside))
	require.DirExists(t, filepath.Join(d.Aside, "member"))

	require.NoError(t, os.Symlink("b", filepath.Join(dir, "a")))
	require.NoError(t, os.Symlink("a", filepath.Join(dir, "b")))
	_, err = PlanDir(filepath.Join(dir, "a"), member)
	require.Error(t, err)
	require.NoError(t, os.Symlink("no/such/folder", filepath.Join(dir, "c")))
	_, err = PlanDir(filepath.Join(dir, "c"), member)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// What is replaced gives its owner and its mode to the new one; nobody else may
// read one that is new.
func TestOwnerAndMode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	owner := func(path string) [2]uint32 {
		info, err := os.Lstat(path)
		require.NoError(t, err)
		stat := info.Sys().(*syscall.Stat_t)
		return [2]uint32{stat.Uid, stat.Gid}
	}
	for _, s := range []scenario{{name: "file"}, {name: "folder", dir: true}, {name: "folder", dir: true, inside: "member"}} {
		target := filepath.Join(dir, "target")
		require.NoError(t, s.write(dir, "new", Options{}))
		info, err := os.Stat(target)
		require.NoError(t, err)
		require.Zero(t, info.Mode().Perm()&0o077, s.name)
		require.NoError(t, os.Chmod(target, 0o751))
		if os.Getuid() == 0 {
			require.NoError(t, os.Lchown(target, 12345, 54321))
		}
		want := owner(target)
		require.NoError(t, s.write(dir, "newer", Options{Existing: MoveAside}))
		info, err = os.Stat(target)
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o751), info.Mode().Perm(), s.name)
		require.NoError(t, filepath.WalkDir(target, func(path string, _ fs.DirEntry, err error) error {
			require.NoError(t, err)
			require.Equal(t, want, owner(path), path)
			return nil
		}))
		if os.Getuid() == 0 {
			require.NoError(t, s.write(dir, "newest", Options{Existing: MoveAside, Owner: &Owner{UID: 7, GID: -1}}))
			require.Equal(t, [2]uint32{7, 54321}, owner(target), s.name)
		}
		require.NoError(t, os.RemoveAll(target))
	}
}

// Nothing that is not a file is replaced by one, and no file by a folder.
func TestOtherKindsAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, folder, pipe := filepath.Join(dir, "file"), filepath.Join(dir, "folder"), filepath.Join(dir, "pipe")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, os.Mkdir(folder, 0o700))
	require.NoError(t, unix.Mkfifo(pipe, 0o600))
	for _, target := range []string{folder, pipe, "/", os.DevNull} {
		require.ErrorIs(t, WriteFile(target, nil, Options{Existing: MoveAside}), fs.ErrExist, target)
		require.ErrorIs(t, WriteFile(target, nil, Options{Existing: Overwrite}), fs.ErrExist, target)
	}
	for _, target := range []string{file, pipe, "/", os.DevNull} {
		_, err := NewDir(target, Options{Existing: MoveAside})
		require.ErrorIs(t, err, fs.ErrExist, target)
	}
	_, err := NewDir(folder, Options{Existing: Overwrite})
	require.ErrorContains(t, err, "a folder is not overwritten")
	require.ErrorIs(t, WriteFile(filepath.Join(dir, "no", "such"), nil, Options{}), fs.ErrNotExist)
}

// What is read into a file stands behind what was written before, whole, and an
// error of its source is handed on.
func TestReadFrom(t *testing.T) {
	t.Parallel()
	target := filepath.Join(t.TempDir(), "target")
	file, err := NewFile(target, Options{})
	require.NoError(t, err)
	_, err = file.WriteString("before, ")
	require.NoError(t, err)
	content := bytes.Repeat([]byte("0123456789abcde\n"), 20<<20/16)
	n, err := file.ReadFrom(bytes.NewReader(content))
	require.NoError(t, err)
	require.EqualValues(t, len(content), n)
	n, err = file.ReadFrom(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("ab"))))
	require.ErrorIs(t, err, iotest.ErrTimeout)
	require.EqualValues(t, 1, n)
	require.NoError(t, file.Commit())
	got, err := os.ReadFile(target)
	require.NoError(t, err)
	require.True(t, bytes.Equal(append(append([]byte("before, "), content...), 'a'), got))
}
