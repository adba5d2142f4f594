package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/registry"
)

// keys are what the flags give to open an age file with.
func (o *opener) keys() (crypto.Keys, error) {
	ask := o.passphrase()
	keys := crypto.Keys{Passphrase: ask}
	for _, path := range o.opts.Identities {
		file, err := readIdentities(o.env, path, ask, o.env.plugins(o.opts.Plugins, o.src.path == "-"))
		if err != nil {
			return keys, err
		}
		keys.Identities = append(keys.Identities, file.Identities...)
	}
	return keys, nil
}

// passphrase is where a passphrase comes from: the file, else the terminal,
// unless SRC itself is what the terminal's stream carries.
func (o *opener) passphrase() crypto.Passphrase {
	switch {
	case o.opts.PassphraseFile != "":
		return func() ([]byte, error) {
			data, err := os.ReadFile(o.opts.PassphraseFile)
			if err != nil {
				return nil, fmt.Errorf("reading passphrase: %w", err)
			}
			line, _, _ := bytes.Cut(data, []byte("\n"))
			line = bytes.TrimSuffix(line, []byte("\r"))
			if len(line) == 0 {
				return nil, fmt.Errorf("reading passphrase: the first line of %q is empty", o.opts.PassphraseFile)
			}
			return line, nil
		}
	case o.env.stdinTerminal && o.src.path != "-":
		return o.askTerminal
	}
	return nil
}

func (o *opener) askTerminal() ([]byte, error) {
	stdin, ok := o.env.stdin.(*os.File)
	if !ok {
		return nil, errors.New("asking for the passphrase: standard input is no terminal")
	}
	fmt.Fprintf(o.env.stderr, "Passphrase for %s: ", printable(o.src.path))
	passphrase, err := term.ReadPassword(int(stdin.Fd()))
	fmt.Fprintln(o.env.stderr)
	if err != nil {
		return nil, fmt.Errorf("asking for the passphrase: %w", err)
	}
	return passphrase, nil
}

// recipientsOf says whom an age file is encrypted to, by kind.
func recipientsOf(info crypto.Info) string {
	if len(info.Recipients) == 1 {
		return "1 recipient: " + info.Recipients[0]
	}
	return fmt.Sprintf("%d recipients: %s", len(info.Recipients), strings.Join(info.Recipients, ", "))
}

// keyring finds the keys of the encryption at rest: in the file that was
// given, else in the backup itself. A backup without them has a nil Keyring,
// and its encrypted values stay locked; what is wrong with the backup's own
// configuration is a warning, since the rest can still be read.
func (s *source) keyring(env *environment, opts sourceOptions) (*registry.Keyring, error) {
	if path := opts.EncryptionConfig; path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		ring, err := registry.ParseEncryptionConfig(data)
		if err != nil {
			return nil, fmt.Errorf("reading %q: %w", path, err)
		}
		warnOfKeys(env, path, ring)
		return ring, nil
	}
	if s.control == nil {
		return nil, nil
	}
	config, err := s.control.EncryptionConfig()
	if err != nil {
		env.warn("%v; encrypted values stay locked unless --encryption-config gives it", err)
	}
	if config == nil {
		return nil, nil
	}
	ring := &registry.Keyring{}
	for _, name := range append([]string{config.Path}, config.Others...) {
		data, err := s.control.ReadFile(name)
		if err == nil {
			err = ring.Add(data)
		}
		if err != nil {
			env.warn("reading %q in the backup: %v", name, err)
		}
	}
	warnOfKeys(env, config.Path, ring)
	return ring, nil
}

func warnOfKeys(env *environment, name string, ring *registry.Keyring) {
	for _, problem := range ring.Problems {
		env.warn("%q: %s", name, problem)
	}
}

// registryOptions say how the Kubernetes side of the source is read.
func (s *source) registryOptions(env *environment, opts sourceOptions) (registry.Options, error) {
	ring, err := s.keyring(env, opts)
	if err != nil {
		return registry.Options{}, err
	}
	prefix := opts.EtcdPrefix
	if prefix == "" && s.control != nil {
		prefix = s.control.EtcdPrefix()
	}
	return registry.Options{Prefix: prefix, Keyring: ring}, nil
}
