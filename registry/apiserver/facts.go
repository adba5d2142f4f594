package apiserver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/lifeboat-dr/lifeboat/registry/apiserver/spec"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// Facts are what the first line of a server says.
type Facts struct {
	Revision   int64
	Windows    []snapshot.Window // revisions that can be read, the newest first
	Moment     time.Time         // of Revision; the zero time where the backup does not tell
	Objects    int
	Unserved   int    // of them, those that no resource of the API leads to
	Kubernetes string // the linked release: "v1.37.1"

	// Digest tells one backup from another in a URL, under which clients keep
	// what they discovered.
	Digest string
}

// Holds tells nil of a revision that can be read, else what there is.
func (f Facts) Holds(revision int64) error {
	if slices.ContainsFunc(f.Windows, func(w snapshot.Window) bool { return w.Holds(revision) }) && revision <= f.Revision {
		return nil
	}
	return fmt.Errorf("revision %d is not in the backup, which holds %s", revision, wordsOf(f.Windows))
}

// Behind is how long ago the backup's moment is, as kubectl writes ages.
func (f Facts) Behind(now time.Time) string { return duration.HumanDuration(now.Sub(f.Moment)) }

// Facts counts what the API without /rev/N shows.
func (s *Server) Facts(ctx context.Context) (Facts, error) { return s.FactsAt(ctx, s.revision) }

// FactsAt counts what /rev/N shows, for a revision that the backup holds.
func (s *Server) FactsAt(ctx context.Context, revision int64) (Facts, error) {
	idx, err := s.indexes.at(ctx, revision)
	if err != nil {
		return Facts{}, err
	}
	f := Facts{Revision: revision, Windows: s.windows(), Moment: idx.moment(), Objects: idx.objects, Kubernetes: spec.Version()}
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
