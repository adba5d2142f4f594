package console

import (
	"strings"

	"github.com/lifeboat-dr/lifeboat/internal/words"
)

// DidYouMean is a hint for a word that is none of names, and otherwise where
// to look. The names are printed with prefix.
func DidYouMean(word string, names []string, prefix, otherwise string) string {
	near := words.Nearest(word, names)
	if len(near) == 0 {
		return "see " + otherwise
	}
	for i := range near {
		near[i] = prefix + near[i]
	}
	return "did you mean " + strings.Join(near, ", ") + "?"
}
