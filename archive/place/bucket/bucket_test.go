package bucket_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	cryptorand "crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"log"
	"math/big"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/archive/place"
	"github.com/lifeboat-dr/lifeboat/archive/place/bucket"
)

func random(n int, seed uint64) []byte {
	data, r := make([]byte, n), rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = r.Read(data) // it never fails
	return data
}

func push(t *testing.T, b *bucket.Bucket, name string, data []byte) (bool, error) {
	t.Helper()
	sums, err := b.Sum(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	digest := sha256.Sum256(data)
	require.Equal(t, hex.EncodeToString(digest[:]), sums.Digest)
	return b.Push(t.Context(), name, bytes.NewReader(data), sums, bucket.PushOptions{})
}

func content(t *testing.T, b *bucket.Bucket, name string) ([]byte, error) {
	t.Helper()
	e, err := b.Entry(t.Context(), name)
	require.NoError(t, err)
	file, err := b.Open(t.Context(), e)
	require.NoError(t, err)
	defer file.Close()
	return io.ReadAll(file)
}

// What is pushed comes back, small or in parts, and is not sent twice or
// overwritten.
func TestPushAndRead(t *testing.T) {
	t.Parallel()
	f, b := newFaulty(t, nil)
	for name, size := range map[string]int{"empty.tar": 0, "small.tar.gz": 1000, "one.tar.gz": 1 << 20, "three.tar": 3 << 20, "large.tar.gz": 3<<20 + 7} {
		data := random(size, 1)
		sent, err := push(t, b, name, data)
		require.NoError(t, err)
		require.True(t, sent)
		got, err := content(t, b, name)
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got))
		sent, err = push(t, b, name, data)
		require.NoError(t, err)
		require.False(t, sent)
		_, err = push(t, b, name, append(data, 'x'))
		require.ErrorIs(t, err, fs.ErrExist)
	}
	entries, err := b.List(t.Context())
	require.NoError(t, err)
	require.Len(t, entries, 5)
	require.Empty(t, f.uploads)
	for key := range f.objects {
		require.NotContains(t, key, "uploads", "the note of an upload goes with it")
	}
	e, err := b.Entry(t.Context(), "large.tar.gz")
	require.NoError(t, err)
	require.NoError(t, b.Remove(t.Context(), e))
	_, err = b.Entry(t.Context(), "large.tar.gz")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// A push that was cut off goes on: what is there is not sent again.
func TestPushGoesOn(t *testing.T) {
	t.Parallel()
	down := true
	f, b := newFaulty(t, func(r *http.Request) fault {
		if down && r.URL.Query().Get("partNumber") == "3" {
			return fault{status: http.StatusForbidden}
		}
		return fault{}
	})
	data := random(5<<20-9, 2)
	_, err := push(t, b, "a.tar.gz", data)
	require.ErrorIs(t, err, fs.ErrPermission)
	_, err = b.Entry(t.Context(), "a.tar.gz")
	require.ErrorIs(t, err, fs.ErrNotExist, "half of it has no name")
	f.mu.Lock()
	down, f.heard = false, nil
	f.mu.Unlock()
	_, err = push(t, b, "a.tar.gz", data)
	require.NoError(t, err)
	got, err := content(t, b, "a.tar.gz")
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))
	sent := strings.Count(strings.Join(f.heard, "\n"), "partNumber=")
	require.Less(t, sent, 5, "of five parts the first two were there")
}

// Stores that throttle, break off or say nothing are asked again; the bytes are
// the same.
func TestReadsGoOn(t *testing.T) {
	t.Parallel()
	n := 0
	f, b := newFaulty(t, nil)
	data := random(3<<20, 3)
	_, err := push(t, b, "a.tar", data)
	require.NoError(t, err)
	f.fault = func(r *http.Request) fault {
		if r.Method != http.MethodGet {
			return fault{}
		}
		n++
		switch {
		case n == 3:
			return fault{status: http.StatusServiceUnavailable}
		case n < 6:
			return fault{cut: 200_000}
		}
		return fault{}
	}
	got, err := content(t, b, "a.tar")
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))
	require.GreaterOrEqual(t, n, 6)
}

// A store that ends early for good has failed: it has not shown a damaged file.
func TestBrokenOffIsNoEnd(t *testing.T) {
	t.Parallel()
	f, b := newFaulty(t, nil)
	_, err := push(t, b, "a.tar", random(1000, 4))
	require.NoError(t, err)
	f.fault = func(r *http.Request) fault {
		if r.Method == http.MethodGet && !strings.Contains(r.Header.Get("Range"), "bytes=0-") {
			return fault{status: http.StatusForbidden}
		}
		return fault{cut: 500}
	}
	_, err = content(t, b, "a.tar")
	require.Error(t, err)
	require.NotErrorIs(t, err, io.ErrUnexpectedEOF)
}

// What was replaced after the listing is not read as what was listed.
func TestReplaced(t *testing.T) {
	t.Parallel()
	f, b := newFaulty(t, nil)
	_, err := push(t, b, "a.tar", random(1000, 5))
	require.NoError(t, err)
	entries, err := b.List(t.Context())
	require.NoError(t, err)
	delete(f.objects, "prod/a.tar")
	_, err = push(t, b, "a.tar", random(1000, 6))
	require.NoError(t, err)
	file, err := b.Open(t.Context(), entries[0])
	require.NoError(t, err)
	_, err = file.Read(make([]byte, 10))
	require.ErrorIs(t, err, place.ErrReplaced)
	_, err = file.ReadAt(make([]byte, 10), 5)
	require.ErrorIs(t, err, place.ErrReplaced)
	require.ErrorIs(t, b.Remove(t.Context(), entries[0]), place.ErrReplaced)
}

// A store that loses a part, or keeps half, is found out before anybody relies on
// it.
func TestStoresThatLose(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(r *http.Request) fault{
		"a part": func(r *http.Request) fault { return fault{lose: r.URL.Query().Get("partNumber") == "2"} },
		"the half": func(r *http.Request) fault {
			return fault{halve: r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, ".tar")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, b := newFaulty(t, do)
			size := 3 << 20
			if name == "the half" {
				size = 5000
			}
			_, err := push(t, b, "a.tar", random(size, 7))
			require.ErrorContains(t, err, "bytes of the")
		})
	}
}

// Whether a store overwrites is asked, not hoped.
func TestProbe(t *testing.T) {
	t.Parallel()
	for _, overwrites := range []bool{false, true} {
		f, b := newFaulty(t, func(*http.Request) fault { return fault{overwrite: overwrites} })
		kept, err := b.KeepsFirst(t.Context(), "abc")
		require.NoError(t, err)
		require.Equal(t, !overwrites, kept)
		require.Empty(t, f.objects)
	}
}

// What is pushed under a lock is locked, and a store that forgets it is found out.
func TestLock(t *testing.T) {
	t.Parallel()
	data := random(1000, 9)
	until := time.Now().Add(48 * time.Hour)
	f, b := newFaulty(t, func(r *http.Request) fault {
		if r.URL.Query().Has("retention") || r.URL.Query().Has("legal-hold") {
			return fault{status: http.StatusNotImplemented}
		}
		return fault{}
	})
	lock := func(name string) error {
		sums, err := b.Sum(bytes.NewReader(data), 1000)
		require.NoError(t, err)
		_, err = b.Push(t.Context(), name, bytes.NewReader(data), sums, bucket.PushOptions{LockUntil: until})
		return err
	}
	require.NoError(t, lock("a.tar"))
	reason, err := b.Locked(t.Context(), place.Entry{Name: "a.tar"})
	require.NoError(t, err)
	require.Contains(t, reason, "locked until")
	f.forget = true
	require.ErrorContains(t, lock("b.tar"), "did not lock it")
}

// A listing that lies is an error.
func TestHostileBucket(t *testing.T) {
	t.Parallel()
	for _, lie := range []fault{
		{lie: []string{"prod/../../etc/x.tar"}},
		{lie: []string{"other/x.tar"}},
		{lie: []string{"prod/a\x7f.tar.gz"}},
		{lie: []string{"prod/x.tar", "prod/x.tar"}},
		{lie: []string{"prod/x.tar", "prod/y.tar", "prod/x.tar"}},
		{lie: []string{"prod//x.tar"}},
		{lie: []string{"prod/x.tar"}, endless: true},
		{folders: []string{"prod/"}, lie: []string{"elsewhere/a.tar"}},
		{folders: []string{"prod/a/", "prod/a/"}},
		{folders: []string{"prod/a//"}},
		{folders: []string{"prod/a\x7f/"}},
	} {
		_, b := newFaulty(t, func(*http.Request) fault { return lie })
		_, err := b.List(t.Context())
		require.Error(t, err, "%+v", lie)
	}
}

// A listing that lies about a size does not get another archive read for it, or
// the half of one.
func TestListingLiesAboutSizes(t *testing.T) {
	t.Parallel()
	for _, longer := range []int{1, -1, 300_000, -900} {
		f, b := newFaulty(t, nil)
		_, err := push(t, b, "a.tar", random(1000, 8))
		require.NoError(t, err)
		f.fault = func(*http.Request) fault { return fault{longer: longer} }
		entries, err := b.List(t.Context())
		require.NoError(t, err)
		file, err := b.Open(t.Context(), entries[0])
		require.NoError(t, err)
		got, err := io.ReadAll(file)
		if longer > 0 {
			require.Error(t, err, "%d bytes of 1000", len(got))
		} else {
			require.NoError(t, err)
			require.Len(t, got, 1000+longer, "what verify finds cut")
		}
		require.NoError(t, file.Close())
	}
}

// A place of many archives is listed whole, page by page; what the ledger holds
// costs nothing.
func TestHundredThousandObjects(t *testing.T) {
	t.Parallel()
	f, b := newFaulty(t, nil)
	for i := range 50_000 {
		f.objects[fmt.Sprintf("prod/cluster-%02d/%06d.tar.gz.age", i%40, i)] = stored{}
		f.objects[fmt.Sprintf("prod/cluster-%02d/%06d.tar.gz.age.minisig", i%40, i)] = stored{}
	}
	for i := range 20_000 {
		f.objects[fmt.Sprintf("prod/.lifeboat/verified/night-1/%06d.json", i)] = stored{}
	}
	entries, err := b.List(t.Context())
	require.NoError(t, err)
	require.Len(t, entries, 50_000)
	require.True(t, entries[0].Signed)
	require.Less(t, len(f.heard), 125, "requests: a page of a thousand each")
	below, err := b.Below(t.Context(), ".lifeboat/verified/night-1")
	require.NoError(t, err)
	require.Len(t, below, 20_000)
}

// A store that insists on MD5 gets it.
func TestStoreWantsMD5(t *testing.T) {
	t.Parallel()
	_, b := newFaulty(t, func(r *http.Request) fault {
		if r.Method == http.MethodPut && r.Header.Get("Content-Md5") == "" {
			return fault{status: http.StatusBadRequest, code: "InvalidRequest"}
		}
		return fault{}
	})
	data := random(3<<20+5, 11)
	_, err := push(t, b, "a.tar.gz", data)
	require.NoError(t, err)
	got, err := content(t, b, "a.tar.gz")
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))
}

// What was changed between the summing up and the sending is refused by the store.
func TestChangedMeanwhile(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1000, 2<<20 + 9} {
		_, b := newFaulty(t, nil)
		data := random(size, 12)
		sums, err := b.Sum(bytes.NewReader(data), int64(size))
		require.NoError(t, err)
		data[size-5] ^= 1
		_, err = b.Push(t.Context(), "a.tar", bytes.NewReader(data), sums, bucket.PushOptions{})
		require.ErrorContains(t, err, "XAmzContentSHA256Mismatch")
		_, err = b.Entry(t.Context(), "a.tar")
		require.ErrorIs(t, err, fs.ErrNotExist)
	}
}

// A file that cannot be read to its end is an error of its own, at once, and not
// tried again and again for one of the store.
func TestUnreadableMeanwhile(t *testing.T) {
	t.Parallel()
	for name, reason := range map[string]error{"an error of the disk": syscall.EIO, "cut short": io.EOF} {
		for _, size := range []int{1000, 3<<20 + 9} {
			_, b := newFaulty(t, nil)
			data := random(size, 13)
			sums, err := b.Sum(bytes.NewReader(data), int64(size))
			require.NoError(t, err)
			file := &badSector{ReaderAt: bytes.NewReader(data), from: int64(size) - 5, err: reason}
			_, err = b.Push(t.Context(), "a.tar", file, sums, bucket.PushOptions{})
			require.Error(t, err, name)
			require.LessOrEqual(t, file.met.Load(), int64(2), "%s: once to sum it up, once to send it", name)
			_, err = b.Entry(t.Context(), "a.tar")
			require.ErrorIs(t, err, fs.ErrNotExist)
			_, err = b.Push(t.Context(), "a.tar", bytes.NewReader(data), sums, bucket.PushOptions{})
			require.NoError(t, err, "the next run goes on")
		}
	}
}

// badSector is a file whose bytes from one on cannot be read.
type badSector struct {
	io.ReaderAt
	from int64
	err  error
	met  atomic.Int64
}

func (s *badSector) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) <= s.from {
		return s.ReaderAt.ReadAt(p, off)
	}
	s.met.Add(1)
	n := 0
	if s.err == io.EOF && off < s.from {
		n, _ = s.ReaderAt.ReadAt(p[:s.from-off], off) // all of it
	}
	return n, s.err
}

// A store that wants less is sent less: every request is tried again.
func TestThrottledPush(t *testing.T) {
	t.Parallel()
	n := 0
	_, b := newFaulty(t, func(*http.Request) fault {
		if n++; n%4 == 2 {
			return fault{status: http.StatusServiceUnavailable}
		}
		return fault{}
	})
	data := random(3<<20+5, 10)
	sums, err := b.Sum(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	var counted atomic.Int64
	_, err = b.Push(t.Context(), "a.tar.gz", bytes.NewReader(data), sums, bucket.PushOptions{Count: func(n int64) { counted.Add(n) }})
	require.NoError(t, err)
	require.EqualValues(t, len(data), counted.Load(), "what goes twice counts once")
	got, err := content(t, b, "a.tar.gz")
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))
}

// A store refuses whose clock is wrong: it is said what this host's clock says.
func TestClockSkew(t *testing.T) {
	t.Parallel()
	_, b := newFaulty(t, func(*http.Request) fault {
		return fault{status: http.StatusForbidden, code: "RequestTimeTooSkewed"}
	})
	_, err := b.List(t.Context())
	require.ErrorIs(t, err, fs.ErrPermission)
	require.ErrorContains(t, err, "this host's clock says "+time.Now().UTC().Format("2006-"))
}

// What is written over is lifeboat's own.
func TestReplaceOwn(t *testing.T) {
	t.Parallel()
	_, b := newFaulty(t, nil)
	for _, content := range []string{"first", "second"} {
		require.NoError(t, b.Replace(t.Context(), ".lifeboat/catalog/x", []byte(content)))
		data, err := b.Read(t.Context(), ".lifeboat/catalog/x", 100)
		require.NoError(t, err)
		require.Equal(t, content, string(data))
	}
	require.Error(t, b.Replace(t.Context(), "a.tar", []byte("x")))
}

// Nothing about who asks stands in an error, and a URL holds no key.
func TestNoSecretInErrors(t *testing.T) {
	t.Parallel()
	_, b := newFaulty(t, func(*http.Request) fault { return fault{status: http.StatusForbidden} })
	_, err := b.List(t.Context())
	require.ErrorIs(t, err, fs.ErrPermission)
	require.NotContains(t, err.Error(), "hunter2")
	_, err = bucket.Config{}.Open("s3://key:hunter2@host/x")
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
	for _, url := range []string{"s3://", "s3:///x", "s3://b/../x", "s3://b//x", "s3://b/\x1b"} {
		_, err := bucket.Config{}.Open(url)
		require.Error(t, err, "%q", url)
	}
	_, err = bucket.Config{Endpoint: "https://user:hunter2@host"}.Open("s3://b/x")
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
}

// A certificate that nobody vouches for, of another host, or that has ended is
// refused before anything is said; with its CA it is taken. So is a server that
// speaks nothing newer than TLS 1.1.
func TestBadTLS(t *testing.T) {
	t.Parallel()
	good := selfSigned(t, "127.0.0.1", time.Now().Add(time.Hour))
	for name, c := range map[string]struct {
		cert  tls.Certificate
		trust bool
		most  uint16
		says  string
	}{
		"trusted":         {good, true, 0, ""},
		"nobody's":        {good, false, 0, "certificate"},
		"of another host": {selfSigned(t, "192.0.2.1", time.Now().Add(time.Hour)), true, 0, "192.0.2.1"},
		"ended":           {selfSigned(t, "127.0.0.1", time.Now().Add(-time.Hour)), true, 0, "expired"},
		"old protocol":    {good, true, tls.VersionTLS11, "protocol version"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := &faulty{objects: map[string]stored{}}
			server := httptest.NewUnstartedServer(store)
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.TLS = &tls.Config{Certificates: []tls.Certificate{c.cert}, MaxVersion: c.most, MinVersion: tls.VersionTLS10} //nolint:gosec // that is the fault
			server.StartTLS()
			t.Cleanup(server.Close)
			config := bucket.Config{Endpoint: server.URL, AccessKey: "a", SecretKey: "hunter2hunter2"}
			if c.trust {
				config.CAFile = filepath.Join(t.TempDir(), "ca.pem")
				require.NoError(t, os.WriteFile(config.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Certificate[0]}), 0o600))
			}
			b, err := config.Open("s3://backups")
			require.NoError(t, err)
			_, err = b.Entry(t.Context(), "x.tar")
			if c.says == "" {
				require.ErrorIs(t, err, fs.ErrNotExist)
				return
			}
			require.ErrorContains(t, err, c.says)
			require.NotErrorIs(t, err, fs.ErrNotExist)
			require.Empty(t, store.heard, "something was said to a server that is not trusted")
		})
	}
}

// selfSigned is a certificate of one address, its own authority.
func selfSigned(t *testing.T, address string, ends time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), cryptorand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: ends.Add(-24 * time.Hour), NotAfter: ends, IPAddresses: []net.IP{net.ParseIP(address)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(cryptorand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// The files of the trade are read; one with a secret that others can read is
// refused without a word of what is in it.
func TestConfigFiles(t *testing.T) {
	home := t.TempDir()
	for _, name := range []string{"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", home)
	require.NoError(t, os.Mkdir(filepath.Join(home, ".aws"), 0o700))
	secret := filepath.Join(home, ".aws", "credentials")
	require.NoError(t, os.WriteFile(secret, []byte("[default]\naws_access_key_id = me\naws_secret_access_key = hunter2\n[other]\naws_access_key_id = you\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(home, ".aws", "config"), []byte("[default]\nregion = eu-central-1\nendpoint_url = https://s3.example\n[profile other]\nregion = us-west-2\n"), 0o644))
	c, err := bucket.ReadConfig()
	require.NoError(t, err)
	require.Equal(t, bucket.Config{Endpoint: "https://s3.example", Region: "eu-central-1", AccessKey: "me", SecretKey: "hunter2"}, c)
	t.Setenv("AWS_PROFILE", "other")
	t.Setenv("AWS_ENDPOINT_URL", "https://elsewhere")
	c, err = bucket.ReadConfig()
	require.NoError(t, err)
	require.Equal(t, bucket.Config{Endpoint: "https://elsewhere", Region: "us-west-2", AccessKey: "you"}, c)
	t.Setenv("AWS_PROFILE", "")
	require.NoError(t, os.Chmod(secret, 0o644))
	_, err = bucket.ReadConfig()
	require.ErrorContains(t, err, "chmod 600")
	require.NotContains(t, err.Error(), "hunter2")
}
