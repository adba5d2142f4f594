package lifeboat_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive/place"
)

// BenchmarkPlace is what an archive of a place costs: to be told, by its
// signature or its beginning, and to be verified whole.
func BenchmarkPlace(b *testing.B) {
	const archives = 500
	f := newFleet(b, 1, 1)
	for i := range archives - 1 {
		for _, suffix := range []string{"", lifeboat.SignatureSuffix} {
			require.NoError(b, os.Link(f.path(f.names[0])+suffix, filepath.Join(f.dir, fmt.Sprintf("n%05d.tar.gz.age%s", i, suffix))))
		}
	}
	store := f.store(b)
	run := func(name string, do func() error) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				require.NoError(b, do())
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/archives, "µs/archive")
		})
	}
	run("catalog by signature", func() error {
		_, err := lifeboat.Catalog(b.Context(), store, f.options())
		return err
	})
	run("catalog by beginning", func() error {
		_, err := lifeboat.Catalog(b.Context(), store, lifeboat.Options{Identities: []string{f.key}})
		return err
	})
	run("verify", func() error {
		_, err := lifeboat.VerifyPlace(b.Context(), store, f.options(), lifeboat.PlaceOptions{})
		return err
	})
	b.Run("verify of 112 MB", func(b *testing.B) {
		large := newFleet(b, 1, 0)
		name := large.pack(b, clusterUID(0), 40_000, large.team, "")
		info, err := os.Stat(large.path(name))
		require.NoError(b, err)
		b.SetBytes(info.Size())
		for b.Loop() {
			_, err := lifeboat.VerifyPlace(b.Context(), large.store(b), large.options(), lifeboat.PlaceOptions{})
			require.NoError(b, err)
		}
	})
	run("sample of 5%", func() error {
		_, err := lifeboat.VerifyPlace(b.Context(), store, f.options(), lifeboat.PlaceOptions{Sample: place.Sample{Percent: 5}})
		return err
	})
}
