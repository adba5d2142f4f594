package lifeboat_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive/place"
	"github.com/lifeboat-dr/lifeboat/archive/place/bucket"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/internal/whole"
)

// linked is a place of one archive under so many names.
func linked(b *testing.B, archives int) *fleet {
	b.Helper()
	f := newFleet(b, 1, 1)
	for i := range archives - 1 {
		for _, suffix := range []string{"", lifeboat.SignatureSuffix} {
			require.NoError(b, os.Link(f.path(f.names[0])+suffix, filepath.Join(f.dir, fmt.Sprintf("n%05d.tar.gz.age%s", i, suffix))))
		}
	}
	return f
}

// BenchmarkPlace is what an archive of a place costs: to be told, by its
// signature or its beginning, and to be verified whole.
func BenchmarkPlace(b *testing.B) {
	run := func(name string, archives int, do func(f *fleet) error) {
		b.Run(name, func(b *testing.B) {
			f := linked(b, archives)
			for b.Loop() {
				require.NoError(b, do(f))
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*archives), "µs/archive")
		})
	}
	byKey := func(f *fleet) lifeboat.Options { return lifeboat.Options{Identities: []string{f.key}} }
	run("catalog of 10000 by signature", 10_000, func(f *fleet) error {
		_, err := lifeboat.Catalog(b.Context(), f.store(b), lifeboat.Options{PubKey: f.pubkey})
		return err
	})
	run("catalog of 10000 by beginning", 10_000, func(f *fleet) error {
		_, err := lifeboat.Catalog(b.Context(), f.store(b), byKey(f))
		return err
	})
	run("catalog of 10000 by its cache", 10_000, func(f *fleet) error {
		_, err := lifeboat.CachedCatalog(b.Context(), f.store(b), byKey(f))
		return err
	})
	run("verify", 200, func(f *fleet) error {
		_, err := lifeboat.VerifyPlace(b.Context(), f.store(b), f.options(), lifeboat.PlaceOptions{})
		return err
	})
	run("sample of 5%", 1000, func(f *fleet) error {
		_, err := lifeboat.VerifyPlace(b.Context(), f.store(b), f.options(), lifeboat.PlaceOptions{Sample: place.Sample{Percent: 5}})
		return err
	})
}

// against runs two pieces of work in turn, and reports how fast the first is, as
// a part of the second's speed.
func against(b *testing.B, bytes int64, ours, theirs func() error) {
	b.Helper()
	var took [2]time.Duration
	b.SetBytes(bytes)
	for b.Loop() {
		for i, do := range []func() error{ours, theirs} {
			started := time.Now()
			require.NoError(b, do())
			took[i] += time.Since(started)
		}
	}
	b.ReportMetric(took[0].Seconds()/float64(b.N), "s/ours")
	b.ReportMetric(took[1].Seconds()/float64(b.N), "s/theirs")
	b.ReportMetric(took[1].Seconds()/took[0].Seconds(), "×theirs")
}

// BenchmarkBucket holds what goes through a store on loopback against the same
// from a disk, and against the store's own client, as it is without options: it
// signs each block of 64 KiB, sends as many parts at once, and neither reads the
// file before nor asks the store for anything behind it, as a push does.
func BenchmarkBucket(b *testing.B) {
	store, client := startStore(b)
	f := newFleet(b, 1, 0)
	for n := range 3 {
		f.names = append(f.names, f.pack(b, clusterUID(0), 40_000+n, f.team, ""))
	}
	total := f.size(b)
	for _, name := range f.names {
		_, err := lifeboat.Push(b.Context(), f.path(name), store, time.Time{}, lifeboat.Observer{})
		require.NoError(b, err)
	}
	verify := func(store place.Store) func() error {
		return func() error {
			report, err := lifeboat.VerifyPlace(b.Context(), store, f.options(), lifeboat.PlaceOptions{})
			return errors.Join(err, report.Verdict())
		}
	}
	b.Run("verify, as from a disk", func(b *testing.B) {
		against(b, total, verify(store), verify(f.store(b)))
	})
	b.Run("push, as the store's client", func(b *testing.B) {
		const size = 256 << 20
		path, n := filepath.Join(b.TempDir(), "large.tar.gz.age"), 0
		writeRandom(b, path, size)
		against(b, size, func() error {
			n++
			name := filepath.Join(b.TempDir(), fmt.Sprintf("ours-%d.tar.gz.age", n))
			if err := os.Link(path, name); err != nil {
				return err
			}
			_, err := lifeboat.Push(b.Context(), name, store, time.Time{}, lifeboat.Observer{})
			return err
		}, func() error {
			_, err := client.FPutObject(b.Context(), "backups", fmt.Sprintf("theirs-%d", n), path, minio.PutObjectOptions{})
			return err
		})
	})
}

func writeRandom(b *testing.B, path string, size int64) {
	b.Helper()
	file, err := os.Create(path)
	require.NoError(b, err)
	_, err = io.CopyN(file, rand.NewChaCha8([32]byte{}), size)
	require.NoError(b, errors.Join(err, file.Close()))
}

// size is that of all archives.
func (f *fleet) size(b *testing.B) (total int64) {
	b.Helper()
	for _, name := range f.names {
		info, err := os.Stat(f.path(name))
		require.NoError(b, err)
		total += info.Size()
	}
	return total
}

// BenchmarkRekeyPlace holds re-keying a place against copying it, each archive
// written through to the disk. Re-keying authenticates all that it copies and sums
// it up beside that; a signed copy is held against a copy that is signed after
// it, too, since the copy alone does nothing of what a signature takes.
func BenchmarkRekeyPlace(b *testing.B) {
	f := newFleet(b, 1, 0)
	for n := range 3 {
		f.names = append(f.names, fmt.Sprintf("%d.tar.gz.age", n))
		f.seal(b, f.names[n], 100<<20)
	}
	change := crypto.Change{Only: []crypto.Recipient{newKey(b, filepath.Join(b.TempDir(), "second"))}}
	plain, signed := lifeboat.RekeyOptions{Change: change}, lifeboat.RekeyOptions{Change: change, Signer: f.signer}
	for _, c := range []struct {
		name   string
		how    lifeboat.RekeyOptions
		theirs func(to string) error
	}{
		{"as a copy", plain, f.copy},
		{"signed, as a copy", signed, f.copy},
		{"signed, as a copy and its signature", signed, func(to string) error { return errors.Join(f.copy(to), f.sign(to)) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			against(b, f.size(b), func() error {
				done, err := lifeboat.RekeyPlace(b.Context(), f.store(b), filepath.Join(b.TempDir(), "copies"), lifeboat.Options{Identities: []string{f.key}}, c.how)
				return errors.Join(err, lifeboat.RekeyVerdict(done))
			}, func() error {
				return c.theirs(b.TempDir())
			})
		})
	}
}

// sign signs the copies in a folder.
func (f *fleet) sign(folder string) error {
	for i := range f.names {
		path := filepath.Join(folder, strconv.Itoa(i))
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		signature, err := f.signer.Sign(file, "a copy")
		if err = errors.Join(err, file.Close()); err == nil {
			err = whole.WriteFile(path+lifeboat.SignatureSuffix, signature, whole.Options{})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// seal makes an archive of so many bytes that nobody can unpack.
func (f *fleet) seal(b *testing.B, name string, size int64) {
	b.Helper()
	file, err := os.Create(f.path(name))
	require.NoError(b, err)
	w, err := crypto.NewWriter(file, false, f.team...)
	require.NoError(b, err)
	_, err = io.CopyN(w, rand.NewChaCha8([32]byte{}), size)
	require.NoError(b, errors.Join(err, w.Close(), file.Close()))
}

// copy copies the archives, one after the other, each onto the disk.
func (f *fleet) copy(to string) error {
	for i, name := range f.names {
		from, err := os.Open(f.path(name))
		if err != nil {
			return err
		}
		file, err := os.Create(filepath.Join(to, strconv.Itoa(i)))
		if err != nil {
			return errors.Join(err, from.Close())
		}
		_, err = io.CopyBuffer(struct{ io.Writer }{file}, struct{ io.Reader }{from}, make([]byte, 1<<20))
		if err := errors.Join(err, file.Sync(), file.Close(), from.Close()); err != nil {
			return err
		}
	}
	return nil
}

// startStore starts versitygw on loopback, with an empty bucket, out of the
// module that tests against it; GATEWAY names one that is built.
func startStore(b *testing.B) (*bucket.Bucket, *minio.Client) {
	b.Helper()
	program, folder := os.Getenv("GATEWAY"), b.TempDir()
	if program == "" {
		program = filepath.Join(folder, "gateway")
		build := exec.Command("go", "build", "-o", program, "./gateway")
		build.Dir = "testdata/buckets"
		if output, err := build.CombinedOutput(); err != nil {
			b.Skipf("no store to hold it against: %v: %s", err, output)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	address := listener.Addr().String()
	require.NoError(b, listener.Close())
	require.NoError(b, errors.Join(os.Mkdir(filepath.Join(folder, "objects"), 0o700), os.Mkdir(filepath.Join(folder, "versions"), 0o700)))
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, filepath.Join(folder, "objects"), filepath.Join(folder, "versions"), address)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY=lifeboat", "ROOT_SECRET_KEY=benchmark")
	require.NoError(b, cmd.Start())
	b.Cleanup(func() { cancel(); _ = cmd.Wait() }) // it is killed
	client, err := minio.New(address, &minio.Options{Creds: credentials.NewStaticV4("lifeboat", "benchmark", ""), Region: "us-east-1"})
	require.NoError(b, err)
	require.Eventually(b, func() bool {
		return client.MakeBucket(ctx, "backups", minio.MakeBucketOptions{Region: "us-east-1"}) == nil
	}, 20*time.Second, 50*time.Millisecond)
	store, err := bucket.Config{Endpoint: "http://" + address, Region: "us-east-1", AccessKey: "lifeboat", SecretKey: "benchmark"}.Open("s3://backups/prod")
	require.NoError(b, err)
	return store, client
}
