package oracle

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// lifeboat is the program under test.
type lifeboat struct{ binary string }

// findLifeboat takes the binary that the environment variable LIFEBOAT names,
// or builds the one of this checkout.
func findLifeboat(t *testing.T) lifeboat {
	t.Helper()
	if binary := os.Getenv("LIFEBOAT"); binary != "" {
		absolute, err := filepath.Abs(binary)
		require.NoError(t, err)
		return lifeboat{absolute}
	}
	return buildLifeboat(t)
}

func buildLifeboat(t *testing.T, flags ...string) lifeboat {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "lifeboat")
	build := exec.Command("go", append(append([]string{"build", "-o", binary}, flags...), "./cmd/lifeboat")...)
	build.Dir = "../.."
	output, err := build.CombinedOutput()
	require.NoError(t, err, "building lifeboat:\n%s", output)
	return lifeboat{binary}
}

// extract runs `lifeboat extract SRC` with more arguments into a new folder,
// which it returns with the commands that the operator is told to run next.
func (l lifeboat) extract(t *testing.T, source string, args ...string) (dir string, next []string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "restored")
	cmd := exec.Command(l.binary, append([]string{"extract", source, "--to", dir}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	require.NoError(t, err, "lifeboat extract %s %q\n%s%s", source, args, &stdout, &stderr)
	_, commands, told := strings.Cut(stderr.String(), "next, on the cluster:\n")
	if told {
		next = strings.Split(strings.TrimSpace(commands), "\n")
	}
	return dir, next
}

// readTree is the content of every file below dir, by its path.
func readTree(t *testing.T, dir string) map[string]string {
	t.Helper()
	tree := map[string]string{}
	root := os.DirFS(dir)
	require.NoError(t, fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(root, name)
		tree[name] = string(content)
		return err
	}))
	return tree
}
