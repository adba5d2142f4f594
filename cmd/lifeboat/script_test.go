package main

import (
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/sim/drill"
	"github.com/lifeboat-dr/lifeboat/sim/proof/sandbox"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

var update = flag.Bool("update", false, "rewrite the expectations in testdata/script")

// soak is the factor of all loop counts.
var soak = 1

// TestMain makes the test binary the program itself when it is started under
// the name lifeboat, as the scripts do.
func TestMain(m *testing.M) {
	sayChildHeap()                    // nothing, unless a benchmark asks
	sandbox.Main()                    // the first process of a sandbox is this binary, too
	drill.Main()                      // as is a drill's worker
	etcdproc.Main(datadir.Tasks()...) // the etcd child is this binary, too, under its own name
	if filepath.Base(os.Args[0]) == apiServerName {
		apiServerMain()
		os.Exit(0)
	}
	if factor := os.Getenv("LIFEBOAT_SOAK"); factor != "" {
		n, err := strconv.Atoi(factor)
		if err != nil || n < 1 {
			fmt.Fprintf(os.Stderr, "LIFEBOAT_SOAK=%q is no factor\n", factor)
			os.Exit(2)
		}
		soak = n
	}
	testscript.Main(m, map[string]func(){
		"lifeboat": main, "age-plugin-lock": pluginMain, "kubeget": kubegetMain,
		"kubelet": kubeletMain, "static-pod": staticPodMain,
	})
}

// TestScripts runs testdata/script/*.txtar. A script is a shell session with
// the real program; README.md there says what the commands are.
func TestScripts(t *testing.T) {
	t.Parallel()
	harbour, err := filepath.Abs("../../testdata/harbour")
	require.NoError(t, err)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               func(env *testscript.Env) error { return setUpScript(env, harbour) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":      exits,
			"unchanged":  unchanged,
			"members":    members,
			"flip":       flip,
			"zero":       zero,
			"cmpjson":    cmpjson,
			"lock":       lock,
			"skew":       skew,
			"master":     master,
			"containerd": containerdStore,
			"serves":     serves,
			"running":    running,
			"tree":       tree,
		},
	})
}

// watchKey is the place of a script's watch in its environment.
type watchKey struct{}

// setUpScript gives a script the fixture, and holds every script to two
// promises: no source is changed, and nothing is left behind.
func setUpScript(env *testscript.Env, harbour string) error {
	w := watch{}
	if err := w.add(harbour); err != nil {
		return err
	}
	env.Values[watchKey{}] = w
	env.Setenv("HARBOUR", harbour)
	env.Setenv("SIMULATIONS", filepath.Join(filepath.Dir(harbour), "simulations"))
	env.Setenv("ESC", "\x1b") // for names that try to steer the terminal
	t := env.T().(testing.TB)
	tmp := env.Getenv("TMPDIR")
	env.Defer(func() {
		for path, why := range w.changed() {
			t.Errorf("source %s was changed: %s", path, why)
		}
		for _, path := range leftBehind(env.WorkDir, tmp) {
			t.Errorf("%s was left behind", path)
		}
	})
	return nil
}

// exits runs a command and compares its exit code: exits 3 lifeboat get x.
// As after exec, stdout and stderr can be compared then.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARGS...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode() // -1 for a signal
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%q exits with %d, want %d", args[1:], got, want)
	}
}

// unchanged watches files and folders from here to the end of the script.
func unchanged(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: unchanged FILE...")
	}
	w := ts.Value(watchKey{}).(watch)
	for _, arg := range args {
		ts.Check(w.add(ts.MkAbs(arg)))
	}
}

// watch is what files were when they were first looked at.
type watch map[string]fileState

type fileState struct {
	mode  fs.FileMode
	mtime time.Time
	sum   [sha256.Size]byte
}

func (w watch) add(root string) error {
	return filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		w[path], err = stateOf(path)
		return err
	})
}

// stateOf reads a file's state; a folder's is its mtime, which a new entry moves.
func stateOf(path string) (fileState, error) {
	info, err := os.Stat(path)
	if err != nil {
		return fileState{}, err
	}
	s := fileState{mode: info.Mode(), mtime: info.ModTime()}
	if info.Mode().IsRegular() {
		data, err := os.ReadFile(path)
		if err != nil {
			return fileState{}, err
		}
		s.sum = sha256.Sum256(data)
	}
	return s, nil
}

func (w watch) changed() map[string]string {
	out := map[string]string{}
	for path, was := range w {
		is, err := stateOf(path)
		switch {
		case err != nil:
			out[path] = err.Error()
		case is.sum != was.sum:
			out[path] = "other bytes"
		case !is.mtime.Equal(was.mtime):
			out[path] = "other mtime"
		case is.mode != was.mode:
			out[path] = "other mode"
		}
	}
	return out
}

// leftBehind finds half-made targets below work, and anything in tmp.
func leftBehind(work, tmp string) []string {
	var out []string
	parts, _ := filepath.Glob(filepath.Join(work, "*.part"))
	out = append(out, parts...)
	parts, _ = filepath.Glob(filepath.Join(work, "*", "*.part"))
	out = append(out, parts...)
	entries, _ := os.ReadDir(tmp)
	for _, entry := range entries {
		out = append(out, filepath.Join(tmp, entry.Name()))
	}
	return out
}

// The harness sees what it is there to see.
func TestWatchSeesChanges(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(path string) error{
		"other bytes": func(path string) error {
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, []byte("bytez"), 0o600))
			return os.Chtimes(path, info.ModTime(), info.ModTime())
		},
		"other mtime": func(path string) error { return os.Chtimes(path, time.Now(), time.Unix(1, 0)) },
		"other mode":  func(path string) error { return os.Chmod(path, 0o400) },
		"no such":     os.Remove,
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "source")
		require.NoError(t, os.WriteFile(path, []byte("bytes"), 0o600))
		w := watch{}
		require.NoError(t, w.add(path))
		require.Empty(t, w.changed())
		require.NoError(t, change(path))
		require.Contains(t, w.changed()[path], want)
	}

	dir := t.TempDir()
	w := watch{}
	require.NoError(t, os.Chtimes(dir, time.Unix(1, 0), time.Unix(1, 0)))
	require.NoError(t, w.add(dir))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "x.part"), 0o700))
	require.Contains(t, w.changed(), dir, "a file beside a source moves its folder's mtime")
	require.Equal(t, []string{filepath.Join(dir, "x.part")}, leftBehind(dir, t.TempDir()))
	require.Len(t, leftBehind(t.TempDir(), dir), 1)
}
