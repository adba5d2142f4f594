package snapshot

import "encoding/binary"

// checkFreelist visits the freelist after the trees. Current etcd keeps none in
// the file (NoFreelistSync). Reading needs no freelist, so its faults do not
// stop Open; Check reports them.
func (s *structure) checkFreelist() error {
	if s.freelist == noFreelist {
		return nil
	}
	p, err := s.visit(s.freelist)
	if err != nil {
		return err
	}
	if p.flags != freelistFlag {
		return s.damage(p.id, "page of kind %#x where the freelist has to be", p.flags)
	}
	// A count of 0xffff means that the first entry is the count (bbolt
	// internal/common/page.go FreelistPageCount).
	ids, count := p.data[pageHeaderSize:], uint64(p.count)
	if count == 0xffff && len(ids) >= 8 {
		ids, count = ids[8:], binary.NativeEndian.Uint64(ids)
	}
	if count > uint64(len(ids)/8) {
		return s.damage(p.id, "freelist of %d entries does not fit in its page", count)
	}
	for i := range count {
		id := binary.NativeEndian.Uint64(ids[8*i:])
		if id < 2 || id >= s.pages {
			return s.damage(p.id, "freelist names page %d, out of range", id)
		}
		if bit := uint64(1) << (id % 64); s.seen[id/64].Or(bit)&bit != 0 {
			return s.damage(p.id, "freelist names page %d, which is in use or named twice", id)
		}
	}
	return nil
}
