package archive

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"unicode/utf8"

	"github.com/klauspost/compress/zlib"
)

// Format is what a stream is, told by its first bytes.
type Format string

// The formats that Detect tells apart. Only Gzip, Zstd and Tar are archives
// that this package reads, and Zip by way of ZipAsTar; the others let an error
// say what it met.
const (
	Empty   Format = "empty"
	Gzip    Format = "gzip"
	Zstd    Format = "zstd"
	Tar     Format = "tar"
	Bolt    Format = "bbolt" // an etcd database, or a snapshot of one
	Age     Format = "age"   // still encrypted
	Bzip2   Format = "bzip2"
	Xz      Format = "xz"
	Zip     Format = "zip"
	Lz4     Format = "lz4"
	Lzip    Format = "lzip"
	Seven   Format = "7z"
	Rar     Format = "rar"
	PGP     Format = "OpenPGP"
	OpenSSL Format = "openssl enc"
	Zlib    Format = "zlib"
	OldZ    Format = "compress" // .Z
	Lzop    Format = "lzop"
	Cpio    Format = "cpio"
	SQLite  Format = "SQLite"                  // what k3s keeps its state in without etcd
	Delta   Format = "Gardener delta snapshot" // the events of some revisions
	Apple   Format = "AppleDouble"             // what macOS keeps beside a file, as ._NAME
	Text    Format = "text"
	Help    Format = "help" // etcdctl's help text (deckhouse-cli issue 46)
	Unknown Format = "unknown"
)

// DetectSize is how many first bytes Detect makes use of: bbolt's second meta
// page begins after one page, and pages have up to 64 KiB.
const DetectSize = 64<<10 + boltMagicAt + 8

// magics are the formats that a fixed beginning tells.
var magics = []struct {
	magic  string
	format Format
}{
	{"\x1f\x8b", Gzip},
	{"\x28\xb5\x2f\xfd", Zstd},
	{"age-encryption.org/", Age},
	{"-----BEGIN AGE ENCRYPTED FILE-----", Age},
	{"BZh", Bzip2},
	{"\xfd7zXZ\x00", Xz},
	{"PK\x03\x04", Zip},
	{"\x04\x22\x4d\x18", Lz4},
	{"LZIP", Lzip},
	{"7z\xbc\xaf\x27\x1c", Seven},
	{"Rar!\x1a\x07", Rar},
	{"-----BEGIN PGP MESSAGE-----", PGP},
	{"Salted__", OpenSSL},
	{"U2FsdGVkX1", OpenSSL}, // the same in base64
	{"\x00\x05\x16\x07", Apple},
	{"\x1f\x9d", OldZ},
	{"\x89LZO\x00\r\n\x1a\n", Lzop},
	{"070701", Cpio},
	{"070702", Cpio},
	{"070707", Cpio},
	{"SQLite format 3\x00", SQLite},
	{`[{"etcdEvent":`, Delta}, // gardener/etcd-backup-restore pkg/snapshot/snapshotter
}

// Detect tells what a stream is by its first bytes. head should hold
// DetectSize of them, fewer only if the stream is shorter.
func Detect(head []byte) Format {
	if len(head) == 0 {
		return Empty
	}
	for _, m := range magics {
		if bytes.HasPrefix(head, []byte(m.magic)) {
			return m.format
		}
	}
	switch {
	case isSkippableFrame(head):
		return Zstd
	case boltMeta(head):
		return Bolt
	case isTar(head):
		return Tar
	case boltSecondMeta(head):
		return Bolt
	case isPGP(head):
		return PGP
	case isText(head):
		if bytes.Contains(head, []byte("etcdctl")) && bytes.Contains(head, []byte("USAGE:")) {
			return Help
		}
		return Text
	case isZlib(head):
		return Zlib
	}
	return Unknown
}

// isZlib asks for a header of RFC 1950 with the usual window, and for a block
// that unpacks.
func isZlib(head []byte) bool {
	if len(head) < 8 || head[0] != 0x78 || binary.BigEndian.Uint16(head)%31 != 0 {
		return false
	}
	z, err := zlib.NewReader(bytes.NewReader(head))
	if err != nil {
		return false
	}
	n, _ := z.Read(make([]byte, 64))
	return n > 0
}

// isSkippableFrame tells zstd's skippable frames, which pzstd writes first
// (RFC 8878 section 3.1.2).
func isSkippableFrame(head []byte) bool {
	return len(head) >= 8 && head[0]&0xf0 == 0x50 && bytes.HasPrefix(head[1:], []byte("\x2a\x4d\x18"))
}

// A bbolt meta page: 16 bytes of page header with the flag at 8, then magic
// and version (go.etcd.io/bbolt/internal/common, page.go and meta.go).
const (
	boltFlagsAt = 8
	boltMagicAt = 16
	boltMeta1   = 0x04
	boltMagic   = 0xED0CDAED
	boltVersion = 2
)

func boltMeta(page []byte) bool {
	return len(page) >= boltMagicAt+4 && binary.LittleEndian.Uint32(page[boltMagicAt:]) == boltMagic
}

// boltSecondMeta finds a database whose first page is damaged, as bbolt does
// itself: by looking for the second meta page at every page size. It asks for
// flag and version too, since these offsets may hold anything.
func boltSecondMeta(head []byte) bool {
	for size := 1 << 10; size <= 64<<10 && size+boltMagicAt+8 <= len(head); size <<= 1 {
		page := head[size:]
		if boltMeta(page) && binary.LittleEndian.Uint16(page[boltFlagsAt:]) == boltMeta1 &&
			binary.LittleEndian.Uint32(page[boltMagicAt+4:]) == boltVersion {
			return true
		}
	}
	return false
}

// isTar asks archive/tar about the first header. One with a wrong checksum
// but the ustar mark is a damaged archive, no unknown thing.
func isTar(head []byte) bool {
	const block, magicAt = 512, 257
	if len(head) < block || bytes.Count(head[:block], []byte{0}) == block {
		return false
	}
	if bytes.HasPrefix(head[magicAt:], []byte("ustar")) {
		return true
	}
	_, err := tar.NewReader(bytes.NewReader(head)).Next()
	return !errors.Is(err, tar.ErrHeader)
}

// isText tells valid UTF-8 without control characters. A rune cut at the end
// of head is not an argument against it.
func isText(head []byte) bool {
	for len(head) > 0 {
		r, n := utf8.DecodeRune(head)
		if r == utf8.RuneError && n == 1 {
			return len(head) < utf8.UTFMax && !utf8.FullRune(head)
		}
		if r < ' ' && r != '\n' && r != '\r' && r != '\t' && r != '\f' && r != '\x1b' || r == 0x7f {
			return false
		}
		head = head[n:]
	}
	return true
}

// isPGP tells a binary OpenPGP message by its first packet: a session key, for a
// public key (version 3 or 6) or a passphrase (version 4 to 6; RFC 9580).
func isPGP(head []byte) bool {
	if len(head) < 16 {
		return false
	}
	at := map[byte]int{0x84: 2, 0x85: 3, 0x8c: 2, 0xc1: 2, 0xc3: 2}[head[0]]
	if at == 0 {
		return false
	}
	version := head[at]
	if head[0] == 0x8c || head[0] == 0xc3 {
		return version >= 4 && version <= 6
	}
	return version == 3 || version == 6
}

// Unwrap is the command that writes what is in a file of this format to its
// standard output, "" where there is none to name.
func (f Format) Unwrap() string {
	switch f {
	case Gzip, OldZ:
		return "gzip -dc FILE"
	case Zstd:
		return "zstd -dc FILE"
	case Bzip2:
		return "bzip2 -dc FILE"
	case Xz:
		return "xz -dc FILE"
	case Lz4:
		return "lz4 -dc FILE"
	case Lzip:
		return "lzip -dc FILE"
	case Lzop:
		return "lzop -dc FILE"
	case Cpio:
		return "bsdtar -cf - @FILE"
	case Zip:
		return "unzip -p FILE"
	case Seven:
		return "7z x -so FILE"
	case Rar:
		return "unrar p -inul FILE"
	case PGP:
		return "gpg --decrypt FILE"
	case Zlib:
		return "pigz -dcz FILE"
	case OpenSSL:
		return "openssl enc -d -aes-256-cbc -pbkdf2 -in FILE"
	}
	return ""
}

// wraps tells a format in which a snapshot may stand that this package does not
// look for in there.
func (f Format) wraps() bool { return f == Tar || f == Age || f == Delta || f.Unwrap() != "" }

// article puts the format into a sentence.
func (f Format) article() string {
	switch f {
	case Empty:
		return "an empty file"
	case Bolt:
		return "an etcd database"
	case Age:
		return "an age file, still encrypted"
	case Text:
		return "text"
	case Help:
		return "etcdctl's help text"
	case Unknown:
		return "bytes of no known format"
	case Delta:
		return "a Gardener delta snapshot: the events after a Full-* snapshot"
	case OpenSSL, PGP, Apple, Xz, Lz4, Lzip, Lzop:
		return "an " + string(f) + " file"
	case SQLite:
		return "a SQLite database"
	case Tar, Gzip, Zstd, Bzip2, Zip, Seven, Rar, Zlib, OldZ, Cpio:
		return "a " + string(f) + " file"
	}
	return string(f)
}
