package lifeboat_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

const harbour = "testdata/harbour/kube-backup.tar.gz"

func TestMain(m *testing.M) {
	etcdproc.Main(datadir.Tasks()...) // the etcd child is this binary, too
	os.Exit(m.Run())
}

// eachFile hands the files of a .tar.gz to do.
func eachFile(t *testing.T, path string, do func(h *tar.Header, r io.Reader)) {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	require.NoError(t, err)
	for r := tar.NewReader(unzipped); ; {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		require.NoError(t, err)
		do(h, r)
	}
}

// snapshotFile is the snapshot of the fixture as a file of its own.
func snapshotFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "etcd.snapshot")
	eachFile(t, harbour, func(h *tar.Header, r io.Reader) {
		if strings.HasSuffix(h.Name, "etcd-backup.snapshot") {
			data, err := io.ReadAll(r)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, data, 0o600))
		}
	})
	return path
}

// memberDir unpacks a member's data dir, with holes where its log is empty.
func memberDir(t *testing.T, name string) string {
	t.Helper()
	root := t.TempDir()
	eachFile(t, "testdata/harbour/members.tar.gz", func(h *tar.Header, r io.Reader) {
		if !strings.HasPrefix(h.Name, name+"/") || h.Typeflag == tar.TypeDir {
			return
		}
		path := filepath.Join(root, filepath.FromSlash(h.Name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		file, err := os.Create(path)
		require.NoError(t, err)
		zero, block := make([]byte, 1<<16), make([]byte, 1<<16)
		for at := int64(0); ; {
			n, err := io.ReadFull(r, block)
			if n > 0 && !bytes.Equal(block[:n], zero[:n]) {
				_, writeErr := file.WriteAt(block[:n], at)
				require.NoError(t, writeErr)
			}
			if at += int64(n); err != nil {
				break
			}
		}
		require.NoError(t, file.Truncate(h.Size))
		require.NoError(t, file.Close())
	})
	return filepath.Join(root, name)
}

// heard takes down what an Observer is told.
type heard struct {
	mu     sync.Mutex
	warn   []string
	note   []string
	phases []string
}

func (h *heard) observer() lifeboat.Observer {
	return lifeboat.Observer{
		Warn: func(message string) { h.mu.Lock(); defer h.mu.Unlock(); h.warn = append(h.warn, message) },
		Note: func(message string) { h.mu.Lock(); defer h.mu.Unlock(); h.note = append(h.note, message) },
		Progress: func(phase string, _ int64) lifeboat.Phase {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.phases = append(h.phases, phase)
			return quiet{}
		},
	}
}

type quiet struct{}

func (quiet) Add(int64) {}
func (quiet) Done()     {}

func open(t *testing.T, path string, opts lifeboat.Options) *lifeboat.Backup {
	t.Helper()
	b, err := lifeboat.Open(t.Context(), path, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}
