package console

import (
	"cmp"
	"slices"
	"strings"
)

// nearest gives the names that word may have been meant to be, best first: at
// most three, and none that differs in more than a third of its letters.
func nearest(word string, names []string) []string {
	type candidate struct {
		name     string
		distance int
	}
	var near []candidate
	for _, name := range names {
		d := editDistance(strings.ToLower(word), strings.ToLower(name))
		if len(word) >= 3 && strings.HasPrefix(strings.ToLower(name), strings.ToLower(word)) {
			d = min(d, 1) // an unfinished word
		}
		if d <= max(len(word), len(name))/3 {
			near = append(near, candidate{name, d})
		}
	}
	slices.SortFunc(near, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.name, b.name))
	})
	var out []string
	for _, c := range near[:min(len(near), 3)] {
		out = append(out, c.name)
	}
	return out
}

// DidYouMean is a hint for a word that is none of names, and otherwise where
// to look. The names are printed with prefix.
func DidYouMean(word string, names []string, prefix, otherwise string) string {
	near := nearest(word, names)
	if len(near) == 0 {
		return "see " + otherwise
	}
	for i := range near {
		near[i] = prefix + near[i]
	}
	return "did you mean " + strings.Join(near, ", ") + "?"
}

// editDistance counts the letters to insert, delete, replace or swap with
// their neighbour to get from a to b (optimal string alignment).
func editDistance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
