package crypto

import (
	"bytes"
	"encoding/base32"
	"fmt"
	"hash/crc32"
	"regexp"
	"strings"
	"time"

	"github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/secretsharing"
)

// A share in print is four lines of sixteen characters, ten bytes each, with eight
// characters more that check the line: its number and the CRC-32 of both, which
// finds any slip of up to 32 bits in a row, six characters.
//
//	version 1 · set 4 · threshold 1 · shares 1 · index 1 · value 32
const (
	shareVersion = 1
	shareLines   = 4
	lineBytes    = 10
	valueAt      = 8
)

// crockford leaves out the letters that are read as others.
var crockford = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// page prints a share.
func (k *splitKey) page(index int, share secretsharing.Share, public []Recipient, now time.Time) ([]byte, error) {
	set, err := k.set()
	if err != nil {
		return nil, err
	}
	value, err := share.Value.MarshalBinary()
	if err != nil {
		return nil, err
	}
	data := append([]byte{shareVersion}, set[:]...)
	data = append(append(data, byte(k.threshold), byte(k.shares), byte(index)), value...)
	var b strings.Builder
	fmt.Fprintf(&b, "SHARE %d OF %d OF A KEY FOR BACKUPS\n\n", index, k.shares)
	for _, r := range public {
		fmt.Fprintf(&b, "  key     %s\n", r.Fingerprint())
	}
	fmt.Fprintf(&b, "  set     %x\n  made    %s\n\n", set, now.UTC().Format(time.DateOnly))
	for line := range shareLines {
		fmt.Fprintf(&b, "  %d: %s\n", line+1, encodeLine(line, data[line*lineBytes:(line+1)*lineBytes]))
	}
	fmt.Fprintf(&b, `
Any %d of the %d shares open the key, together with the file identity.locked,
which is no secret. Fewer tell nothing. Keep this page where no other share is;
show it to nobody, and photograph it with nothing.

When the key is needed, type the four numbered lines into a file (capitals or
not, blanks as you like; 0 and O, 1 and I and L are the same), and

  lifeboat key combine identity.locked --share FILE --share FILE ... --to KEY

A slip is found, and its line is named.
`, k.threshold, k.shares)
	return []byte(b.String()), nil
}

// encodeLine is a line of a share: its bytes, and what checks them.
func encodeLine(line int, data []byte) string {
	check := append([]byte{byte(line)}, lineSum(line, data)...)
	text := crockford.EncodeToString(data) + crockford.EncodeToString(check)
	var groups []string
	for i := 0; i < len(text); i += 4 {
		groups = append(groups, text[i:i+4])
	}
	return strings.Join(groups, " ")
}

func lineSum(line int, data []byte) []byte {
	sum := crc32.NewIEEE()
	sum.Write(append([]byte{byte(line)}, data...))
	return sum.Sum(nil)
}

var shareLine = regexp.MustCompile(`(?m)^[\t ]*([1-4])[\t ]*:(.*)$`)

var typed = strings.NewReplacer("O", "0", "I", "1", "L", "1", " ", "", "\t", "", "-", "", "\r", "")

// decodeShare reads the numbered lines of a page, and nothing else of it.
func decodeShare(page Page) ([]byte, error) {
	data, have := make([]byte, shareLines*lineBytes), [shareLines]bool{}
	for _, m := range shareLine.FindAllStringSubmatch(string(plainText(page.Text)), -1) {
		line := int(m[1][0] - '1')
		raw, err := crockford.DecodeString(typed.Replace(strings.ToUpper(m[2])))
		if err != nil || len(raw) != lineBytes+5 {
			return nil, &ShareError{page.Name, fmt.Sprintf("line %d is not six groups of four characters: look at it again", line+1)}
		}
		content, check := raw[:lineBytes], raw[lineBytes:]
		if int(check[0]) != line || !bytes.Equal(check[1:], lineSum(line, content)) {
			return nil, &ShareError{page.Name, fmt.Sprintf("there is a slip in line %d: look at it again", line+1)}
		}
		if have[line] {
			return nil, &ShareError{page.Name, fmt.Sprintf("line %d is there twice", line+1)}
		}
		have[line] = true
		copy(data[line*lineBytes:], content)
	}
	for line, ok := range have {
		if !ok {
			return nil, &ShareError{page.Name, fmt.Sprintf("line %d is missing", line+1)}
		}
	}
	return data, nil
}

// read gives the share of a page, if it is one of this key.
func (k *splitKey) read(page Page) (index int, share secretsharing.Share, err error) {
	data, err := decodeShare(page)
	if err != nil {
		return 0, share, err
	}
	set, err := k.set()
	if err != nil {
		return 0, share, err
	}
	index = int(data[7])
	switch {
	case data[0] != shareVersion:
		return 0, share, &ShareError{page.Name, "it was made by a newer version of lifeboat"}
	case [4]byte(data[1:5]) != set:
		return 0, share, &ShareError{page.Name, fmt.Sprintf("it is a share of another key: of set %x, and this key is of set %x", data[1:5], set)}
	}
	share.ID = group.P256.NewScalar().SetUint64(uint64(index))
	share.Value = group.P256.NewScalar()
	if err := share.Value.UnmarshalBinary(data[valueAt:]); err != nil || index < 1 || index > k.shares ||
		!secretsharing.Verify(uint(k.threshold-1), share, k.commitment) {
		return 0, share, &ShareError{page.Name, "it is wrong: it says that it is a share of this key, and is none"}
	}
	return index, share, nil
}
