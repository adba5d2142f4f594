package lifeboat

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/lifeboat-dr/lifeboat/internal/whole"
)

// ProofSuffix is what the name of an archive's proof adds to the archive's.
const ProofSuffix = ".proof.json"

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
	file, err := whole.NewFile(archive+ProofSuffix, whole.Options{Existing: whole.Overwrite})
	if err != nil {
		return fmt.Errorf("recording the proof of %q: %w", archive, err)
	}
	if _, err := file.Write(append(data, '\n')); err != nil {
		return errors.Join(fmt.Errorf("recording the proof of %q: %w", archive, err), file.Discard())
	}
	return file.Commit()
}

// maxProof bounds the file: it has some hundred bytes.
const maxProof = 64 << 10

// ReadProof reads the proof beside an archive; nil when there is none. One that
// is of another file is an error: an archive of the same name has taken the place
// of the proven one.
func ReadProof(archive string) (*ProofRecord, error) {
	info, err := os.Stat(archive + ProofSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxProof {
		return nil, fmt.Errorf("reading %q: it is not a proof", archive+ProofSuffix)
	}
	data, err := os.ReadFile(archive + ProofSuffix)
	if err != nil {
		return nil, err
	}
	var r ProofRecord
	if json.Unmarshal(data, &r) != nil || r.Archive == "" || r.Verdict == "" {
		return nil, fmt.Errorf("reading %q: it is not a proof", archive+ProofSuffix)
	}
	own, err := os.Stat(archive)
	if err != nil {
		return nil, err
	}
	if own.Size() != r.Size {
		return nil, fmt.Errorf("reading %q: it is of a file of %d bytes, and the archive has %d", archive+ProofSuffix, r.Size, own.Size())
	}
	return &r, nil
}
