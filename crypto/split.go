package crypto

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/secretsharing"
)

// ErrShares says that shares do not give a key.
var ErrShares = errors.New("the shares do not open the key")

// ShareError says why, and which of the shares is to blame. errors.Is(err,
// ErrShares) holds.
type ShareError struct {
	Share  string // name of the page, "" for all of them together
	Reason string
}

func (e *ShareError) Error() string {
	if e.Share == "" {
		return e.Reason
	}
	return fmt.Sprintf("%q: %s", e.Share, e.Reason)
}

func (e *ShareError) Is(target error) bool { return target == ErrShares }

// maxShares bounds both numbers of a split.
const maxShares = 50

// Split is a private key that so many people together can open.
type Split struct {
	// Locked is the file with the key, locked. It is no secret without the
	// shares, and no use either: it has to be kept as well.
	Locked []byte
	// Pages are the shares, each a page of text to be printed.
	Pages [][]byte
}

// SplitIdentity locks a file of private keys, as of ReadIdentities, with a random
// number and splits that into shares, of which threshold open it (Shamir's
// sharing, with Feldman's commitments that tell a wrong share; circl's
// secretsharing over P-256). Fewer tell nothing of it.
func SplitIdentity(identity []byte, shares, threshold int, now time.Time) (*Split, error) {
	if threshold < 2 || shares < threshold || shares > maxShares {
		return nil, fmt.Errorf("splitting a key into %d shares of which %d open it: at least 2 have to, of at most %d", shares, threshold, maxShares)
	}
	ids, err := parseIdentities("the key", identity, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("splitting a key: %w", err)
	}
	public, err := (&IdentityFile{Identities: ids}).Public()
	if err != nil {
		return nil, fmt.Errorf("splitting a key: %w", err)
	}
	secret := group.P256.RandomNonZeroScalar(rand.Reader)
	sharing := secretsharing.New(rand.Reader, uint(threshold-1), secret)
	k := &splitKey{threshold: threshold, shares: shares, commitment: sharing.CommitSecret()}
	if err := k.seal(identity, secret); err != nil {
		return nil, fmt.Errorf("splitting a key: %w", err)
	}
	s := &Split{}
	if s.Locked, err = k.encode(); err != nil {
		return nil, fmt.Errorf("splitting a key: %w", err)
	}
	for i, share := range sharing.Share(uint(shares)) {
		page, err := k.page(i+1, share, public, now)
		if err != nil {
			return nil, fmt.Errorf("splitting a key: %w", err)
		}
		s.Pages = append(s.Pages, page)
	}
	return s, nil
}

// splitKey is the locked file.
type splitKey struct {
	threshold, shares int
	commitment        secretsharing.SecretCommitment
	sealed            []byte // armored age file
}

// set tells the shares of one split from those of another.
func (k *splitKey) set() ([4]byte, error) {
	sum := sha256.New()
	for _, c := range k.commitment {
		data, err := c.MarshalBinaryCompress()
		if err != nil {
			return [4]byte{}, err
		}
		sum.Write(data)
	}
	return [4]byte(sum.Sum(nil)[:4]), nil
}

// passphrase is what the random number derives: 256 bits, so that no work factor
// is needed, and age alone opens the file with it.
func (k *splitKey) passphrase(secret group.Scalar) (string, error) {
	set, err := k.set()
	if err != nil {
		return "", err
	}
	data, err := secret.MarshalBinary()
	if err != nil {
		return "", err
	}
	key, err := hkdf.Key(sha256.New, data, set[:], "lifeboat split key 1", sha256.Size)
	return hex.EncodeToString(key), err
}

func (k *splitKey) seal(identity []byte, secret group.Scalar) error {
	passphrase, err := k.passphrase(secret)
	if err != nil {
		return err
	}
	lock, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return err
	}
	lock.SetWorkFactor(10)
	var out bytes.Buffer
	a := armor.NewWriter(&out)
	w, err := age.Encrypt(a, lock)
	if err != nil {
		return err
	}
	_, err = w.Write(identity)
	err = errors.Join(err, w.Close(), a.Close())
	k.sealed = out.Bytes()
	return err
}

const splitHeader = "lifeboat split key 1"

func (k *splitKey) encode() ([]byte, error) {
	set, err := k.set()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nset %x\nthreshold %d\nshares %d\n", splitHeader, set, k.threshold, k.shares)
	for _, c := range k.commitment {
		data, err := c.MarshalBinaryCompress()
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "commitment %x\n", data)
	}
	b.Write(k.sealed)
	return b.Bytes(), nil
}

// parseSplit reads a locked file.
func parseSplit(locked []byte) (*splitKey, error) {
	head, sealed, ok := strings.Cut(string(plainText(locked)), "-----BEGIN AGE")
	lines := strings.Split(strings.ReplaceAll(strings.TrimSpace(head), "\r", ""), "\n")
	if !ok || lines[0] != splitHeader {
		return nil, &ShareError{Reason: "this is no locked key of key split"}
	}
	k, said := &splitKey{sealed: []byte("-----BEGIN AGE" + sealed)}, ""
	for _, line := range lines[1:] {
		word, value, _ := strings.Cut(line, " ")
		var err error
		switch word {
		case "set":
			said = value
		case "threshold":
			k.threshold, err = strconv.Atoi(value)
		case "shares":
			k.shares, err = strconv.Atoi(value)
		case "commitment":
			var data []byte
			element := group.P256.NewElement()
			if data, err = hex.DecodeString(value); err == nil {
				err = element.UnmarshalBinary(data)
			}
			k.commitment = append(k.commitment, element)
		}
		if err != nil || len(k.commitment) > maxShares {
			return nil, &ShareError{Reason: "the locked key is damaged"}
		}
	}
	set, err := k.set()
	if err != nil || hex.EncodeToString(set[:]) != said || len(k.commitment) != k.threshold || k.threshold < 2 || k.shares < k.threshold || k.shares > maxShares {
		return nil, &ShareError{Reason: "the locked key is damaged"}
	}
	return k, nil
}

// Page is a share as it was printed or typed in again.
type Page struct {
	Name string // for messages
	Text []byte
}

// Combine opens a locked key with as many shares as it takes, in any order; more
// are checked, too. A *ShareError tells a slip of the pen (and its line), a share
// of another key, one that is none of this key's although it claims to be, and too
// few of them.
func Combine(locked []byte, pages []Page) (identity []byte, err error) {
	k, err := parseSplit(locked)
	if err != nil {
		return nil, err
	}
	var shares []secretsharing.Share
	var seen []int
	for _, page := range pages {
		index, share, err := k.read(page)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(seen, index) {
			seen, shares = append(seen, index), append(shares, share)
		}
	}
	if len(shares) < k.threshold {
		return nil, &ShareError{Reason: fmt.Sprintf("%d of %d shares are here, and it takes %d", len(shares), k.shares, k.threshold)}
	}
	secret, err := secretsharing.Recover(uint(k.threshold-1), shares)
	if err != nil {
		return nil, &ShareError{Reason: "the shares do not fit together"}
	}
	return k.open(secret)
}

func (k *splitKey) open(secret group.Scalar) ([]byte, error) {
	passphrase, err := k.passphrase(secret)
	if err != nil {
		return nil, err
	}
	lock, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, err
	}
	lock.SetMaxWorkFactor(10)
	plain, err := age.Decrypt(armor.NewReader(bytes.NewReader(k.sealed)), lock)
	if err != nil {
		return nil, &ShareError{Reason: "the locked key is damaged: the shares are right, and what they open is not"}
	}
	identity, err := io.ReadAll(io.LimitReader(plain, maxIdentityFile))
	if err != nil {
		return nil, &ShareError{Reason: "the locked key is damaged: the shares are right, and what they open is not"}
	}
	return identity, nil
}

// OpenShared gives the identities of a split key, and leaves the key in memory.
func OpenShared(name string, locked []byte, pages []Page) (*IdentityFile, error) {
	identity, err := Combine(locked, pages)
	if err != nil {
		return nil, err
	}
	ids, err := parseIdentities(name, identity, nil, nil)
	return &IdentityFile{Path: name, Identities: ids}, err
}
