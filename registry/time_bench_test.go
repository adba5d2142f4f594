package registry

import (
	"path/filepath"
	"testing"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/snapshottest"
)

// BenchmarkTime: the clock and the history of one key beside a pass over all
// records, and the difference of a database and itself beside reading the live
// keys of both sides.
func BenchmarkTime(b *testing.B) {
	path := filepath.Join(b.TempDir(), "db")
	if _, err := snapshottest.Generate(path, snapshottest.Spec{Keys: 100_000}); err != nil {
		b.Fatal(err)
	}
	db, err := snapshot.Open(b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	r := New(db, Options{})
	run := func(name string, do func() error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("floor", func() error {
		for _, err := range db.Records(b.Context(), 0) {
			if err != nil {
				return err
			}
		}
		return nil
	})
	run("survey", func() error { _, err := r.Survey(b.Context()); return err })
	run("clock", func() error { _, err := r.Clock(b.Context()); return err })
	run("history of one key", func() error {
		_, err := r.History(b.Context(), nil, func(k Key) bool { return k.Name == "web-1018" && k.Plural == "deployments" })
		return err
	})
	run("both keyspaces", func() error {
		for range 2 {
			for _, err := range db.At(b.Context(), 0, nil) {
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	run("diff", func() error { _, err := DiffOf(b.Context(), r, r, DiffOptions{}); return err })
}
