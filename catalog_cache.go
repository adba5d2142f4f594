package lifeboat

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"filippo.io/age"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/lifeboat-dr/lifeboat/archive/place"
	"github.com/lifeboat-dr/lifeboat/crypto"
)

// cacheFolder is where a place keeps what its archives told. It may be removed at
// any time.
const cacheFolder = ".lifeboat/catalog"

// maxCache bounds the file: of 100 000 archives it has some 30 MB.
const maxCache = 64 << 20

// worthCaching is how many archives a run has to have asked anew before it writes
// the cache: asking a few is quick.
const worthCaching = 64

// catalogCache is what the archives of a place told whoever held the same key
// before. It is encrypted and authenticated by a key that is derived from that
// one: who writes to the place can neither read it nor put words into it, and
// only make it useless. It is believed of an archive with the same name, size,
// time stamp and version, and holds nothing that a signature has to prove.
type catalogCache struct {
	store place.Store
	name  string
	aead  cipher.AEAD

	mu    sync.Mutex
	known map[string]cachedFacts // by name, as it was read
	now   map[string]cachedFacts // of this run
	fresh int                    // of those, asked anew
}

// cachedFacts are what one archive told, and which it was.
type cachedFacts struct {
	Name    string    `json:"name"`
	Size    int64     `json:"size"`
	ModTime time.Time `json:"modTime"`
	Version string    `json:"version"`

	Cluster    string    `json:"cluster,omitempty"`
	Revision   int64     `json:"revision"`
	Time       time.Time `json:"time"`
	Clock      bool      `json:"clock,omitempty"`
	Node       string    `json:"node,omitempty"`
	Kubernetes string    `json:"kubernetes,omitempty"`
	Etcd       string    `json:"etcd,omitempty"`
}

func (c cachedFacts) of(e place.Entry) bool {
	return c.Name == e.Name && c.Size == e.Size && c.Version == e.Version && c.ModTime.Equal(e.ModTime)
}

// openCache reads the cache of a place. Whatever is wrong with it, it is an empty
// one; nil when nothing is to be cached: signatures are checked each time, and
// without a key of age's own nothing could authenticate it.
func (t *tellers) openCache(ctx context.Context) *catalogCache {
	secret := t.derive("catalog cache")
	if t.verifier != nil || secret == nil {
		return nil
	}
	aead, err := chacha20poly1305.NewX(secret)
	if err != nil { // the key has the length that it wants
		return nil
	}
	c := &catalogCache{
		store: t.store, name: cacheFolder + "/" + hex.EncodeToString(t.derive("catalog cache name")[:8]),
		aead: aead, known: map[string]cachedFacts{}, now: map[string]cachedFacts{},
	}
	sealed, err := t.store.Read(ctx, c.name, maxCache)
	if err != nil {
		return c
	}
	for _, facts := range c.open(sealed) {
		c.known[facts.Name] = facts
	}
	return c
}

// open gives nothing of what was not sealed with the same key.
func (c *catalogCache) open(sealed []byte) (list []cachedFacts) {
	if len(sealed) < c.aead.NonceSize() {
		return nil
	}
	nonce, text := sealed[:c.aead.NonceSize()], sealed[c.aead.NonceSize():]
	plain, err := c.aead.Open(nil, nonce, text, nil)
	if err != nil || json.Unmarshal(plain, &list) != nil {
		return nil
	}
	return list
}

// listing gives what is known of an archive, if that is the same.
func (c *catalogCache) listing(e place.Entry) (Listing, bool) {
	if c == nil {
		return Listing{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok := c.known[e.Name]
	if !ok || !f.of(e) {
		return Listing{}, false
	}
	c.now[e.Name] = f
	return Listing{
		Entry: e, Cluster: f.Cluster, Revision: f.Revision, Time: f.Time, Clock: f.Clock,
		Node: f.Node, Kubernetes: f.Kubernetes, Etcd: f.Etcd, Told: ToldByArchive,
	}, true
}

// add keeps what an archive has told.
func (c *catalogCache) add(l Listing) {
	if c == nil || l.Told != ToldByArchive || l.Problem != "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fresh++
	c.now[l.Name] = cachedFacts{
		l.Name, l.Size, l.ModTime, l.Version, l.Cluster, l.Revision, l.Time, l.Clock, l.Node, l.Kubernetes, l.Etcd,
	}
}

// save writes the cache where that saves the next run something. A place that is
// read-only stays as it is, and nobody has to hear of it.
func (c *catalogCache) save(ctx context.Context) {
	if c == nil || c.fresh < worthCaching {
		return
	}
	if sealed, err := c.seal(); err == nil && len(sealed) < maxCache {
		_ = c.store.Replace(ctx, c.name, sealed) // see above
	}
}

func (c *catalogCache) seal() ([]byte, error) {
	list := make([]cachedFacts, 0, len(c.now))
	for _, f := range c.now {
		list = append(list, f)
	}
	plain, err := json.Marshal(list)
	nonce := make([]byte, c.aead.NonceSize())
	_, randErr := rand.Read(nonce)
	if err = errors.Join(err, randErr); err != nil {
		return nil, err
	}
	return c.aead.Seal(nonce, nonce, plain, nil), nil
}

// derive gives a key for another purpose out of those that open the archives.
func (t *tellers) derive(purpose string) []byte {
	var own []age.Identity
	for _, id := range t.opts.shared.Identities {
		if shared, ok := id.(*oneByOne); ok {
			own = append(own, shared.id)
		}
	}
	return crypto.Derive(own, purpose)
}
