package place

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// ledgerFolder is where a place keeps its ledger.
const ledgerFolder = ownFolder + "/verified"

// maxRecord bounds one record of a ledger.
const maxRecord = 1 << 20

// A run's name is part of a file's. The bound is not in the expression: to unfold
// it costs each start of the program more than all others together.
var runName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

const maxRunName = 100

// Ledger keeps what a run found out about the archives of a place: one file for
// each, written once. Runs are told apart by their names; the processes of one run
// share its name.
//
// It is not a proof against those who may write to it.
type Ledger struct {
	store Store
	run   string
}

// OpenLedger opens the ledger of a run in a store.
func OpenLedger(store Store, run string) (*Ledger, error) {
	if len(run) > maxRunName || !runName.MatchString(run) {
		return nil, fmt.Errorf("%q is not a name for a run: at most 100 letters, digits, dots, dashes and underscores", run)
	}
	return &Ledger{store, run}, nil
}

// Run is the run's name.
func (l *Ledger) Run() string { return l.run }

// recordName holds the archive's version: one that was replaced is another one.
func (l *Ledger) recordName(e Entry) string {
	sum := sha256.Sum256([]byte(e.Name + "\x00" + e.Version))
	return path.Join(ledgerFolder, l.run, hex.EncodeToString(sum[:16])+".json")
}

// Get gives the record of an archive, nil when there is none.
func (l *Ledger) Get(ctx context.Context, e Entry) ([]byte, error) {
	record, err := l.store.Read(ctx, l.recordName(e), maxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return record, err
}

// Put writes the record of an archive. One that is there stays: another process
// of the run was quicker.
func (l *Ledger) Put(ctx context.Context, e Entry, record []byte) error {
	err := l.store.Put(ctx, l.recordName(e), bytes.NewReader(record))
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("writing the ledger: %w", err)
	}
	return nil
}

// Records gives all records of a run, "" for those of all runs, in the order of
// their names.
func Records(ctx context.Context, store Store, run string) ([][]byte, error) {
	folder := ledgerFolder
	if run != "" {
		l, err := OpenLedger(store, run)
		if err != nil {
			return nil, err
		}
		folder = path.Join(ledgerFolder, l.run)
	}
	names, err := store.Below(ctx, folder)
	if err != nil {
		return nil, fmt.Errorf("reading the ledger: %w", err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".json") })
	slices.Sort(names)
	records := make([][]byte, len(names))
	errs := make([]error, len(names))
	var wait sync.WaitGroup
	for worker := range readers {
		wait.Go(func() {
			for i := worker; i < len(names) && ctx.Err() == nil; i += readers {
				records[i], errs[i] = store.Read(ctx, names[i], maxRecord)
			}
		})
	}
	wait.Wait()
	if err := errors.Join(ctx.Err(), errors.Join(errs...)); err != nil {
		return nil, fmt.Errorf("reading the ledger: %w", err)
	}
	return records, nil
}

// readers is how many records are read side by side: what takes time is the way
// to the store.
const readers = 16
