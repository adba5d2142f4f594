package whole

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/internal/mounttest"
)

// scenario is one way of writing a target. Every fault is tried on each.
type scenario struct {
	name     string
	dir      bool     // the target is a folder
	old      bool     // something stands there
	existing Existing // how it is written
	inside   string
	link     bool     // the target is a link
	mount    bool     // the target is a mount point
	without  []string // system calls that the file system does not know
	gap      bool     // without them there is a moment without a target
}

func scenarios() []scenario {
	noExchange := []string{"exchange", "exchange back"}
	noExclusive := append([]string{"rename", "move aside", "put back", "move back"}, noExchange...)
	return []scenario{
		{name: "file"},
		{name: "file with a name all along", without: []string{"create unnamed"}},
		{name: "file aside", old: true, existing: MoveAside},
		{name: "file over", old: true, existing: Overwrite},
		{name: "file aside through a link", old: true, existing: MoveAside, link: true},
		{name: "file aside, no exchange", old: true, existing: MoveAside, without: noExchange},
		{name: "file aside, no exclusive rename", old: true, existing: MoveAside, without: noExclusive},
		{name: "file aside, no links", old: true, existing: MoveAside, gap: true,
			without: append([]string{"link aside", "create unnamed", "move aside by link", "rename by link", "put back by link", "move back by link"}, noExclusive...)},
		{name: "file, no exclusive rename", without: noExclusive},
		{name: "folder", dir: true},
		{name: "folder, no exclusive rename", dir: true, without: noExclusive},
		{name: "folder aside", dir: true, old: true, existing: MoveAside},
		{name: "folder aside through a link", dir: true, old: true, existing: MoveAside, link: true},
		{name: "folder aside, no exchange", dir: true, old: true, existing: MoveAside, without: noExchange, gap: true},
		{name: "folder aside, no exclusive rename", dir: true, old: true, existing: MoveAside, without: noExclusive, gap: true},
		{name: "entry of an empty folder", dir: true, inside: "member"},
		{name: "entry of a mount point", dir: true, inside: "member", mount: true},
		{name: "entry of a mount point aside", dir: true, inside: "member", mount: true, old: true, existing: MoveAside},
	}
}

func scenarioNamed(name string) scenario {
	all := scenarios()
	return all[slices.IndexFunc(all, func(s scenario) bool { return s.name == name })]
}

// refuse is the error of a system call that the file system does not know.
func (s scenario) refuse(call string) error {
	if slices.Contains(s.without, call) {
		return errors.ErrUnsupported
	}
	return nil
}

// bystanders look like something of ours and are not.
func bystanders() map[string]string {
	return map[string]string{
		"target.part.html": "a page", "target.old-notes": "notes", "other.part": "a download", "target.lifeboat.part/x": "somebody's", "yesterday": "an old backup",
	}
}

// prepare makes the folder in which the target is to stand.
func (s scenario) prepare(t testing.TB) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range bystanders() {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	target := filepath.Join(dir, "target")
	if s.mount {
		require.NoError(t, os.Mkdir(target, 0o700))
		mounttest.Tmpfs(t, target, 0, "size=1m")
		require.NoError(t, os.Mkdir(filepath.Join(target, "lost+found"), 0o700))
	}
	require.NoError(t, s.prepareIn(dir))
	return dir
}

// prepareIn makes what stands at the target before.
func (s scenario) prepareIn(dir string) (err error) {
	target := filepath.Join(dir, "target")
	switch {
	case s.link:
		err = errors.Join(os.Mkdir(filepath.Join(dir, "disk"), 0o700), os.Symlink("disk/target", target))
	case s.inside != "" && !s.mount:
		err = os.Mkdir(target, 0o700)
	}
	if err != nil || !s.old {
		return err
	}
	if s.dir {
		return errors.Join(os.Mkdir(s.final(dir), 0o750), fill(s.final(dir), "old"))
	}
	return os.WriteFile(s.final(dir), []byte("old"), 0o640)
}

// final is what comes into being.
func (s scenario) final(dir string) string {
	switch {
	case s.link:
		return filepath.Join(dir, "disk", "target")
	case s.inside != "":
		return filepath.Join(dir, "target", s.inside)
	}
	return filepath.Join(dir, "target")
}

func fill(dir, text string) error {
	return errors.Join(os.Mkdir(filepath.Join(dir, "deep"), 0o700),
		os.WriteFile(filepath.Join(dir, "deep", "text"), []byte(text), 0o600),
		os.WriteFile(filepath.Join(dir, "text"), []byte(text), 0o600))
}

// write writes the target once.
func (s scenario) write(dir, text string, opts Options) (err error) {
	opts.Inside = s.inside
	target := filepath.Join(dir, "target")
	if !s.dir {
		return WriteFile(target, []byte(text), opts)
	}
	d, err := NewDir(target, opts)
	if err != nil {
		return err
	}
	root, err := d.Root()
	if err == nil {
		_ = os.WriteFile(filepath.Join(d.Part, "scratch"), []byte("scratch"), 0o600) // a full disk shows below
		content := d.Data
		if s.inside != "" {
			content = filepath.Join(d.Data, s.inside)
			err = root.Mkdir(s.inside, 0o700)
		}
		err = errors.Join(err, fill(content, text))
	}
	if err != nil {
		return errors.Join(err, d.Discard())
	}
	return d.Commit()
}

// text is what a target says, "" where there is none. Half a target fails.
func (s scenario) text(t testing.TB, path string) string {
	t.Helper()
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	require.NoError(t, err)
	require.Equal(t, s.dir, info.IsDir())
	if !s.dir {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NotEmpty(t, data)
		return string(data)
	}
	names := []string{}
	var texts []string
	require.NoError(t, filepath.WalkDir(path, func(at string, entry fs.DirEntry, err error) error {
		require.NoError(t, err)
		rel, err := filepath.Rel(path, at)
		require.NoError(t, err)
		names = append(names, rel)
		if !entry.IsDir() {
			data, err := os.ReadFile(at)
			require.NoError(t, err)
			texts = append(texts, string(data))
		}
		return nil
	}))
	require.Equal(t, []string{".", "deep", "deep/text", "text"}, names)
	require.Equal(t, texts[0], texts[1])
	return texts[0]
}

// asides are what is kept, by its text.
func (s scenario) asides(t testing.TB, dir string) (texts []string) {
	t.Helper()
	paths, err := filepath.Glob(s.final(dir) + ".old-2*")
	require.NoError(t, err)
	for _, path := range paths {
		texts = append(texts, s.text(t, path))
	}
	slices.Sort(texts)
	return texts
}

// requireNothingElse: all that stands there is the target, what is kept, and what
// was there before.
func (s scenario) requireNothingElse(t testing.TB, dir string) {
	t.Helper()
	for name, text := range bystanders() {
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, text, string(data))
	}
	known := map[string]bool{"target": true, "disk": s.link, "target.lifeboat.part": true, "lost+found": s.mount, s.inside: true}
	for name := range bystanders() {
		known[name] = true
	}
	for _, folder := range []string{dir, filepath.Dir(s.final(dir))} {
		entries, err := os.ReadDir(folder)
		require.NoError(t, err)
		for _, e := range entries {
			require.True(t, known[e.Name()] || strings.HasPrefix(e.Name(), filepath.Base(s.final(dir))+".old-2"), "%q is left", e.Name())
		}
	}
}
