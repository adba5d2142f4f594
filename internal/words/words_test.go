package words_test

import (
	"fmt"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lifeboat-dr/lifeboat/internal/words"
)

func ExampleNearest() {
	fmt.Println(words.Nearest("extarct", []string{"extract", "inspect", "get"}))
	// Output: [extract]
}

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"ca", "abc", 3}, {"kitten", "sitting", 3}, {"abcd", "badc", 2}} {
		require.Equal(t, tc.want, words.Distance(tc.a, tc.b), "%q %q", tc.a, tc.b)
		require.Equal(t, tc.want, words.Distance(tc.b, tc.a), "%q %q", tc.b, tc.a)
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	namespaces := []string{"infra-production", "infra-production-2", "kube-system", "default"}
	require.Equal(t, []string{"infra-production", "infra-production-2"}, words.Nearest("infra-prodution", namespaces))
	require.Equal(t, []string{"kube-system"}, words.Nearest("kube", namespaces), "an unfinished word")
	require.Equal(t, []string{"default"}, words.Nearest("Dfeault", namespaces), "swapped letters, case")
	require.Empty(t, words.Nearest("xyzzy", namespaces))
	require.Empty(t, words.Nearest("", namespaces))
	require.Empty(t, words.Nearest("abcdef", []string{"abcxyz"}), "half of the letters are others")
}

// What is quoted, a shell reads as it was.
func TestShellQuote(t *testing.T) {
	t.Parallel()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh")
	}
	require.Equal(t, "a/b-c_1.tar.gz", words.ShellQuote("a/b-c_1.tar.gz"))
	require.Equal(t, "''", words.ShellQuote(""), "a word of nothing is a word")
	for _, word := range []string{"$HOME", "~", "~root", "`id`", "a b", "*", "it's", "!!", "#x", "x;y", "a&b", "{a,b}"} {
		out, err := exec.Command(sh, "-c", "printf %s "+words.ShellQuote(word)).Output()
		require.NoError(t, err)
		require.Equal(t, word, string(out))
	}
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[ -~\n\t]{0,12}`).Draw(t, "word")
		out, err := exec.Command(sh, "-c", "printf %s "+words.ShellQuote(word)).Output()
		require.NoError(t, err)
		require.Equal(t, word, string(out))
	})
}
