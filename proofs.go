package lifeboat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/archive/place"
	"github.com/lifeboat-dr/lifeboat/internal/whole"
)

// ProofRecord says when an archive was last proven, and with what result. It
// stands beside the archive, and vouches for nothing by itself: a proof's report
// can be signed.
type ProofRecord struct {
	Archive string    `json:"archive"` // sha256 of the file
	Size    int64     `json:"size"`    // of the file, in bytes
	Proven  time.Time `json:"proven"`  // when the proof began
	Verdict string    `json:"verdict"`
	Took    float64   `json:"took"`   // seconds until an API server was ready
	Server  string    `json:"server"` // kube-apiserver's version
}

// WriteBeside puts the record beside an archive, in the place of an older one.
func (r ProofRecord) WriteBeside(archive string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	file, err := whole.NewFile(archive+place.ProofSuffix, whole.Options{Existing: whole.Overwrite})
	if err != nil {
		return fmt.Errorf("recording the proof of %q: %w", archive, err)
	}
	if _, err := file.Write(append(data, '\n')); err != nil {
		return errors.Join(fmt.Errorf("recording the proof of %q: %w", archive, err), file.Discard())
	}
	return file.Commit()
}

// Started reports whether an API server came up from the archive: whatever is
// missing from it, that is a backup to go back to.
func (r ProofRecord) Started() bool { return strings.HasPrefix(r.Verdict, "proven") }

// maxProof bounds the file: it has some hundred bytes.
const maxProof = 64 << 10

// readProof gives the record beside an archive of a place; nil when there is none.
// One that is of another file is an error: an archive of the same name has taken
// the place of the proven one.
func readProof(ctx context.Context, store place.Store, e place.Entry) (*ProofRecord, error) {
	if !e.Proof {
		return nil, nil
	}
	name := e.Name + place.ProofSuffix
	data, err := store.Read(ctx, name, maxProof)
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", name, err)
	}
	var r ProofRecord
	if json.Unmarshal(data, &r) != nil || r.Archive == "" || r.Verdict == "" {
		return nil, fmt.Errorf("reading %q: it is not a proof", name)
	}
	if e.Size != r.Size {
		return nil, fmt.Errorf("reading %q: it is of a file of %d bytes, and the archive has %d", name, r.Size, e.Size)
	}
	return &r, nil
}
