package lifeboat

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/lifeboat-dr/lifeboat/archive/place"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/internal/shard"
)

// PlaceOptions say what of a place is verified, and how the whole is judged.
type PlaceOptions struct {
	Sample place.Sample  // the zero value is all
	Seed   uint64        // whose turn it is
	Shard  shard.Shard   // the zero value is all
	Ledger *place.Ledger // remembers each verdict, so that the run can go on after a kill; nil for none

	MaxAge place.Duration // of the newest archive of every cluster, the zero value for any
	Now    time.Time      // the present; zero asks the clock
}

func (o PlaceOptions) now() time.Time {
	if o.Now.IsZero() {
		return time.Now().UTC().Truncate(time.Second)
	}
	return o.Now
}

// VerifyPlace looks at the archives of a place, several at once, and at all of
// them together. What the ledger has a verdict of is not looked at again.
//
// Of a shard the report holds its share alone, and nothing is compared with what
// this host remembers: MergePlace does that when all shards have ended.
func VerifyPlace(ctx context.Context, store place.Store, opts Options, how PlaceOptions) (*PlaceReport, error) {
	entries, err := listPlace(ctx, store)
	if err != nil {
		return nil, err
	}
	if opts.PubKey != "" {
		if _, err := crypto.ReadVerifier(opts.PubKey); err != nil {
			return nil, &Error{Class: Misused, Err: err}
		}
	}
	t, err := newTellers(store, opts)
	if err != nil {
		return nil, err
	}
	if opts.PubKey == "" {
		opts.Observer.warn("nothing proves who made the archives: give --pubkey")
	}
	turn := how.Sample.Choose(namesOf(entries), how.Seed)
	mine, total := share(entries, how.Shard), int64(0)
	for _, e := range mine {
		if turn[e.Name] {
			total += e.Size
		}
	}
	phase := opts.Observer.start("verifying "+store.Root(), total)
	defer phase.Done()
	report := &PlaceReport{Place: store.Root(), Findings: make([]Finding, len(mine)), how: how}
	err = sideBySide(ctx, len(mine), runtime.GOMAXPROCS(0), func(i int) (err error) {
		report.Findings[i], err = t.look(ctx, mine[i], how, turn[mine[i].Name])
		if turn[mine[i].Name] {
			phase.Add(mine[i].Size)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	report.judge()
	if how.Shard.Of == 0 {
		report.remember(opts)
	}
	return report, nil
}

func namesOf(entries []place.Entry) []string {
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name
	}
	return names
}

func share(entries []place.Entry, s shard.Shard) []place.Entry {
	return slices.DeleteFunc(slices.Clone(entries), func(e place.Entry) bool { return !s.Has(e.Name) })
}

// look gives the finding of one archive, from the ledger where it has one.
func (t *tellers) look(ctx context.Context, e place.Entry, how PlaceOptions, turn bool) (Finding, error) {
	if how.Ledger != nil {
		record, err := how.Ledger.Get(ctx, e)
		if err != nil {
			return Finding{}, err
		}
		if record != nil {
			f, err := readFinding(record)
			if err != nil || f.Name == e.Name && f.Version == e.Version {
				return f, err
			}
			return f, &Error{Class: Damaged, Err: fmt.Errorf("reading the ledger: the record of %q is of %q", e.Name, f.Name)}
		}
	}
	var f Finding
	var err error
	if turn {
		f, err = t.verified(ctx, e, how.now())
	} else {
		f = t.told(ctx, e, how.now())
	}
	if err != nil || how.Ledger == nil || f.Outcome == OutcomeFailed {
		return f, err // what failed is tried again
	}
	f.Run = how.Ledger.Run()
	record, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return f, err
	}
	return f, how.Ledger.Put(ctx, e, append(record, '\n'))
}

// MergePlace judges a place by the ledger of its runs, or of one of them:
// every archive that is there now once, by its newest verdict.
func MergePlace(ctx context.Context, store, ledger place.Store, run string, opts Options, how PlaceOptions) (*PlaceReport, error) {
	entries, err := listPlace(ctx, store)
	if err != nil {
		return nil, err
	}
	records, err := place.Records(ctx, ledger, run)
	if err != nil {
		return nil, err
	}
	newest := map[string]Finding{}
	for _, record := range records {
		f, err := readFinding(record)
		if err != nil {
			return nil, err
		}
		key := f.Name + "\x00" + f.Version
		if before, ok := newest[key]; !ok || f.beats(before) {
			newest[key] = f
		}
	}
	report := &PlaceReport{Place: store.Root(), how: how}
	for _, e := range entries {
		f, ok := newest[e.Name+"\x00"+e.Version]
		if !ok {
			f = newFinding(e, time.Time{})
			f.Outcome, f.Reason = OutcomeFailed, "no run has looked at it: run its shard again"
		}
		report.Findings = append(report.Findings, f)
	}
	report.judge()
	report.remember(opts)
	return report, nil
}

// beats reports whether a finding says more than another about the same archive.
func (f Finding) beats(other Finding) bool {
	if f.Outcome.Verdict() != other.Outcome.Verdict() {
		return f.Outcome.Verdict()
	}
	return f.Looked.After(other.Looked)
}
