package crypto

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/plugin"
	"golang.org/x/crypto/ssh"
)

// ErrRecipients says that files cannot be encrypted to these recipients
// together, or that there are none.
var ErrRecipients = errors.New("recipients do not go together")

// Recipient is somebody to encrypt to. Its text is public.
type Recipient struct {
	age.Recipient

	// Text is the public key as age's -r takes it, without a comment:
	// "age1…", "age1pq1…", "age1NAME1…", "ssh-ed25519 AAAA…". "" for a
	// passphrase.
	Text string

	// Type is that of the stanza it makes: "X25519", "mlkem768x25519",
	// "ssh-ed25519", "ssh-rsa", "scrypt"; of a plugin "plugin NAME", since its
	// stanzas have any type.
	Type string
}

// Fingerprint names the recipient in little space: for SSH keys as ssh-keygen
// -l does, for others SHA256: and the base64 sum of Text.
func (r Recipient) Fingerprint() string {
	if r.Text == "" {
		return "passphrase"
	}
	if key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(r.Text)); err == nil {
		return ssh.FingerprintSHA256(key)
	}
	sum := sha256.Sum256([]byte(r.Text))
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// ParseRecipient reads a public key as age's -r takes it: X25519 (age1…),
// hybrid post-quantum (age1pq1…), ssh-ed25519 or ssh-rsa and, where plugins may
// be run, theirs (age1NAME1…). Its errors do not repeat text that might be a
// private key.
func ParseRecipient(text string, plugins *plugin.ClientUI) (Recipient, error) {
	text = strings.TrimSpace(text)
	switch {
	case strings.HasPrefix(text, "AGE-"), strings.HasPrefix(text, "-----BEGIN"):
		return Recipient{}, errors.New("parsing recipient: this is a private key (an identity), encrypting needs the public one")
	case strings.HasPrefix(text, "age1pq1"):
		key, err := age.ParseHybridRecipient(text)
		return Recipient{key, text, "mlkem768x25519"}, parsing(err)
	case isPluginRecipient(text):
		return pluginRecipient(text, plugins)
	case strings.HasPrefix(text, "age1"):
		key, err := age.ParseX25519Recipient(text)
		return Recipient{key, text, "X25519"}, parsing(err)
	case strings.HasPrefix(text, "ssh-"):
		return parseSSHRecipient(text)
	}
	return Recipient{}, errors.New("parsing recipient: neither age1… nor ssh-ed25519 nor ssh-rsa")
}

func parsing(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("parsing recipient: %s", clip(err))
}

func parseSSHRecipient(text string) (Recipient, error) {
	key, err := agessh.ParseRecipient(text)
	if err != nil {
		return Recipient{}, parsing(err)
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(text))
	if err != nil {
		return Recipient{}, parsing(err)
	}
	return Recipient{key, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))), public.Type()}, nil
}

// maxRecipientLine is age's limit, which is sshd's.
const maxRecipientLine = 8 << 10

// ReadRecipients reads a file of public keys, one a line, as age's -R takes
// it: # starts a comment line, blank lines do not count. An SSH key of a kind
// that cannot encrypt is a warning. No error repeats a line: the file may turn
// out to be one of private keys.
func ReadRecipients(path string, plugins *plugin.ClientUI) (list []Recipient, warnings []string, err error) {
	data, _, err := readSmall(path)
	if err != nil {
		return nil, nil, fmt.Errorf("reading recipients: %w", err)
	}
	fail := func(format string, args ...any) ([]Recipient, []string, error) {
		return nil, nil, fmt.Errorf("reading recipients from %q: %w", path, fmt.Errorf(format, args...))
	}
	if !utf8.Valid(data) {
		return fail("not a text file")
	}
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
			continue
		case len(line) > maxRecipientLine:
			return fail("line %d is longer than %d bytes", i+1, maxRecipientLine)
		}
		r, err := ParseRecipient(line, plugins)
		if err != nil {
			if unusableSSH(line) {
				warnings = append(warnings, fmt.Sprintf("%q line %d: an SSH key of a kind that cannot encrypt, left out", path, i+1))
				continue
			}
			return fail("line %d: %w", i+1, err)
		}
		list = append(list, r)
	}
	if len(list) == 0 {
		return fail("no recipients found")
	}
	return list, warnings, nil
}

// unusableSSH tells a sound SSH public key that age cannot encrypt to (ECDSA,
// hardware keys, short RSA), as they stand in authorized_keys files.
func unusableSSH(line string) bool {
	_, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	return err == nil
}

// NewPassphrase makes a recipient of a passphrase, with age's own work factor.
// It has to be a file's only recipient.
func NewPassphrase(passphrase []byte) (Recipient, error) {
	r, err := age.NewScryptRecipient(string(passphrase))
	if err != nil {
		return Recipient{}, errors.New("making a key of the passphrase: it is empty")
	}
	return Recipient{r, "", "scrypt"}, nil
}

// postQuantum tells the stanza types that age lets stand only among
// themselves (age's label "postquantum").
func postQuantum(stanza string) bool {
	return stanza == "mlkem768x25519" || stanza == "mlkem768p256tag"
}

var errMixed = fmt.Errorf("%w: post-quantum keys (age1pq1…) beside others would leave the file open to quantum computers", ErrRecipients)

func isPluginType(stanza string) bool { return strings.HasPrefix(stanza, pluginType) }

// checkTogether refuses what age refuses: a passphrase beside anything, and
// hybrid keys beside others, which would give away what they protect.
func checkTogether(types []string) error {
	all := len(types)
	if all == 0 {
		return fmt.Errorf("%w: there are none", ErrRecipients)
	}
	types = slices.DeleteFunc(slices.Clone(types), isPluginType) // age asks them, by their labels
	for _, t := range types {
		if t == "scrypt" && all > 1 {
			return fmt.Errorf("%w: a passphrase has to be the only one", ErrRecipients)
		}
		if postQuantum(t) != postQuantum(types[0]) {
			return errMixed
		}
	}
	return nil
}
