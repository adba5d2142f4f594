package crypto

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/plugin"
	"golang.org/x/crypto/ssh"
)

// IdentityFile is what a file of private keys holds.
type IdentityFile struct {
	Path       string
	Identities []age.Identity

	// Warnings are for the operator: they hold no part of a key.
	Warnings []string
}

// ReadKeyFile reads a file of private keys as it stands, to be split.
func ReadKeyFile(path string) (content []byte, warnings []string, err error) {
	data, mode, err := readSmall(path)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the key: %w", err)
	}
	if mode.IsRegular() && mode.Perm()&0o077 != 0 {
		warnings = append(warnings, fmt.Sprintf("%q can be read by others (mode %04o): chmod 600 it", path, mode.Perm()))
	}
	return data, warnings, nil
}

// maxIdentityFile is age's own limit for such files.
const maxIdentityFile = 16 << 20

// ReadIdentities reads a file of private keys, as age's -i does:
//
//   - AGE-SECRET-KEY-1… and AGE-SECRET-KEY-PQ-1…, one a line, # for comments;
//   - such a file encrypted by age with a passphrase, binary or armored;
//   - AGE-PLUGIN-NAME-1…, one a line, where plugins may be run;
//   - an SSH private key, Ed25519 or RSA, maybe locked with a passphrase.
//
// A locked file is unlocked only when an archive needs it, and ask is called
// then; nil means that there is no passphrase. A file that others may read is
// a warning, not an error. No error shows a part of the file.
func ReadIdentities(path string, ask Passphrase, plugins *plugin.ClientUI) (*IdentityFile, error) {
	data, mode, err := readSmall(path)
	if err != nil {
		return nil, fmt.Errorf("reading identities: %w", err)
	}
	file := &IdentityFile{Path: path}
	if mode.IsRegular() && mode.Perm()&0o077 != 0 {
		file.Warnings = append(file.Warnings, fmt.Sprintf(
			"%q can be read by others (mode %04o): chmod 600 it", path, mode.Perm()))
	}
	if file.Identities, err = parseIdentities(path, data, ask, plugins); err != nil {
		return nil, fmt.Errorf("reading identities from %q: %w", path, err)
	}
	return file, nil
}

// readSmall reads a file that may be a pipe, but not one without an end.
//
// "-" is standard input. A key in the place of a file's name is refused
// without being repeated: it is a secret, and now in the shell's history.
func readSmall(path string) ([]byte, os.FileMode, error) {
	if holdsKey(path) {
		return nil, 0, errors.New("the key itself was given where the name of a file with it belongs; give the name, or - and the key on standard input")
	}
	f := os.Stdin
	if path != "-" {
		var err error
		if f, err = os.Open(path); err != nil {
			return nil, 0, err
		}
		defer f.Close()
	}
	stat, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxIdentityFile+1))
	if err != nil {
		return nil, 0, err
	}
	if len(data) > maxIdentityFile {
		return nil, 0, fmt.Errorf("%q is longer than 16 MiB", path)
	}
	return plainText(data), stat.Mode(), nil
}

// parseIdentities tells the three kinds of file by their first bytes.
func parseIdentities(path string, data []byte, ask Passphrase, plugins *plugin.ClientUI) ([]age.Identity, error) {
	start := bytes.TrimLeft(data, " \t\r\n\v\f")
	switch {
	case bytes.HasPrefix(data, []byte("age-encryption.org/")), bytes.HasPrefix(start, []byte(armorStart)):
		return []age.Identity{&lockedFile{path: path, data: data, ask: ask, plugins: plugins}}, nil
	case bytes.HasPrefix(start, []byte("-----BEGIN")):
		id, err := parseSSH(path, start, ask)
		if err != nil {
			return nil, err
		}
		return []age.Identity{id}, nil
	case bytes.HasPrefix(start, []byte("age1")), bytes.HasPrefix(start, []byte("ssh-")):
		return nil, errors.New("this is a public key (a recipient), opening needs the private one")
	}
	return parseNative(data, plugins)
}

// parseSSH reads an SSH private key. Its errors are restated: those of
// x/crypto come from many decoders.
func parseSSH(path string, data []byte, ask Passphrase) (age.Identity, error) {
	id, err := agessh.ParseIdentity(data)
	var missing *ssh.PassphraseMissingError
	switch {
	case err == nil:
		return withPublic(id, data)
	case !errors.As(err, &missing):
		return nil, errors.New("not an SSH private key of type Ed25519 or RSA, or a damaged one")
	}
	public := missing.PublicKey
	if public == nil { // the older PEM format does not hold it in the clear
		if public, err = readPublic(path + ".pub"); err != nil {
			return nil, fmt.Errorf("finding the public half of a locked SSH key: %w", err)
		}
	}
	locked := &lockedSSH{path: path, ask: ask, public: public}
	locked.key, err = agessh.NewEncryptedSSHIdentity(public, data, locked.passphrase)
	if err != nil {
		return nil, err
	}
	return locked, nil
}

// openSSH is an unlocked SSH key that knows its public half.
type openSSH struct {
	age.Identity
	public ssh.PublicKey
}

func withPublic(id age.Identity, data []byte) (age.Identity, error) {
	signer, err := ssh.ParsePrivateKey(data)
	if err != nil {
		return nil, errors.New("not an SSH private key of type Ed25519 or RSA, or a damaged one")
	}
	return &openSSH{id, signer.PublicKey()}, nil
}

func readPublic(path string) (ssh.PublicKey, error) {
	data, _, err := readSmall(path)
	if err != nil {
		return nil, err
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey(data)
	if err != nil {
		return nil, fmt.Errorf("%q is not an SSH public key", path)
	}
	return public, nil
}
