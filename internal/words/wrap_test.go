package words_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/internal/words"
)

func TestWrap(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"short"}, words.Wrap("short", 10, "  "))
	require.Equal(t, []string{"  one two", "    three", "    four"}, words.Wrap("  one two three four", 10, "    "))
	require.Equal(t, []string{"a-word-that-is-longer", "  than", "  that"}, words.Wrap("a-word-that-is-longer than that", 6, "  "))
	require.Equal(t, []string{"1234 6789"}, words.Wrap("1234 6789", 9, ""), "just as wide")
	require.Equal(t, []string{"1234", "67890"}, words.Wrap("1234 67890", 9, ""), "a letter too wide")
	require.Equal(t, []string{"unbroken-to-its-end"}, words.Wrap("unbroken-to-its-end", 6, "  "))
}
