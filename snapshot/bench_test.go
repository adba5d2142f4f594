package snapshot_test

import (
	"bytes"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// benchKeys makes a database of about 0.3 GB.
const benchKeys = 100_000

// BenchmarkAt compares passes over bucket "key" with the floor that memory
// sets: reading one byte of each cache line of it.
func BenchmarkAt(b *testing.B) {
	path := generate(b, benchKeys)
	db := open(b, path)
	info, err := db.Info(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	namespace := []byte("/infra-production/")
	count := func(b *testing.B, match func([]byte) bool) {
		b.SetBytes(info.SizeInUse)
		b.ReportAllocs()
		for b.Loop() {
			keys := 0
			for _, err := range db.At(b.Context(), 0, match) {
				if err != nil {
					b.Fatal(err)
				}
				keys++
			}
			b.ReportMetric(float64(keys), "keys")
		}
	}
	b.Run("floor", func(b *testing.B) { benchFloor(b, path, info.SizeInUse) })
	b.Run("none", func(b *testing.B) { count(b, func([]byte) bool { return false }) })
	b.Run("namespace", func(b *testing.B) { count(b, func(key []byte) bool { return bytes.Contains(key, namespace) }) })
	b.Run("all", func(b *testing.B) { count(b, nil) })
}

func benchFloor(b *testing.B, path string, size int64) {
	const cacheLine = 64
	db, err := bolt.Open(path, 0, &bolt.Options{ReadOnly: true})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	b.SetBytes(size)
	var sum byte
	for b.Loop() {
		if err := db.View(func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("key")).ForEach(func(_, v []byte) error {
				for i := 0; i < len(v); i += cacheLine {
					sum ^= v[i]
				}
				return nil
			})
		}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(sum), "sum")
}

// BenchmarkOpen is the price of looking at every page before trusting one.
func BenchmarkOpen(b *testing.B) {
	path := generate(b, benchKeys)
	for b.Loop() {
		db, err := snapshot.Open(b.Context(), path)
		if err != nil {
			b.Fatal(err)
		}
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHashKV and BenchmarkInfo touch every record.
func BenchmarkHashKV(b *testing.B) {
	db := open(b, generate(b, benchKeys))
	for b.Loop() {
		if _, err := db.HashKV(b.Context(), 0); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkInfo(b *testing.B) {
	db := open(b, generate(b, benchKeys))
	for b.Loop() {
		if _, err := db.Info(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
