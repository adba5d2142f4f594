package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every archive and key command, no bucket being named, does its work where there is no network, and
// strace, where it is installed, sees no socket made: neither one that could
// reach anybody, nor one that asks the kernel about the network.
func TestArchiveAndKeyWithoutSockets(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	sealed := s.create(t, "a.age", "-r", s.recipient, "--sign", s.signer)
	members := filepath.Join(s.dir, "members")
	require.NoError(t, os.Mkdir(members, 0o700))
	output, err := exec.Command("tar", "xzf", "../../testdata/harbour/members.tar.gz", "-C", members).CombinedOutput()
	require.NoError(t, err, string(output))
	team := filepath.Join(s.dir, "team")
	require.NoError(t, os.WriteFile(team, []byte(s.recipient+"\n"), 0o600))
	program := filepath.Join(s.dir, "program") // the tests' own binary links what asks the kernel about the network
	output, err = exec.Command("go", "build", "-ldflags=-s -w", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, string(output))
	folder := filepath.Join(s.dir, "place")
	require.NoError(t, os.Mkdir(folder, 0o700))
	for _, suffix := range []string{"", ".minisig"} {
		require.NoError(t, os.Link(sealed+suffix, filepath.Join(folder, "a.tar.gz.age"+suffix)))
	}
	state := "XDG_STATE_HOME=" + t.TempDir()
	verified := exec.Command(program, "archive", "verify", folder, "-i", s.identity, "--pubkey", s.signer+".pub", "--run", "one")
	verified.Env = append(os.Environ(), state)
	output, err = verified.CombinedOutput()
	require.NoError(t, err, string(output))
	shares := filepath.Join(t.TempDir(), "shares")
	output, err = exec.Command(program, "key", "split", s.identity, "--shares", "3", "--threshold", "2", "--to", shares).CombinedOutput()
	require.NoError(t, err, string(output))
	quorum := []string{"--share", filepath.Join(shares, "share-1-of-3.txt"), "--share", filepath.Join(shares, "share-3-of-3.txt")}
	open := []string{sealed, "-i", s.identity, "--pubkey", s.signer + ".pub"}
	for name, args := range map[string][]string{
		"create":           {"archive", "create", "--snapshot", s.snapshot, "--kubernetes", s.kubernetes, "-r", s.recipient, "--sign", s.signer, "--to", "b.age"},
		"create, data dir": {"archive", "create", "--snapshot", filepath.Join(members, "etcd-0"), "--kubernetes", s.kubernetes, "-r", s.recipient, "--to", "c.age"},
		"verify":           append([]string{"archive", "verify"}, open...),
		"verify, quick":    append([]string{"archive", "verify", "--quick"}, open...),
		"list":             append([]string{"archive", "list"}, open...),
		"unpack":           append([]string{"archive", "unpack", "--to", "unpacked"}, open...),
		"encrypt":          {"archive", "encrypt", s.snapshot, "-r", s.recipient, "--to", "d.age"},
		"decrypt":          append([]string{"archive", "decrypt", "--to", "d.tar.gz"}, open...),
		"rekey":            append([]string{"archive", "rekey", "--add", s.recipient, "--to", "e.age"}, open...),
		"rekey, rotate":    append([]string{"archive", "rekey", "--rotate", "-R", team, "--to", "f.age"}, open...),
		"verify, place":    {"archive", "verify", folder, "-i", s.identity, "--pubkey", s.signer + ".pub"},
		"catalog":          {"archive", "catalog", folder, "-i", s.identity},
		"prune":            {"archive", "prune", folder, "--pubkey", s.signer + ".pub", "--keep-last", "1"},
		"rekey, place":     {"archive", "rekey", folder, "-i", s.identity, "-R", team, "--to", "re-keyed"},
		"ledger merge":     {"archive", "ledger", "merge", folder, "--run", "one"},
		"push":             {"archive", "push", sealed, "--to", "."},
		"pull":             {"archive", "pull", filepath.Join(folder, "a.tar.gz.age"), "--to", "pulled.age"},
		"key split":        {"key", "split", s.identity, "--shares", "3", "--threshold", "2", "--to", "shares"},
		"key combine":      append([]string{"key", "combine", filepath.Join(shares, "identity.locked"), "--to", "combined"}, quorum...),
		"key check shares": append([]string{"key", "check", sealed, "--shares-of", filepath.Join(shares, "identity.locked")}, quorum...),
		"key generate":     {"key", "generate", "--to", "key"},
		"key for signing":  {"key", "generate", "--sign", "--to", "sig"},
		"key show":         {"key", "show", s.identity},
		"key check":        {"key", "check", sealed, "-i", s.identity},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for i, arg := range args { // what is made goes to a folder of its own
				if i > 0 && args[i-1] == "--to" {
					args[i] = filepath.Join(dir, arg)
				}
			}
			cmd := exec.Command(program, args...)
			cmd.Env = append(os.Environ(), state)
			trace := filepath.Join(dir, "trace")
			strace, err := exec.LookPath("strace")
			traced := err == nil
			if traced {
				cmd.Args = append([]string{"strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=socket,socketpair", "-e", "signal=none", "-o", trace}, cmd.Args...)
				cmd.Path = strace
			}
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
			output, err := cmd.CombinedOutput()
			if errorsIsPermission(err) {
				t.Skip("this host lets nobody make a network namespace")
			}
			if traced && strings.Contains(string(output), "ptrace") {
				t.Skip("this host lets nobody trace")
			}
			require.NoError(t, err, string(output))
			if !traced {
				t.Skip("it works without a network; no strace on this host tells whether it asked for one")
			}
			calls, err := os.ReadFile(trace)
			require.NoError(t, err)
			require.NotContains(t, string(calls), "socket") // calls that strace does not know are in there, too
		})
	}
}
