package registry

import (
	"bytes"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Lock names what a value was encrypted with, as its prefix says:
//
//	k8s:enc:aescbc:v1:<key name>:     IV (16 bytes), AES-CBC with PKCS#7
//	k8s:enc:aesgcm:v1:<key name>:     nonce (12), AES-GCM; the etcd key is authenticated
//	k8s:enc:secretbox:v1:<key name>:  nonce (24), XSalsa20-Poly1305
//	k8s:enc:kms:v1:<provider name>:   uint16 length, encrypted DEK, AES-GCM
//	k8s:enc:kms:v2:<provider name>:   protobuf EncryptedObject, field 2 names the key
//
// Source: k8s.io/apiserver pkg/server/options/encryptionconfig/config.go.
type Lock struct {
	Provider string // "aescbc", "aesgcm", "secretbox", "kms"
	Version  string // "v1", "v2"
	Name     string // of the key, or of the KMS provider
	KeyID    string // of the remote key, KMS v2 only
}

func (l Lock) String() string {
	switch {
	case l.KeyID != "":
		return fmt.Sprintf("%s %s provider %q with key %q", l.Provider, l.Version, l.Name, l.KeyID)
	case l.Provider == "kms":
		return fmt.Sprintf("%s %s provider %q", l.Provider, l.Version, l.Name)
	}
	return fmt.Sprintf("%s key %q", l.Provider, l.Name)
}

// ParseLock reads the prefix of an encrypted value; ok is false for others.
func ParseLock(stored []byte) (lock Lock, ok bool) {
	lock, _, ok = parseLock(stored)
	return lock, ok
}

// parseLock also returns what follows provider and version: the name, a colon
// and the ciphertext.
func parseLock(stored []byte) (lock Lock, sealed []byte, ok bool) {
	rest, ok := bytes.CutPrefix(stored, encryptedMagic)
	if !ok {
		return Lock{}, nil, false
	}
	provider, rest, ok1 := bytes.Cut(rest, []byte(":"))
	version, sealed, ok2 := bytes.Cut(rest, []byte(":"))
	if !ok1 || !ok2 {
		return Lock{Provider: "unknown"}, nil, true
	}
	lock = Lock{Provider: printable(provider), Version: printable(version)}
	if name, body, ok := bytes.Cut(sealed, []byte(":")); ok {
		lock.Name = printable(name)
		if lock.Provider == "kms" && lock.Version == "v2" {
			lock.KeyID = kmsKeyID(body)
		}
	}
	return lock, sealed, true
}

// bodies are the places where the ciphertext may begin. A key's name may hold
// colons, and so may the random bytes after it: after the name that the
// configuration gives, else (the key was renamed) after each colon of the
// printable beginning. The cipher, or for CBC the plaintext, tells the right
// one.
func bodies(sealed []byte, name string) [][]byte {
	if body, ok := bytes.CutPrefix(sealed, []byte(name+":")); ok {
		return [][]byte{body}
	}
	var found [][]byte
	const longestName = 256
	for i := 0; i < len(sealed) && i < longestName && isPrint(sealed[i]); i++ {
		if sealed[i] == ':' {
			found = append(found, sealed[i+1:])
		}
	}
	return found
}

// kmsKeyID takes field 2, keyID, out of a KMS v2 EncryptedObject
// (k8s.io/apiserver pkg/storage/value/encrypt/envelope/kmsv2/v2/api.proto).
func kmsKeyID(data []byte) string {
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return ""
		}
		data = data[n:]
		if num == 2 && typ == protowire.BytesType {
			id, n := protowire.ConsumeBytes(data)
			if n < 0 {
				return ""
			}
			return printable(id)
		}
		if n = protowire.ConsumeFieldValue(num, typ, data); n < 0 {
			return ""
		}
		data = data[n:]
	}
	return ""
}

// printable keeps what a terminal can show of a name from a file.
func printable(name []byte) string {
	return string(bytes.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r > 0x7e {
			return '?'
		}
		return r
	}, name))
}

func isPrint(b byte) bool { return b >= ' ' && b < 0x7f }
