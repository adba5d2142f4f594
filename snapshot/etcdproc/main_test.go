package etcdproc_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

// helperEnv makes the test binary a program of its own: one of helpers, as
// JSON [name, database, folder].
const helperEnv = "LIFEBOAT_TEST_HELPER"

func TestMain(m *testing.M) {
	etcdproc.Main(patienceTasks()...)
	if spec := os.Getenv(helperEnv); spec != "" {
		var args [3]string
		if err := json.Unmarshal([]byte(spec), &args); err != nil {
			panic(err)
		}
		if err := helpers[args[0]](args[1], args[2]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var helpers = map[string]func(file, dir string) error{
	"hold": func(file, dir string) error {
		p, err := open(file, dir)
		if err != nil {
			return err
		}
		fmt.Println("started", p.Revision())
		_, err = io.Copy(io.Discard, os.Stdin) // until it is killed
		return err
	},
	"count": func(file, dir string) error {
		p, err := open(file, dir)
		if err != nil {
			return err
		}
		n := 0
		for _, err := range p.At(context.Background(), 0, nil) {
			if err != nil {
				return err
			}
			n++
		}
		fmt.Println("keys", n)
		return p.Close()
	},
}

func open(file, dir string) (*etcdproc.Proc, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return etcdproc.Start(context.Background(), f, etcdproc.Options{Dir: dir})
}

// helper prepares a helper process.
func helper(t *testing.T, name, file, dir string) *exec.Cmd {
	t.Helper()
	spec, err := json.Marshal([3]string{name, file, dir})
	require.NoError(t, err)
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), helperEnv+"="+string(spec))
	return cmd
}
