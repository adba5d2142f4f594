package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

// badArchive is a file that list, unpack and verify meet with the same exit
// code and words; verify may say more than the others.
type badArchive struct {
	data   []byte
	args   []string
	code   console.ExitCode
	words  string           // of standard error
	verify console.ExitCode // of verify alone, where it is another one
}

// What people, disks and enemies make of archives: each has an exit code that
// says what to do next, no secret is shown, no byte of the source changes, and
// what was to be unpacked is there as a whole or not at all.
func TestArchivesAsTheyCome(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	sealed, err := os.ReadFile(s.create(t, "a.age", "-r", s.recipient))
	require.NoError(t, err)
	cases := encryptedInputs(t, s, sealed)
	for name, c := range containerInputs(t, s) {
		cases[name] = c
	}
	for name, c := range contentInputs(t, s) {
		cases[name] = c
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			src, out := filepath.Join(dir, "src.tar.gz"), filepath.Join(dir, "out")
			require.NoError(t, os.WriteFile(src, c.data, 0o400))
			before, err := stateOf(src)
			require.NoError(t, err)
			for _, verb := range [][]string{{"list"}, {"unpack", "--to", out}, {"verify"}} {
				want := c.code
				if verb[0] == "verify" && c.verify != 0 {
					want = c.verify
				}
				r := lifeboat(append(append([]string{"archive", verb[0], src}, verb[1:]...), c.args...)...)
				require.Equal(t, want, r.code, "%s: %s%s", verb[0], r.stdout, r.stderr)
				if want == c.code {
					require.Contains(t, r.stderr, c.words, verb[0])
				}
				require.NotContains(t, r.stdout+r.stderr, "\x1b")
				require.NotContains(t, r.stderr, "panic")
				noSecrets(t, s, r.stdout+r.stderr)
			}
			after, err := stateOf(src)
			require.NoError(t, err)
			require.Equal(t, before, after)
			if c.code == console.ExitDone || c.code == console.ExitIncomplete {
				require.DirExists(t, out)
				require.NoError(t, os.RemoveAll(out))
			}
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Len(t, left, 1)
		})
	}
}

// encryptedInputs are the age layer.
func encryptedInputs(t testing.TB, s *scene, sealed []byte) map[string]badArchive {
	t.Helper()
	open := []string{"-i", s.identity}
	var text bytes.Buffer
	a := armor.NewWriter(&text)
	_, err := a.Write(sealed)
	require.NoError(t, err)
	require.NoError(t, a.Close())
	crlf := append([]byte(" \t\r\n\r\n"), bytes.ReplaceAll(text.Bytes(), []byte("\n"), []byte("\r\n"))...)
	header := bytes.Index(sealed, []byte("\n--- ")) + 1
	payload := header + bytes.IndexByte(sealed[header:], '\n') + 1
	const nonce, chunk = 16, 64<<10 + 16
	stranger, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	phrase := filepath.Join(s.dir, "phrase")
	require.NoError(t, os.WriteFile(phrase, []byte("correct horse\n"), 0o600))
	mac := "--- " + strings.Repeat("A", 43) + "\n" + strings.Repeat("x", 100)
	scrypt := func(factor string) []byte {
		return []byte("age-encryption.org/v1\n-> scrypt AAAAAAAAAAAAAAAAAAAAAA " + factor + "\n" + strings.Repeat("A", 43) + "\n" + mac)
	}
	return map[string]badArchive{
		"encrypted, and no key given":         {sealed, nil, console.ExitNoKey, "encrypted to X25519 (1); no identity was given", 0},
		"encrypted to somebody else":          {ageOf(t, s.backup.archive, stranger.Recipient()), open, console.ExitNoKey, "identities tried: 1", 0},
		"encrypted to a plugin alone":         {[]byte("age-encryption.org/v1\n-> piv-p256 AAAA\n\n" + mac), open, console.ExitNoKey, "piv-p256 (1)", 0},
		"armored, CRLF, blanks before it":     {crlf, open, console.ExitDone, "", 0},
		"armored, behind a byte order mark":   {append([]byte("\xef\xbb\xbf"), text.Bytes()...), open, console.ExitDone, "", 0},
		"armored, cut":                        {text.Bytes()[:text.Len()/2], open, console.ExitDamaged, "armor", 0},
		"armored, a bit":                      {flipped(text.Bytes(), text.Len()/2), open, console.ExitDamaged, "", 0},
		"header of two thousand recipients":   {[]byte("age-encryption.org/v1\n" + strings.Repeat("-> grease\n\n", 2000) + mac), open, console.ExitDamaged, "header", 0},
		"header of three megabytes":           {[]byte("age-encryption.org/v1\n-> " + strings.Repeat("A", 3<<20)), open, console.ExitDamaged, "header", 0},
		"passphrase that costs 4 GiB":         {scrypt("22"), []string{"--passphrase-file", phrase}, console.ExitRefused, "work factor 22", 0},
		"passphrase that costs 8 GiB":         {scrypt("23"), []string{"--passphrase-file", phrase}, console.ExitRefused, "work factor 23", 0},
		"passphrase that costs nothing":       {scrypt("0"), []string{"--passphrase-file", phrase}, console.ExitDamaged, "scrypt", 0},
		"passphrase cost with a zero before":  {scrypt("018"), []string{"--passphrase-file", phrase}, console.ExitDamaged, "scrypt", 0},
		"passphrase beside another recipient": {bytes.Replace(scrypt("10"), []byte("-> scrypt"), []byte("-> X25519 "+strings.Repeat("A", 43)+"\n"+strings.Repeat("A", 43)+"\n-> scrypt"), 1), open, console.ExitRefused, "beside other recipients", 0},
		"header's authentication flipped":     {flipped(sealed, header+8), open, console.ExitDamaged, "age layer", 0},
		"cut in the header":                   {sealed[:header-10], open, console.ExitDamaged, "age layer", 0},
		"cut in the nonce":                    {sealed[:payload+nonce/2], open, console.ExitDamaged, "age layer", 0},
		"cut a byte before a chunk's end":     {sealed[:payload+nonce+chunk-1], open, console.ExitDamaged, "age layer", 0},
		"cut at a chunk's end":                {sealed[:payload+nonce+chunk], open, console.ExitDamaged, "age layer", 0},
		"cut a byte behind a chunk's end":     {sealed[:payload+nonce+chunk+1], open, console.ExitDamaged, "age layer", 0},
		"a bit in the first chunk":            {flipped(sealed, payload+nonce+100), open, console.ExitDamaged, "chunk 0", 0},
		"a bit in the middle chunk":           {flipped(sealed, payload+nonce+chunk+100), open, console.ExitDamaged, "chunk 1", 0},
		"a bit in the last byte":              {flipped(sealed, len(sealed)-1), open, console.ExitDamaged, "chunk", 0},
		"two archives, one behind the other":  {append(bytes.Clone(sealed), sealed...), open, console.ExitDamaged, "age layer", 0},
		"encrypted twice":                     {ageOf(t, sealed, recipientOf(t, s)), open, console.ExitFailed, "it was encrypted twice: lifeboat archive decrypt", 0},
		"gpg file":                            {append([]byte("\x85\x02\x0c\x03"), make([]byte, 600)...), nil, console.ExitFailed, "an OpenPGP file", 0},
	}
}

func recipientOf(t testing.TB, s *scene) age.Recipient {
	t.Helper()
	r, err := age.ParseX25519Recipient(s.recipient)
	require.NoError(t, err)
	return r
}

// containerInputs are the layers gzip, zstd and tar.
func containerInputs(t testing.TB, s *scene) map[string]badArchive {
	t.Helper()
	b := s.backup
	half := len(b.tar) / 2
	zeros := len(b.tar) - len(bytes.TrimRight(b.tar, "\x00")) // at its end
	content := b.tar[: len(b.tar)-zeros : len(b.tar)-zeros]
	content = append(content, make([]byte, -len(content)&511)...)
	sparse := func(size, regions string) []byte {
		return tarWith(t, map[string]string{"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "s", "GNU.sparse.realsize": size}, regions)
	}
	negative := patched(tarOf(t, entry{name: "x", data: []byte("x")}), 124, bytes.Repeat([]byte{0xff}, 12))
	return map[string]badArchive{
		"zstd under the name of gzip":           {zstdOf(t, b.tar), nil, console.ExitDone, "", 0},
		"zip":                                   {[]byte("PK\x03\x04" + strings.Repeat("x", 600)), nil, console.ExitDamaged, "zip layer", 0},
		"gzip of two members":                   {append(gzipOf(t, b.tar[:half]), gzipOf(t, b.tar[half:])...), nil, console.ExitDone, "", 0},
		"gzip with long names and comments":     {gzipWith(t, b.tar, strings.Repeat("n", 70_000)), nil, console.ExitDamaged, "gzip", 0},
		"gzip with a wrong header sum":          {headerSum(b.archive, 1), nil, console.ExitDamaged, "gzip", 0},
		"gzip with a right header sum":          {headerSum(b.archive, 0), nil, console.ExitDone, "", 0},
		"gzip in gzip":                          {gzipOf(t, b.archive), nil, console.ExitFailed, "a gzip file, and in it a gzip file", 0},
		"bomb in a bomb":                        {gzipOf(t, gzipOf(t, make([]byte, 64<<20))), nil, console.ExitFailed, "no tar", 0},
		"tar without its end":                   {content, nil, console.ExitDamaged, "two zero blocks", 0},
		"tar with half an end":                  {append(bytes.Clone(content), make([]byte, 512)...), nil, console.ExitDamaged, "tar layer", 0},
		"tar with bytes behind its end":         {append(bytes.Clone(b.tar), []byte(strings.Repeat("x", 512))...), nil, console.ExitDamaged, "trailing data", 0},
		"second tar behind the end":             {gzipOf(t, append(bytes.Clone(b.tar), b.tar...)), nil, console.ExitRefused, "a second archive is appended", 0},
		"name with a NUL":                       {tarWith(t, map[string]string{"path": "a\x00b"}, ""), nil, console.ExitDamaged, "tar layer", 0},
		"name of four kilobytes":                {tarWith(t, map[string]string{"path": strings.Repeat("n", 4096)}, ""), nil, console.ExitRefused, "longer than 1024 bytes", 0},
		"name that is not UTF-8":                {tarOf(t, entry{name: "a\xff"}), nil, console.ExitIncomplete, "not UTF-8", console.ExitDamaged},
		"name with a line feed":                 {tarOf(t, entry{name: "a\nb"}), nil, console.ExitIncomplete, "control", console.ExitDamaged},
		"name that dots lead out of":            {tarOf(t, entry{name: "./kubernetes/../../x"}), nil, console.ExitRefused, "a name with ..", 0},
		"hard link to /etc/shadow":              {tarOf(t, entry{name: "x", kind: tar.TypeLink, link: "/../etc/shadow"}), nil, console.ExitRefused, "leaves the archive", 0},
		"file through a chain of links":         {tarOf(t, entry{name: "a", kind: tar.TypeSymlink, link: "b"}, entry{name: "b", kind: tar.TypeSymlink, link: "/tmp"}, entry{name: "a/x"}), nil, console.ExitRefused, "through a file or a link", 0},
		"link in the place of a folder":         {tarOf(t, entry{name: "a/", kind: tar.TypeDir}, entry{name: "a", kind: tar.TypeSymlink, link: "/tmp"}), nil, console.ExitRefused, "was there before", 0},
		"pipe":                                  {tarOf(t, entry{name: "x", kind: tar.TypeFifo}), nil, console.ExitRefused, "type '6'", 0},
		"type that nobody knows":                {patched(tarOf(t, entry{name: "x"}), 156, []byte("Z")), nil, console.ExitRefused, "type 'Z'", 0},
		"folder in the place of a file":         {tarOf(t, entry{name: "a"}, entry{name: "a/", kind: tar.TypeDir}), nil, console.ExitRefused, "was there before", 0},
		"file and the same as a folder":         {tarOf(t, entry{name: "a"}, entry{name: "a/b"}), nil, console.ExitRefused, "through a file or a link", 0},
		"size below zero":                       {negative, nil, console.ExitDamaged, "tar layer", 0},
		"size of a terabyte":                    {patched(tarOf(t, entry{name: "x"}), 124, []byte("\x80\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00")), nil, console.ExitRefused, "unpacks to more than", 0},
		"size that PAX says otherwise":          {tarWith(t, map[string]string{"size": "9999999"}, "abc"), nil, console.ExitDamaged, "tar layer", 0},
		"PAX record without its end":            {bytes.Replace(tarWith(t, map[string]string{"comment": "cc"}, ""), []byte("cc\n"), []byte("ccc"), 1), nil, console.ExitDamaged, "tar layer", 0},
		"global header that renames":            {patched(tarWith(t, map[string]string{"path": "../../x"}, ""), 156, []byte("g")), nil, console.ExitRefused, "a global PAX header", 0},
		"sparse file with ten million holes":    {sparse("10", "10000000\n"+strings.Repeat("0\n0\n", 1<<20)), nil, console.ExitDamaged, "tar layer", 0},
		"sparse file of eight exabytes":         {sparse("9223372036854775807", "1\n0\n0\n"+strings.Repeat("\x00", 506)), nil, console.ExitRefused, "unpacks to more than", 0},
		"twenty thousand empty files":           {gzipOf(t, tarOf(t, manyFiles(20_000)...)), nil, console.ExitRefused, "more than 16384 entries", 0},
		"folders a hundred deep":                {tarOf(t, entry{name: strings.Repeat("a/", 100) + "b"}), nil, console.ExitRefused, "folders deep", 0},
		"names that differ in case alone":       {withEntries(t, s, entry{name: "kubernetes/A", data: []byte("1")}, entry{name: "kubernetes/a", data: []byte("2")}), nil, console.ExitDone, "", 0},
		"names of another system":               {withEntries(t, s, entry{name: `C:x`}, entry{name: `\x`}), nil, console.ExitDone, "", 0},
		"hard link to itself and to what comes": {withEntries(t, s, entry{name: "l", kind: tar.TypeLink, link: "l"}, entry{name: "m", kind: tar.TypeLink, link: "n"}, entry{name: "n"}), nil, console.ExitDone, "", 0},
		"dangling links":                        {withEntries(t, s, entry{name: "kubernetes/l", kind: tar.TypeSymlink, link: "nothing"}, entry{name: "kubernetes/m", kind: tar.TypeSymlink, link: "/var/lib/x"}), nil, console.ExitDone, "", 0},
		"setuid, sticky, everybody may write":   {patched(tarOf(t, append([]entry{{name: "x"}}, harbourEntries(s)...)...), 100, []byte("0007777\x00")), nil, console.ExitDone, "", 0},
	}
}

// contentInputs are whole archives of the wrong content: list and unpack do
// their work, verify says what is wrong.
func contentInputs(t testing.TB, s *scene) map[string]badArchive {
	t.Helper()
	b := s.backup
	named := func(data []byte) []byte {
		return gzipOf(t, tarOf(t, append([]entry{{name: "./etcd-backup.snapshot", data: data}}, b.files...)...))
	}
	db := b.snapshot[:len(b.snapshot)-32]
	bombed := entry{name: "./kubernetes/manifests/kube-apiserver.yaml", data: []byte(anchorsBomb())}
	return map[string]badArchive{
		"no snapshot":                            {gzipOf(t, tarOf(t, b.files...)), nil, console.ExitDone, "", console.ExitDamaged},
		"two snapshots":                          {withEntries(t, s, entry{name: "old.db", data: b.snapshot}), nil, console.ExitDone, "", console.ExitRefused},
		"empty snapshot":                         {named(nil), nil, console.ExitDone, "", console.ExitDamaged},
		"help text in the place of it":           {named([]byte("NAME:\n\tetcdctl\n\nUSAGE:\n\tetcdctl snapshot save\n")), nil, console.ExitDone, "", console.ExitDamaged},
		"snapshot packed once more":              {named(gzipOf(t, b.snapshot)), nil, console.ExitDone, "", 0},
		"snapshot with a wrong sum":              {named(flipped(b.snapshot, len(b.snapshot)-5)), nil, console.ExitDone, "", console.ExitDamaged},
		"snapshot cut at a page":                 {named(db[:len(db)/8192*4096]), nil, console.ExitDone, "", console.ExitDamaged},
		"snapshot whose magic is wrong":          {named(flipped(flipped(db, 16), 4096+16)), nil, console.ExitDone, "", console.ExitDamaged},
		"copy of a member's database":            {named(db), nil, console.ExitDone, "", 0},
		"no kubernetes/":                         {gzipOf(t, tarOf(t, entry{name: "etcd.db", data: b.snapshot})), nil, console.ExitDone, "", 0},
		"kubernetes/ without pki/":               {gzipOf(t, tarOf(t, append([]entry{{name: "etcd-backup.snapshot", data: b.snapshot}}, b.without("/pki/")...)...)), nil, console.ExitDone, "", console.ExitIncomplete},
		"manifest that is a bomb of YAML":        {gzipOf(t, tarOf(t, append([]entry{{name: "etcd-backup.snapshot", data: b.snapshot}, bombed}, b.without("kube-apiserver.yaml")...)...)), nil, console.ExitDone, "", console.ExitIncomplete},
		"raw database as d8 packs it":            {gzipOf(t, tarOf(t, append([]entry{{name: "etcd.db", data: b.snapshot}}, b.files...)...)), nil, console.ExitDone, "", 0},
		"archive in which another one is packed": {gzipOf(t, tarOf(t, entry{name: "kube-backup.tar.gz", data: b.archive})), nil, console.ExitDone, "", console.ExitFailed},
	}
}

func harbourEntries(s *scene) []entry {
	return append([]entry{{name: "./etcd-backup.snapshot", data: s.backup.snapshot}}, s.backup.files...)
}

// withEntries is harbour's archive with more in it.
func withEntries(t testing.TB, s *scene, more ...entry) []byte {
	t.Helper()
	return gzipOf(t, tarOf(t, append(harbourEntries(s), more...)...))
}

func manyFiles(n int) []entry {
	list := make([]entry, n)
	for i := range list {
		list[i].name = fmt.Sprintf("f%d", i)
	}
	return list
}

// tarWith is a tar file of one entry with these PAX records before it, which
// archive/tar would not write.
func tarWith(t testing.TB, records map[string]string, content string) []byte {
	t.Helper()
	var text strings.Builder
	for key, value := range records {
		line := " " + key + "=" + value + "\n"
		n := len(line) + 2
		for len(strconv.Itoa(n))+len(line) != n {
			n++
			if n > len(line)+9 {
				t.Fatalf("no length fits %q", key)
			}
		}
		text.WriteString(strconv.Itoa(n) + line)
	}
	header := tarOf(t, entry{name: "PaxHeader", data: []byte(text.String())})
	header = patched(header[:len(header)-1024], 156, []byte("x"))
	return append(header, tarOf(t, entry{name: "kubernetes/file", data: []byte(content)})...)
}

// patched changes the first header of a tar file, and makes its sum right.
func patched(data []byte, at int, with []byte) []byte {
	data = bytes.Clone(data)
	copy(data[at:], with)
	copy(data[148:], "        ")
	sum := 0
	for _, c := range data[:512] {
		sum += int(c)
	}
	copy(data[148:], fmt.Sprintf("%06o\x00 ", sum))
	return data
}

func gzipWith(t testing.TB, data []byte, text string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	w.Name, w.Comment, w.Extra = text, text, []byte(text[:60_000])
	_, err := w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return buf.Bytes()
}

// headerSum adds a gzip header's own sum, which is off by wrong.
func headerSum(packed []byte, wrong uint16) []byte {
	const flagHeaderSum, fixed = 2, 10
	header := append([]byte{0x1f, 0x8b, 8, flagHeaderSum}, packed[4:fixed]...)
	sum := uint16(crc32.ChecksumIEEE(header)) + wrong
	return append(append(header, byte(sum), byte(sum>>8)), gzipBody(packed)...)
}

// gzipBody is what follows a gzip header that may carry a name.
func gzipBody(packed []byte) []byte {
	const flagName, fixed = 8, 10
	if packed[3]&flagName == 0 {
		return packed[fixed:]
	}
	return packed[fixed+bytes.IndexByte(packed[fixed:], 0)+1:]
}

// anchorsBomb is a kilobyte of YAML that stands for a billion words.
func anchorsBomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x]\n")
	for i := range 9 {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i), 9), ","))
	}
	return b.String()
}
