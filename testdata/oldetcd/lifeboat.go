package oldetcd

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// bench is lifeboat, and the servers that it is held against.
type bench struct {
	server Server
	binary string
}

// newBench takes the binary that the environment variable LIFEBOAT names, or
// builds the one of this checkout.
func newBench(t *testing.T, server Server) *bench {
	t.Helper()
	if binary := os.Getenv("LIFEBOAT"); binary != "" {
		absolute, err := filepath.Abs(binary)
		require.NoError(t, err)
		return &bench{server, absolute}
	}
	binary := filepath.Join(t.TempDir(), "lifeboat")
	build := exec.Command("go", "build", "-o", binary, "./cmd/lifeboat")
	build.Dir = "../.."
	out, err := build.CombinedOutput()
	require.NoError(t, err, "building lifeboat:\n%s", out)
	return &bench{server, binary}
}

// run runs lifeboat, which must succeed, and returns what it prints.
func (b *bench) run(t *testing.T, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(b.binary, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	require.NoError(t, err, "lifeboat %q\n%s%s", args, &out, &errs)
	return out.String(), errs.String()
}

// document runs lifeboat with -o json.
func document[T any](t *testing.T, b *bench, args ...string) (doc T) {
	t.Helper()
	out, _ := b.run(t, append(args, "-o", "json")...)
	require.NoError(t, json.Unmarshal([]byte(out), &doc), out)
	return doc
}

// source is the arguments by which lifeboat reads a member.
func (m *member) source() []string {
	if m.wal != "" {
		return []string{m.dir, "--src-wal-dir", m.wal}
	}
	return []string{m.dir}
}

// status is what lifeboat says of a member: the parts of etcd status that
// these tests ask for.
type status struct {
	Version        string
	StorageVersion string
	Term           uint64
	Revision       int64
	IsLearner      bool
}

func (b *bench) status(t *testing.T, source ...string) status {
	t.Helper()
	doc := document[struct {
		Items []struct {
			Status struct {
				Header struct {
					Revision int64
				}
				Version, StorageVersion string
				IsLearner               bool
			}
			File struct {
				RaftTerm uint64
			}
		}
	}](t, b, append([]string{"etcd", "status"}, source...)...)
	s := doc.Items[0]
	return status{s.Status.Version, s.Status.StorageVersion, s.File.RaftTerm, s.Status.Header.Revision, s.Status.IsLearner}
}

// hash is etcd hash.
func (b *bench) hash(t *testing.T, args ...string) (hash uint32, revision int64) {
	t.Helper()
	doc := document[struct {
		Items []struct {
			HashKV struct {
				Hash         uint32
				HashRevision int64 `json:"hash_revision"`
			}
		}
	}](t, b, append([]string{"etcd", "hash"}, args...)...)
	return doc.Items[0].HashKV.Hash, doc.Items[0].HashKV.HashRevision
}

// tree is what every file and folder below dirs was.
type tree map[string]fileState

type fileState struct {
	mode    fs.FileMode
	size    int64
	changed time.Time
	content string // of files below 1 MB: the log's segments are long
}

func watch(t *testing.T, dirs ...string) tree {
	t.Helper()
	w := tree{}
	for _, dir := range dirs {
		require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			require.NoError(t, err)
			state := fileState{mode: info.Mode(), size: info.Size(), changed: info.ModTime()}
			if info.Mode().IsRegular() && info.Size() < 1<<20 {
				data, err := os.ReadFile(path)
				require.NoError(t, err)
				state.content = string(data)
			}
			w[path] = state
			return nil
		}))
	}
	return w
}

func (w tree) unchanged(t *testing.T, dirs ...string) {
	t.Helper()
	require.Equal(t, w, watch(t, dirs...), "a source was changed")
}
