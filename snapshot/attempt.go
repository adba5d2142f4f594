package snapshot

// Request is a put or a deletion that stands in a write-ahead log.
// Whether it was carried out the log does not say: a transaction compares first.
type Request struct {
	Entry      uint64 // index of the log's entry
	Key, Value []byte // of a deletion the key alone
	Deleted    bool
	RangeEnd   []byte // of the deletion of a range
	KeepsValue bool   // a put that leaves the value as it is and changes the lease
	Leased     bool   // a put that a lease may undo

	Condition Condition
	Guard     int64 // of OnRevision: the mod revision that the key must have, 0 that it must not be there
}

// Condition is what a request hangs on.
type Condition string

// The conditions. OnRevision is what an API server asks: that the object is still
// the one that it had read.
const (
	Always     Condition = ""
	OnRevision Condition = "mod revision"
	OnOther    Condition = "other"
)

// Attempt is a request of before the oldest revision at which a database can be
// read.
type Attempt struct {
	Request

	// Revision is that at which it was carried out, where that is proved: by the
	// database, which still has it, or by a later request, which found the key at
	// this revision. 0 for none.
	Revision int64
	Retained bool // the database still has it

	// Before is the oldest revision of which it is known that it came later.
	Before int64
}
