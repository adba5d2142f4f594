package registry_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"

	"github.com/lifeboat-dr/lifeboat/registry"
)

// What options of Clean do, each in a file of testdata/options as the rules have
// theirs, with the commands that an operator is told.
func TestCleanOptions(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]registry.CleanOptions{
		"clone":   {Clone: &registry.Clone{From: "shop", To: "shop-copy"}},
		"suspend": {Suspend: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join("testdata", "options", name+".txtar")
			archive, err := txtar.ParseFile(file)
			require.NoError(t, err)
			plan, err := registry.Clean(objectsOfYAML(t, archive.Files[0].Data), opts)
			require.NoError(t, err)
			got := txtar.Parse(rewritten(t, "", archive, plan))
			var commands []byte
			for _, command := range append(plan.Commands("dir"), plan.WakeCommands()...) {
				commands = append(commands, command+"\n"...)
			}
			got.Files = append(got.Files, txtar.File{Name: "commands", Data: commands})
			if *update {
				require.NoError(t, os.WriteFile(file, txtar.Format(got), 0o600))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(want), string(txtar.Format(got)))
			for _, m := range plan.Manifests {
				content := contentOf(t, m)
				again, err := registry.Clean([]*registry.Object{objectOf(content)}, registry.CleanOptions{})
				require.NoError(t, err)
				require.NotEmpty(t, again.Manifests, m.File)
			}
		})
	}
}

func TestCloneRefusesNames(t *testing.T) {
	t.Parallel()
	for _, to := range []string{"", "shop", "Shop", "a.b", "../x"} {
		_, err := registry.Clean(nil, registry.CleanOptions{Clone: &registry.Clone{From: "shop", To: to}})
		require.Error(t, err, to)
	}
}
