package text_test

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/internal/text"
)

func TestTable(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	tab := text.NewTable(&out, "NAME", "READY", "AGE")
	tab.Row("supercronic", "4/4", "12d")
	tab.Row("a\tb\x1b[2J", "", "1s")
	require.NoError(t, tab.Flush())
	require.Equal(t, "NAME          READY   AGE\nsupercronic   4/4     12d\na\\tb\\x1b[2J           1s\n", out.String())

	require.Error(t, func() error { tab := text.NewTable(fullDisk{}); tab.Row("x"); return tab.Flush() }())
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestPrintable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain":                  "plain",
		"käse, 東京, a\"b\\":       "käse, 東京, a\"b\\",
		"a\nb":                   `a\nb`,
		"a\tb":                   `a\tb`,
		"\x1b]0;title\x07":       `\x1b]0;title\a`,
		"\x9b31m":                `\x9b31m`,
		"\u009b31m":              `\u009b31m`,
		"abc\u202etxt.exe":       `abc\u202etxt.exe`,
		"bad \xff utf-8 \"and\"": `bad \xff utf-8 "and"`,
		"":                       "",
	} {
		require.Equal(t, want, text.Printable(in), "%q", in)
	}
}

func ExampleTable() {
	t := text.NewTable(os.Stdout, "NAMESPACE", "NAME")
	t.Row("shop", "web-0")
	t.Row("shop", "bell\a")
	_ = t.Flush() // standard output takes it
	// Output:
	// NAMESPACE   NAME
	// shop        web-0
	// shop        bell\a
}
