package console

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

// Keys are what the flags give to open an age file with.
func (o *Opener) Keys() (crypto.Keys, error) {
	ask := o.passphrase()
	keys := crypto.Keys{Passphrase: ask}
	for _, path := range o.Opts.Identities {
		file, err := ReadIdentities(o.Env, path, ask, o.Env.Plugins(o.Opts.Plugins, o.Src.Path == "-"))
		if err != nil {
			return keys, err
		}
		keys.Identities = append(keys.Identities, file.Identities...)
	}
	return keys, nil
}

// passphrase is where a passphrase comes from: the file, else the terminal,
// unless SRC itself is what the terminal's stream carries.
func (o *Opener) passphrase() crypto.Passphrase {
	switch {
	case o.Opts.PassphraseFile != "":
		return func() ([]byte, error) {
			data, err := os.ReadFile(o.Opts.PassphraseFile)
			if err != nil {
				return nil, fmt.Errorf("reading passphrase: %w", err)
			}
			line, _, _ := bytes.Cut(data, []byte("\n"))
			line = bytes.TrimSuffix(line, []byte("\r"))
			if len(line) == 0 {
				return nil, fmt.Errorf("reading passphrase: the first line of %q is empty", o.Opts.PassphraseFile)
			}
			return line, nil
		}
	case o.Env.stdinTerminal && o.Src.Path != "-":
		return o.askTerminal
	}
	return nil
}

func (o *Opener) askTerminal() ([]byte, error) {
	stdin, ok := o.Env.Stdin.(*os.File)
	if !ok {
		return nil, errors.New("asking for the passphrase: standard input is no terminal")
	}
	fmt.Fprintf(o.Env.stderr, "Passphrase for %s: ", Printable(o.Src.Path))
	passphrase, err := term.ReadPassword(int(stdin.Fd()))
	fmt.Fprintln(o.Env.stderr)
	if err != nil {
		return nil, fmt.Errorf("asking for the passphrase: %w", err)
	}
	return passphrase, nil
}

// RecipientsOf says whom an age file is encrypted to, by kind.
func RecipientsOf(info crypto.Info) string {
	if len(info.Recipients) == 1 {
		return "1 recipient: " + info.Recipients[0]
	}
	return fmt.Sprintf("%d recipients: %s", len(info.Recipients), strings.Join(info.Recipients, ", "))
}

// keyring finds the keys of the encryption at rest: in the file that was
// given, else in the backup itself. A backup without them has a nil Keyring,
// and its encrypted values stay locked; what is wrong with the backup's own
// configuration is a warning, since the rest can still be read.
func (s *Source) keyring(env *Environment, opts SourceOptions) (*registry.Keyring, error) {
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
	if s.Control == nil {
		return nil, nil
	}
	config, err := s.Control.EncryptionConfig()
	if err != nil {
		env.Warn("%v; encrypted values stay locked unless --encryption-config gives it", err)
	}
	if config == nil {
		return nil, nil
	}
	ring := &registry.Keyring{}
	for _, name := range append([]string{config.Path}, config.Others...) {
		data, err := s.Control.ReadFile(name)
		if err == nil {
			err = ring.Add(data)
		}
		if err != nil {
			env.Warn("reading %q in the backup: %v", name, err)
		}
	}
	warnOfKeys(env, config.Path, ring)
	return ring, nil
}

func warnOfKeys(env *Environment, name string, ring *registry.Keyring) {
	for _, problem := range ring.Problems {
		env.Warn("%q: %s", name, problem)
	}
}

// RegistryOptions say how the Kubernetes side of the source is read.
func (s *Source) RegistryOptions(env *Environment, opts SourceOptions) (registry.Options, error) {
	ring, err := s.keyring(env, opts)
	if err != nil {
		return registry.Options{}, err
	}
	prefix := opts.EtcdPrefix
	if prefix == "" && s.Control != nil {
		prefix = s.Control.EtcdPrefix()
	}
	return registry.Options{Prefix: prefix, Keyring: ring}, nil
}

// PassphraseIn is the passphrase in a file's first line, or asked for on the
// terminal; nil where there is neither.
func PassphraseIn(env *Environment, path string) crypto.Passphrase {
	o := &Opener{Env: env, Opts: SourceOptions{PassphraseFile: path}, Src: &Source{Path: "the key"}}
	return o.passphrase()
}
