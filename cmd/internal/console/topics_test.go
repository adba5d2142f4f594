package console

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The page about the environment knows every variable that is read.
func TestEnvironmentIsDocumented(t *testing.T) {
	t.Parallel()
	reads := regexp.MustCompile(`os\.(?:Getenv|LookupEnv)\("([A-Z_]+)"\)|os\.(TempDir|UserHomeDir)\(`)
	inside := map[string]string{"TempDir": "TMPDIR", "UserHomeDir": "HOME"} // what these ask for
	found := map[string]string{}
	err := filepath.WalkDir("../../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (slices.Contains([]string{"testdata", ".git", "release"}, d.Name())):
			return fs.SkipDir
		case filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		source, err := os.ReadFile(path)
		for _, match := range reads.FindAllSubmatch(source, -1) {
			found[string(match[1])+inside[string(match[2])]] = path
		}
		return err
	})
	require.NoError(t, err)
	require.Contains(t, found, "TMPDIR")
	for name, path := range found {
		require.Regexp(t, `(?m)^(\w+(=\S+)?, )*`+name+`(=|, |$)`, topicText("environment"), path)
	}
}
