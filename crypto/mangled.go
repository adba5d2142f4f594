package crypto

import (
	"bufio"
	"bytes"
	byteorder "encoding/binary"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf16"
)

// ErrMangled says that a file was encrypted by age and that something has
// changed its bytes since: a shell's redirection, an editor, a mail program.
var ErrMangled = errors.New("it was an age file")

// MangledError says what has become of an age file, and what gives it back.
// errors.Is finds ErrMangled, and ErrDamaged where nothing gives it back.
type MangledError struct {
	What string // what stands around it, or what it was turned into
	Hint string // a command, "" where there is none
}

func (e *MangledError) Error() string { return "it was an age file, and is " + e.What }

// Is makes what cannot be undone ErrDamaged.
func (e *MangledError) Is(target error) bool {
	return target == ErrMangled || target == ErrDamaged && e.Hint == ""
}

// mangledIn looks at the first 64 KiB of a stream and consumes none.
func mangledIn(r *bufio.Reader) error {
	head, err := r.Peek(r.Size())
	if err != nil && err != io.EOF {
		return fmt.Errorf("reading the first bytes: %w", err)
	}
	return mangled(head)
}

const (
	utf8BOM    = "\xef\xbb\xbf"
	armorBegin = "-----BEGIN AGE ENCRYPTED FILE-----"
)

// mangled looks for an age file in what does not begin as one (FiloSottile/age
// issues 127 and 290).
func mangled(head []byte) error {
	text, wide := fromUTF16(head)
	switch {
	case wide && strings.Contains(text, armorBegin):
		return &MangledError{"in UTF-16, as PowerShell's > writes text", "iconv -f UTF-16 -t UTF-8 FILE > FILE.utf8, and open that"}
	case wide && strings.HasPrefix(text, "age-encryption.org/"):
		return &MangledError{"turned into UTF-16 text, which has lost bytes: use age's -o instead of PowerShell's >", ""}
	case bytes.HasPrefix(head, []byte(utf8BOM+"age-encryption.org/")):
		return &MangledError{"saved as text by an editor, which has lost bytes", ""}
	}
	at := bytes.Index(head, []byte(armorBegin))
	if at < 0 {
		return nil
	}
	line := head[bytes.LastIndexByte(head[:at], '\n')+1 : at]
	if len(bytes.TrimSpace(line)) > 0 {
		return &MangledError{fmt.Sprintf("quoted, with %.20q before each line", line), fmt.Sprintf("sed 's/^%s//' FILE > FILE.age, and open that", sedLiteral(line))}
	}
	return &MangledError{"in other text, as of a mail", "sed -n '/^-----BEGIN AGE/,/^-----END AGE/p' FILE > FILE.age, and open that"}
}

// sedLiteral is a quote mark for sed, the plain ones only.
func sedLiteral(mark []byte) string {
	if strings.Trim(string(mark), "> |:") == "" {
		return string(mark)
	}
	return "[^-]*"
}

// fromUTF16 reads text in UTF-16, with or without a byte order mark, of which
// the beginning is ASCII.
func fromUTF16(data []byte) (text string, ok bool) {
	for _, mark := range []string{"\xff\xfe", "\xfe\xff"} {
		data = bytes.TrimPrefix(data, []byte(mark))
	}
	var order byteorder.ByteOrder
	switch {
	case len(data) < 6:
		return "", false
	case data[1] == 0 && data[3] == 0 && data[5] == 0 && data[0] != 0:
		order = byteorder.LittleEndian
	case data[0] == 0 && data[2] == 0 && data[4] == 0 && data[1] != 0:
		order = byteorder.BigEndian
	default:
		return "", false
	}
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = order.Uint16(data[2*i:])
	}
	return string(utf16.Decode(units)), true
}

// plainText is the content of a key file that an editor gave a byte order mark,
// or saved in UTF-16.
func plainText(data []byte) []byte {
	if text, ok := fromUTF16(data); ok {
		return []byte(text)
	}
	return bytes.TrimPrefix(data, []byte(utf8BOM))
}

// keyMarks are what private keys begin with, in upper case.
var keyMarks = []string{"AGE-SECRET-KEY-", "AGE-PLUGIN-", "-----BEGIN", "PRIVATE KEY"}

// holdsKey tells the text of a private key that was given in the place of a
// file's name: it must not come back in an error.
func holdsKey(path string) bool {
	upper := strings.ToUpper(path)
	for _, mark := range keyMarks {
		if strings.Contains(upper, mark) {
			return true
		}
	}
	return false
}

// typedKey is a private key of age as text, in either case.
var typedKey = regexp.MustCompile(`(?i)(AGE-SECRET-KEY-(?:PQ-)?|AGE-PLUGIN-[-A-Z0-9]*?-)1[A-Z0-9]{6,}`)

// WithoutKeys is a text in which private keys of age have lost what is secret.
func WithoutKeys(text string) string { return typedKey.ReplaceAllString(text, "${1}1…") }
