package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

// Storage that serves other bytes once the signature is checked: what is read
// is what was checked. The identity is a pipe, so it is known when.
func TestSignedBytesAreTheBytesRead(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	src := s.create(t, "a.age", "-r", s.recipient, "--sign", s.signer)
	signed, err := os.ReadFile(src)
	require.NoError(t, err)
	before, err := os.Stat(src)
	require.NoError(t, err)
	identity, err := os.ReadFile(s.identity)
	require.NoError(t, err)
	out := t.TempDir()
	to := func(name string) []string { return []string{"--to", filepath.Join(out, name)} }
	for name, args := range map[string][]string{
		"get": {"get", src, "ns"}, "inspect": {"inspect", src}, "extract": append([]string{"extract", src, "-n", "infra-production"}, to("extract")...),
		"list": {"archive", "list", src}, "quick": {"archive", "verify", src, "--quick"},
		"unpack": append([]string{"archive", "unpack", src}, to("unpack")...), "decrypt": append([]string{"archive", "decrypt", src}, to("decrypt")...),
		"rekey": append([]string{"archive", "rekey", src, "--add", s.recipient}, to("rekey")...),
	} {
		require.NoError(t, os.WriteFile(src, signed, 0o600))
		require.NoError(t, os.Chtimes(src, before.ModTime(), before.ModTime()))
		pipe := filepath.Join(t.TempDir(), "identity")
		require.NoError(t, unix.Mkfifo(pipe, 0o600))
		swapped := make(chan error, 1)
		go func() {
			swapped <- func() error {
				w, err := os.OpenFile(pipe, os.O_WRONLY, 0) // waits for whoever reads it
				if err != nil {
					return err
				}
				defer w.Close()
				if err := os.WriteFile(src, make([]byte, len(signed)), 0o600); err != nil {
					return err
				}
				if err := os.Chtimes(src, before.ModTime(), before.ModTime()); err != nil {
					return err
				}
				_, err = w.Write(identity)
				return err
			}()
		}()
		r := lifeboat(append(args, "-i", pipe, "--pubkey", s.signer+".pub")...)
		require.Equal(t, console.ExitDone, r.code, "%s: %s%s", name, r.stdout, r.stderr)
		require.NoError(t, <-swapped, name)
	}
}
