package apiserver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/lifeboat-dr/lifeboat/registry/apiserver/spec"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// Facts are what the first line of a server says.
type Facts struct {
	Revision   int64     `json:"revision"`
	Compacted  int64     `json:"compacted"` // revisions below it are not held; -1 where only the newest is
	Moment     time.Time `json:"moment,omitzero"`
	Objects    int       `json:"objects"`
	Unserved   int       `json:"unserved"` // of them, those that no resource of the API leads to
	Kubernetes string    `json:"kubernetes"`

	// Digest tells one backup from another in a URL, under which clients keep
	// what they discovered.
	Digest string `json:"-"`
}

// Behind is how long ago the backup's moment is, as kubectl writes ages.
func (f Facts) Behind(now time.Time) string { return duration.HumanDuration(now.Sub(f.Moment)) }

// Facts counts what the API without /rev/N shows.
func (s *Server) Facts(ctx context.Context) (Facts, error) {
	idx, err := s.indexes.at(ctx, s.revision)
	if err != nil {
		return Facts{}, err
	}
	f := Facts{Revision: s.revision, Compacted: -1, Moment: idx.moment(), Objects: idx.objects, Kubernetes: spec.Version()}
	if h, ok := s.opts.Reader.(history); ok {
		f.Compacted = h.CompactRevision()
	}
	f.Unserved = idx.objects
	seen := map[string]bool{}
	for _, r := range s.catalog.served {
		if gr := r.stored.GroupResource(); !seen[gr.String()] {
			seen[gr.String()] = true
			f.Unserved -= len(idx.records[gr])
		}
	}
	f.Digest = s.digestOf(idx, f)
	return f, nil
}

// digestOf tells backups apart by what they hold newest, and by how it is
// shown.
func (s *Server) digestOf(idx *index, f Facts) string {
	sum := sha256.New()
	fmt.Fprintln(sum, f, s.opts.RedactSecrets, s.opts.Registry.Prefix)
	newest := snapshot.KeyValue{}
	for _, records := range idx.records {
		for _, record := range records {
			if record.ModRevision > newest.ModRevision || record.ModRevision == newest.ModRevision && string(record.Key) < string(newest.Key) {
				newest = record
			}
		}
	}
	sum.Write(newest.Key)
	sum.Write(newest.Value)
	return hex.EncodeToString(sum.Sum(nil)[:8])
}
