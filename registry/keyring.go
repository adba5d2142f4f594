package registry

import (
	"context"
	"crypto/aes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apiserver/pkg/storage/value"
	aestransformer "k8s.io/apiserver/pkg/storage/value/encrypt/aes"
	"k8s.io/apiserver/pkg/storage/value/encrypt/secretbox"
	"sigs.k8s.io/yaml"
)

// Keyring holds the keys of an EncryptionConfiguration and opens values that
// kube-apiserver encrypted at rest with them. The transformers are
// kube-apiserver's own; which key fits is found by trying, so rotated,
// renamed and regrouped keys still open what they locked.
type Keyring struct {
	keys []storageKey

	// Problems are keys of the configuration that could not be used, by name.
	Problems []string
}

// storageKey is one key of one provider.
type storageKey struct {
	provider    string // "aescbc", "aesgcm", "secretbox"
	name        string
	digest      [32]byte // sha256 of the key, to tell keys apart
	transformer value.Transformer
}

// encryptionConfig is as much of apiserver.config.k8s.io/v1
// EncryptionConfiguration as reading needs. It is decoded leniently: Deckhouse
// adds a signature stanza that the strict decoder of kube-apiserver's
// encryptionconfig package refuses, and `kind: EncryptionConfig` is the name
// that Kubernetes 1.7 to 1.12 used.
type encryptionConfig struct {
	Kind      string `json:"kind"`
	Resources []struct {
		Providers []struct {
			AESCBC    providerConfig `json:"aescbc"`
			AESGCM    providerConfig `json:"aesgcm"`
			Secretbox providerConfig `json:"secretbox"`
		} `json:"providers"`
	} `json:"resources"`
}

// providerConfig is one provider's stanza.
type providerConfig struct {
	Keys []struct {
		Name   string `json:"name"`
		Secret string `json:"secret"`
	} `json:"keys"`
}

// ParseEncryptionConfig reads an EncryptionConfiguration, YAML or JSON. A key
// that cannot be used is a Problem; only a file that is no such configuration
// is an error. No error carries a part of the file: it holds secrets.
func ParseEncryptionConfig(data []byte) (*Keyring, error) {
	ring := &Keyring{}
	return ring, ring.Add(data)
}

// Add takes in the keys of one more configuration, as ParseEncryptionConfig
// does. On an error the Keyring is as before.
func (r *Keyring) Add(data []byte) error {
	var config encryptionConfig
	if err := yaml.Unmarshal(data, &config); err != nil {
		return errors.New("parsing EncryptionConfiguration: not the YAML that kube-apiserver takes (details are withheld, they may hold a key)")
	}
	if config.Kind != "EncryptionConfiguration" && config.Kind != "EncryptionConfig" {
		return fmt.Errorf("parsing EncryptionConfiguration: kind is %q", config.Kind)
	}
	for _, resource := range config.Resources {
		for _, provider := range resource.Providers {
			r.addAll("aescbc", provider.AESCBC)
			r.addAll("aesgcm", provider.AESGCM)
			r.addAll("secretbox", provider.Secretbox)
		}
	}
	return nil
}

func (r *Keyring) addAll(provider string, config providerConfig) {
	for _, k := range config.Keys {
		if err := r.add(provider, k.Name, k.Secret); err != nil {
			r.Problems = append(r.Problems, fmt.Sprintf("%s key %q: %v", provider, k.Name, err))
		}
	}
}

// add takes a key of a provider in; secret is base64. The same key under
// several resources is kept once.
func (r *Keyring) add(provider, name, secret string) error {
	key, err := base64.StdEncoding.DecodeString(secret)
	if err != nil {
		return errors.New("secret is not base64")
	}
	k := storageKey{provider: provider, name: name, digest: sha256.Sum256(key)}
	if slices.ContainsFunc(r.keys, func(o storageKey) bool { return o.digest == k.digest && o.provider == provider && o.name == name }) {
		return nil
	}
	switch provider {
	case "secretbox":
		if len(key) != 32 {
			return fmt.Errorf("secret has %d bytes, want 32", len(key))
		}
		k.transformer = secretbox.NewSecretboxTransformer([32]byte(key))
	case "aescbc", "aesgcm":
		block, err := aes.NewCipher(key)
		if err != nil {
			return fmt.Errorf("secret has %d bytes, want 16, 24 or 32", len(key))
		}
		k.transformer = aestransformer.NewCBCTransformer(block)
		if provider == "aesgcm" {
			if k.transformer, err = aestransformer.NewGCMTransformer(block); err != nil {
				return err
			}
		}
	}
	r.keys = append(r.keys, k)
	return nil
}

// Len is the number of keys that can be tried.
func (r *Keyring) Len() int {
	if r == nil {
		return 0
	}
	return len(r.keys)
}

// LockedError says what locks a value that no key opens.
type LockedError struct {
	Lock  Lock
	Tried int // keys of the provider that were tried
}

func (e *LockedError) Error() string {
	switch {
	case e.Lock.Provider == "kms":
		return fmt.Sprintf("encrypted by %s: only the KMS plugin holds its key", e.Lock)
	case e.Tried == 0:
		return fmt.Sprintf("encrypted by %s, and no %s key is at hand", e.Lock, e.Lock.Provider)
	}
	return fmt.Sprintf("encrypted by %s, and none of the %d %s keys at hand opens it: wrong key", e.Lock, e.Tried, e.Lock.Provider)
}

// Open decrypts a stored value. Values that are not encrypted come back as
// they are. path is the whole etcd key, which AES-GCM authenticates. A nil
// Keyring has no keys. The error is a *LockedError.
func (r *Keyring) Open(ctx context.Context, path string, stored []byte) ([]byte, error) {
	lock, sealed, ok := parseLock(stored)
	if !ok {
		return stored, nil
	}
	locked := &LockedError{Lock: lock}
	if r == nil {
		return nil, locked
	}
	for _, k := range r.keys {
		if k.provider != lock.Provider {
			continue
		}
		locked.Tried++
		for _, body := range bodies(sealed, k.name) {
			plain, _, err := k.transformer.TransformFromStorage(ctx, body, value.DefaultContext(path))
			if err == nil && plausible(plain) {
				return plain, nil
			}
		}
	}
	return nil, locked
}

// plausible tells whether a decrypted value is one. AES-CBC authenticates
// nothing: with a wrong key one padding in 256 is right, so the value itself
// has to prove the key.
func plausible(plain []byte) bool {
	switch FormOf(plain) {
	case Protobuf:
		_, err := unwrap(plain)
		return err == nil
	case JSON:
		return jsonValid(plain)
	case CBOR:
		return cborValid(plain)
	case Encrypted, Opaque:
	}
	return false
}
