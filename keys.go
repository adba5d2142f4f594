package lifeboat

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"filippo.io/age"

	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/registry"
)

// keys are what Options give to open an age file with.
func (o *opener) keys() (crypto.Keys, error) {
	if o.opts.shared != nil {
		return *o.opts.shared, nil
	}
	ask := o.passphrase()
	keys := crypto.Keys{Passphrase: ask}
	for _, path := range o.opts.Identities {
		if path == "-" && o.src.path == "-" {
			return keys, misusef("standard input is both the source and the key: give one of them as a file")
		}
		file, err := crypto.ReadIdentities(path, ask, o.opts.Plugins)
		if errors.Is(err, crypto.ErrPlugin) {
			err = withHint(err, "--plugins lets it be run; whoever wrote the key chooses the program")
		}
		if err != nil {
			return keys, err
		}
		for _, warning := range file.Warnings {
			o.opts.Observer.warn("%s", warning)
		}
		keys.Identities = append(keys.Identities, file.Identities...)
	}
	return keys, nil
}

// withKeys reads the keys once for many sources, which may be opened side by
// side: a passphrase is asked for once, and a locked file unlocked once.
func (o Options) withKeys() (Options, error) {
	first := newOpener("the archives", o)
	keys, err := first.keys()
	if err != nil {
		return o, err
	}
	for i, id := range keys.Identities {
		keys.Identities[i] = &oneByOne{id: id}
	}
	if ask := keys.Passphrase; ask != nil {
		keys.Passphrase = sync.OnceValues(ask)
	}
	o.shared = &keys
	return o, nil
}

// oneByOne is an identity that several readers share.
type oneByOne struct {
	mu sync.Mutex
	id age.Identity
}

func (s *oneByOne) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id.Unwrap(stanzas)
}

// passphrase is where a passphrase comes from: the file, else a person.
func (o *opener) passphrase() crypto.Passphrase {
	switch {
	case o.opts.PassphraseFile != "":
		return func() ([]byte, error) { return crypto.ReadPassphrase(o.opts.PassphraseFile) }
	case o.opts.Ask != nil:
		return func() ([]byte, error) { return o.opts.Ask(o.src.path) }
	}
	return nil
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
func (b *Backup) keyring() (*registry.Keyring, error) {
	if path := b.opts.EncryptionConfig; path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		ring, err := registry.ParseEncryptionConfig(data)
		if err != nil {
			return nil, fmt.Errorf("reading %q: %w", path, err)
		}
		b.warnOfKeys(path, ring)
		return ring, nil
	}
	if b.control == nil {
		return nil, nil
	}
	config, err := b.control.EncryptionConfig()
	if err != nil {
		b.opts.Observer.warn("%v; encrypted values stay locked unless --encryption-config gives it", err)
	}
	if config == nil {
		return nil, nil
	}
	ring := &registry.Keyring{}
	for _, name := range append([]string{config.Path}, config.Others...) {
		data, err := b.control.ReadFile(name)
		if err == nil {
			err = ring.Add(data)
		}
		if err != nil {
			b.opts.Observer.warn("reading %q in the backup: %v", name, err)
		}
	}
	b.warnOfKeys(config.Path, ring)
	return ring, nil
}

func (b *Backup) warnOfKeys(name string, ring *registry.Keyring) {
	for _, problem := range ring.Problems {
		b.opts.Observer.warn("%q: %s", name, problem)
	}
}
