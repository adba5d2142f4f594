package apiserver

import "sync"

// mostBodies bounds the bodies that are kept, in bytes.
const mostBodies = 64 << 20

// bodyID names an item of a list in one form. A backup does not change, so a
// body that was made once can be sent again: k9s asks for what it shows every
// two seconds.
type bodyID struct {
	key      string
	revision int64 // of the index, whose moment ages count to
	form     string
}

// bodies keeps items of lists as they were sent, up to a number of bytes. Which
// of them go when there are too many is left to chance, so that a list that is
// longer than all that can be kept finds some of its items again; what was used
// last would be the next to go, each time.
type bodies struct {
	most int

	mu   sync.Mutex
	byID map[bodyID][]byte
	size int
}

func newBodies(most int) *bodies { return &bodies{most: most, byID: map[bodyID][]byte{}} }

func (b *bodies) get(id bodyID) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.byID[id]
}

func (b *bodies) add(id bodyID, body []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.byID[id]; ok || len(body) > b.most/64 {
		return
	}
	b.byID[id] = body
	b.size += id.size() + len(body)
	for other, body := range b.byID {
		if b.size <= b.most {
			return
		}
		delete(b.byID, other)
		b.size -= other.size() + len(body)
	}
}

// size is about what an entry takes beside its body.
func (id bodyID) size() int { return len(id.key) + 100 }
