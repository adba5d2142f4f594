package crypto

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// form is how a stream presents itself.
type form int

const (
	plain form = iota
	binary
	armored
)

const (
	intro = "age-encryption.org/v1\n"

	// armorStart is the part of armor.Header that no other PEM file has; the
	// rest of that line is for age to judge.
	armorStart = "-----BEGIN AGE "

	// maxBlank is the white space that age allows before an armored file
	// (filippo.io/age/armor).
	maxBlank = 1024
)

// detect looks at the stream's first bytes and consumes none.
func detect(r *bufio.Reader) (form, error) {
	head, err := r.Peek(maxBlank + len(armorStart))
	if err != nil && err != io.EOF {
		return plain, err
	}
	switch {
	case looksLikeIntro(head):
		return binary, nil
	case bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n\v\f"), []byte(armorStart)):
		return armored, nil
	case bytes.HasPrefix(head, []byte(utf8BOM+armorStart)): // an editor's; the rest is as it was
		_, err := r.Discard(len(utf8BOM))
		return armored, err
	}
	return plain, nil
}

// looksLikeIntro tells an age file by its first line: whole, cut short, of
// another version, or with a few of its bytes damaged. A damaged intro that
// was taken for plaintext would end in "not an archive", which sends people
// looking in the wrong place.
func looksLikeIntro(head []byte) bool {
	n := min(len(head), len(intro))
	if n < len("age-") {
		return false
	}
	same := 0
	for i := range n {
		if head[i] == intro[i] {
			same++
		}
	}
	return same >= n-n/6
}

// maxLine bounds a line of an armored file. age's lines have 64 columns, but
// its reader collects a whole line before it says so, and a line of a hostile
// file need not end.
const maxLine = 4096

var errLongLine = errors.New("a line is longer than 4096 bytes")

// lineLimit refuses a line that is too long before anyone buffers it.
type lineLimit struct {
	r    io.Reader
	line int
}

func (l *lineLimit) Read(p []byte) (int, error) {
	n, err := l.r.Read(p[:min(len(p), maxLine)])
	if i := bytes.LastIndexByte(p[:n], '\n'); i >= 0 {
		l.line = n - i - 1
	} else {
		l.line += n
	}
	if l.line > maxLine {
		return 0, errLongLine
	}
	return n, err
}
