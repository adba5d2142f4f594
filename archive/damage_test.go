package archive_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/archive"
)

// wrappings are the layers around a tar file.
func wrappings(t testing.TB, b []byte) map[string][]byte {
	return map[string][]byte{"gzip": gz(t, b), "zstd": zst(t, b), "tar": b}
}

// An archive cut anywhere says so, names the layer, and gives no whole entry
// that is not one.
func TestCutAnywhere(t *testing.T) {
	t.Parallel()
	whole, _, err := read(closed(tarOf(backup()...)))
	require.NoError(t, err)
	unpadded := append(tarOf(backup()...), make([]byte, 1024)...)
	for layer, src := range wrappings(t, unpadded) {
		t.Run(layer, func(t *testing.T) {
			t.Parallel()
			for n := range src {
				entries, _, err := read(src[:n])
				require.Error(t, err, "cut at %d of %d", n, len(src))
				require.LessOrEqual(t, len(entries), len(whole))
				for i, e := range entries {
					require.True(t, whole[i].content == e.content, "cut at %d: entry %q is not whole", n, e.Name)
				}
				var damaged *archive.DamagedError
				if layer == "gzip" && n < 2 || layer == "zstd" && n < 4 || layer == "tar" && n < 512 {
					require.ErrorIs(t, err, archive.ErrNotArchive) // too short to tell
					continue
				}
				require.ErrorAs(t, err, &damaged, "cut at %d", n)
				require.Equal(t, layer, damaged.Layer, "cut at %d", n)
			}
		})
	}
}

// One flipped bit is seen, or changes nothing: gzip's time stamp, say. A bare
// tar has no checksum over contents, so only its headers are held to that.
func TestOneBitFlipped(t *testing.T) {
	t.Parallel()
	whole, _, err := read(closed(tarOf(backup()...)))
	require.NoError(t, err)
	for layer, src := range wrappings(t, closed(tarOf(backup()...))) {
		t.Run(layer, func(t *testing.T) {
			t.Parallel()
			damaged, policy := 0, 0
			for at := range src {
				if layer == "tar" && at >= 512 {
					break
				}
				bad := bytes.Clone(src)
				bad[at] ^= 1 << (at % 8)
				entries, _, err := read(bad)
				switch {
				case err == nil:
					require.Len(t, entries, len(whole), "byte %d", at)
					for i, e := range entries {
						require.True(t, whole[i].content == e.content && whole[i].Name == e.Name, "byte %d", at)
					}
				case at >= 4 && layer != "tar":
					require.NotErrorIs(t, err, archive.ErrNotArchive, "byte %d: %v", at, err)
				}
				var d *archive.DamagedError
				var p *archive.PolicyError
				if errors.As(err, &d) {
					require.Equal(t, layer, d.Layer, "byte %d: %v", at, err)
					damaged++
				} else if errors.As(err, &p) {
					policy++
				}
			}
			require.Greater(t, damaged, 20*policy, "damage must not pass for malice")
		})
	}
}

func TestAfterTheEnd(t *testing.T) {
	t.Parallel()
	b := closed(tarOf(backup()...))
	other := closed(tarOf(item{name: "x", content: "y"}))
	for name, c := range map[string]struct {
		src   []byte
		is    error
		layer string
		want  string
	}{
		"garbage after gzip":            {append(gz(t, b), "garbage, more than ten bytes"...), archive.ErrDamaged, "gzip", "not the start of another gzip member"},
		"few bytes after gzip":          {append(gz(t, b), "gar"...), archive.ErrDamaged, "gzip", "cut short"},
		"zeros and more after gzip":     {append(append(gz(t, b), make([]byte, 512)...), 'x'), archive.ErrDamaged, "gzip", "trailing data"},
		"zeros and more after zstd":     {append(append(zst(t, b), make([]byte, 512)...), 'x'), archive.ErrDamaged, "zstd", "trailing data"},
		"garbage after zstd":            {append(zst(t, b), "garbage"...), archive.ErrDamaged, "zstd", "trailing data"},
		"garbage in tar":                {append(bytes.Clone(b), "garbage"...), archive.ErrDamaged, "tar", "trailing data after the end"},
		"garbage in tar.gz":             {gz(t, append(bytes.Clone(b), "garbage"...)), archive.ErrDamaged, "tar", "trailing data after the end"},
		"second tar":                    {append(bytes.Clone(b), other...), archive.ErrPolicy, "", "a second archive is appended"},
		"second tar.gz":                 {append(gz(t, b), gz(t, other)...), archive.ErrPolicy, "", "a second archive is appended"},
		"second tar.zst":                {append(zst(t, b), zst(t, other)...), archive.ErrPolicy, "", "a second archive is appended"},
		"second, far behind":            {gz(t, append(append(bytes.Clone(b), make([]byte, 1<<20)...), other...)), archive.ErrPolicy, "", "a second archive is appended"},
		"second, then a damaged gzip":   {append(append(gz(t, b), gz(t, other)...), "garbage garbage"...), archive.ErrDamaged, "gzip", "trailing data"},
		"no end blocks":                 {gz(t, tarOf(backup()...)), archive.ErrNoEnd, "tar", "without tar's two zero blocks"},
		"one end block":                 {gz(t, append(tarOf(backup()...), make([]byte, 512)...)), archive.ErrNoEnd, "tar", "without tar's two zero blocks"},
		"one end block, then an entry":  {gz(t, append(append(tarOf(backup()...), make([]byte, 512)...), other...)), archive.ErrDamaged, "tar", "invalid tar header"},
		"end block, and damaged gzip":   {gzFlipCRC(t, tarOf(backup()...)), archive.ErrDamaged, "gzip", "invalid checksum"},
		"second archive without an end": {gz(t, append(bytes.Clone(b), tarOf(item{name: "x"})...)), archive.ErrPolicy, "", "a second archive is appended"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			entries, _, err := read(c.src)
			require.ErrorIs(t, err, c.is)
			require.ErrorContains(t, err, c.want)
			require.Len(t, entries, 4, "the entries before were read")
			var d *archive.DamagedError
			if c.layer != "" {
				require.ErrorAs(t, err, &d)
				require.Equal(t, c.layer, d.Layer)
			}
		})
	}
	_, _, err := read(gz(t, append(bytes.Clone(b), make([]byte, 1<<20)...)))
	require.NoError(t, err, "padding with zeros is tar's own habit")
}

func gzFlipCRC(t testing.TB, b []byte) []byte {
	src := gz(t, b)
	src[len(src)-8] ^= 1
	return src
}

func TestNotAnArchive(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		src  []byte
		want string
	}{
		"empty":           {nil, "not an archive: an empty file"},
		"database":        {[]byte(database(9000)), "not an archive: an etcd database"},
		"text":            {[]byte("hello"), "not an archive: text"},
		"age":             {[]byte("age-encryption.org/v1\n->"), "an age file, still encrypted"},
		"packed database": {gz(t, []byte(database(9000))), "not an archive: a gzip file, and in it an etcd database, no tar"},
		"packed nothing":  {zst(t, []byte{}), "no"},
		"packed twice":    {gz(t, gz(t, tarOf(backup()...))), "a gzip file, and in it a gzip file"},
		"packed text":     {zst(t, []byte("hello")), "a zstd file, and in it text"},
	} {
		_, _, err := read(c.src)
		require.ErrorIs(t, err, archive.ErrNotArchive, name)
		require.ErrorContains(t, err, c.want, name)
	}
	packed := gz(t, []byte(strings.Repeat("no tar at all", 1000)))
	packed[len(packed)-1] ^= 1
	_, _, err := read(packed)
	require.ErrorIs(t, err, archive.ErrDamaged, "a damaged file may have been an archive")
}
