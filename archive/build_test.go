package archive_test

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/archive"
)

const harbour = "../testdata/harbour/kube-backup.tar.gz"

// item is one entry of an archive under construction.
type item struct {
	name    string
	content string
	flag    byte
	link    string
}

// rawHeader is a tar header that archive/tar would refuse to write.
func rawHeader(name string, flag byte, size int64, link string) []byte {
	b := make([]byte, 512)
	copy(b, name)
	copy(b[100:], "0000644\x00")
	copy(b[108:], "0000000\x00")
	copy(b[116:], "0000000\x00")
	if size < 1<<33 {
		copy(b[124:], fmt.Sprintf("%011o\x00", size))
	} else { // GNU's base-256 form
		b[124] = 0x80
		binary.BigEndian.PutUint64(b[128:], uint64(size))
	}
	copy(b[136:], "14000000000\x00")
	b[156] = flag
	copy(b[157:], link)
	copy(b[257:], "ustar\x0000")
	copy(b[148:], "        ")
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

// rawEntry is a header, the content and its padding.
func rawEntry(i item) []byte {
	flag := i.flag
	if flag == 0 {
		flag = tar.TypeReg
	}
	b := append(rawHeader(i.name, flag, int64(len(i.content)), i.link), i.content...)
	return append(b, make([]byte, -len(b)&511)...)
}

// tarOf is a tar file, without its end.
func tarOf(items ...item) []byte {
	var b []byte
	for _, i := range items {
		b = append(b, rawEntry(i)...)
	}
	return b
}

// closed appends tar's end, padded as GNU tar does.
func closed(b []byte) []byte {
	b = append(bytes.Clone(b), make([]byte, 1024)...)
	return append(b, make([]byte, (10240-len(b)%10240)%10240)...)
}

func gz(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(b)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func zst(t testing.TB, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	defer w.Close()
	return w.EncodeAll(b, nil)
}

// database begins as bbolt's first meta page does.
func database(size int) string {
	b := make([]byte, size)
	binary.LittleEndian.PutUint16(b[8:], 4)
	binary.LittleEndian.PutUint32(b[16:], 0xED0CDAED)
	binary.LittleEndian.PutUint32(b[20:], 2)
	for i := 100; i < size; i++ {
		b[i] = byte(i * i >> 3)
	}
	return string(b)
}

// backup is a small archive of the common shape.
func backup() []item {
	return []item{
		{name: "./etcd-backup.snapshot", content: database(3000)},
		{name: "./kubernetes/", flag: tar.TypeDir},
		{name: "./kubernetes/manifests/etcd.yaml", content: "kind: Pod\n"},
		{name: "./kubernetes/pki/ca.crt", content: "-----BEGIN CERTIFICATE-----\n"},
	}
}

// got is an entry with its content.
type got struct {
	archive.Entry
	content string
}

// readAll reads an archive to its end, or to its first error.
func readAll(src io.Reader, limits archive.Limits) ([]got, *archive.Reader, error) {
	r, err := archive.NewReader(src, limits)
	if err != nil {
		return nil, nil, err
	}
	var all []got
	for {
		e, err := r.Next()
		if err == io.EOF {
			return all, r, nil
		}
		if err != nil {
			return all, r, err
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return all, r, err
		}
		all = append(all, got{*e, string(content)})
	}
}

func read(src []byte) ([]got, *archive.Reader, error) {
	return readAll(bytes.NewReader(src), archive.Limits{})
}

// unpackHarbour gives the real backup's entries; the snapshot is cut to most
// bytes, 0 for all of it.
func unpackHarbour(t testing.TB, most int) []item {
	t.Helper()
	f, err := os.Open(harbour)
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	var items []item
	for tr := tar.NewReader(z); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return items
		}
		require.NoError(t, err)
		content, err := io.ReadAll(tr)
		require.NoError(t, err)
		if most > 0 && len(content) > most {
			content = content[:most]
		}
		items = append(items, item{name: h.Name, content: string(content), flag: h.Typeflag})
	}
}
