package datadir_test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

func TestMain(m *testing.M) {
	etcdproc.Main(datadir.Tasks()...)
	if spec := os.Getenv(clusterEnv); spec != "" {
		fmt.Println(serveCluster(spec))
		os.Exit(1)
	}
	if spec := os.Getenv(threeEnv); spec != "" {
		fmt.Println(serveThree(spec))
		os.Exit(1)
	}
	if factor := os.Getenv("LIFEBOAT_SOAK"); factor != "" {
		n, err := strconv.Atoi(factor)
		if err != nil || n < 1 {
			fmt.Fprintf(os.Stderr, "LIFEBOAT_SOAK=%q is no factor\n", factor)
			os.Exit(2)
		}
		soak = n
	}
	flag.Parse()
	os.Exit(m.Run())
}

// soak is the factor of all loop counts.
var soak = 1

// harbour copies harbour's members, killed with SIGKILL, and returns their dirs
// by name. The log is preallocated: only its beginning is written.
func harbour(t testing.TB) map[string]string {
	t.Helper()
	files, err := harbourFiles()
	require.NoError(t, err)
	dir, dirs := t.TempDir(), map[string]string{}
	for _, file := range files {
		name := strings.Split(file.name, "/")[0]
		dirs[name] = filepath.Join(dir, name)
		path := filepath.Join(dir, file.name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, file.beginning, 0o600))
		require.NoError(t, os.Truncate(path, file.size))
	}
	return dirs
}

type harbourFile struct {
	name      string
	size      int64
	beginning []byte // the rest is zeros
}

// harbourFiles unpacks them once.
var harbourFiles = sync.OnceValues(func() (files []harbourFile, err error) {
	packed, err := os.Open("../../testdata/harbour/members.tar.gz")
	if err != nil {
		return nil, err
	}
	defer packed.Close()
	unzipped, err := gzip.NewReader(packed)
	if err != nil {
		return nil, err
	}
	const written = 4 << 20
	for r := tar.NewReader(unzipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if h.FileInfo().IsDir() || strings.HasSuffix(h.Name, ".tmp") {
			continue
		}
		beginning, err := io.ReadAll(io.LimitReader(r, written))
		if err != nil {
			return nil, err
		}
		files = append(files, harbourFile{h.Name, h.Size, beginning})
	}
})

func open(t testing.TB, path string) *datadir.Dir {
	t.Helper()
	d, err := datadir.Open(path)
	require.NoError(t, err)
	return d
}

func survey(t testing.TB, path string) *datadir.Survivor {
	t.Helper()
	s, err := open(t, path).Survey(t.Context())
	require.NoError(t, err)
	return s
}

func replay(t testing.TB, path string, opts datadir.ReplayOptions) *datadir.Replay {
	t.Helper()
	r, err := survey(t, path).Replay(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { r.File.Close() })
	return r
}

// database opens what a replay made; the replay's own file stays open.
func database(t testing.TB, r *datadir.Replay) *snapshot.DB {
	t.Helper()
	file, err := os.Open(procPath(r.File))
	require.NoError(t, err)
	db, err := snapshot.OpenFile(t.Context(), file)
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

// procPath is a name of a file that has none.
func procPath(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

// keys is the keyspace at the newest revision.
func keys(t testing.TB, r snapshot.Reader) map[string]string {
	t.Helper()
	all := map[string]string{}
	for kv, err := range r.At(context.Background(), 0, nil) {
		require.NoError(t, err)
		all[string(kv.Key)] = string(kv.Value)
	}
	return all
}
