package crypto_test

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/crypto"
)

func split(t *testing.T, shares, threshold int) (identity []byte, s *crypto.Split) {
	t.Helper()
	identity, _, err := crypto.GenerateIdentity(false, time.Unix(0, 0).UTC(), nil)
	require.NoError(t, err)
	s, err = crypto.SplitIdentity(identity, shares, threshold, time.Unix(0, 0))
	require.NoError(t, err)
	require.Len(t, s.Pages, shares)
	return identity, s
}

func pages(s *crypto.Split, indexes ...int) []crypto.Page {
	var list []crypto.Page
	for _, i := range indexes {
		list = append(list, crypto.Page{Name: fmt.Sprint("share-", i+1), Text: s.Pages[i]})
	}
	return list
}

// Every subset of the shares that is large enough opens the key; no other does.
func TestEverySubset(t *testing.T) {
	t.Parallel()
	for _, of := range []struct{ shares, threshold int }{{2, 2}, {5, 3}, {6, 5}} {
		identity, s := split(t, of.shares, of.threshold)
		for set := range 1 << of.shares {
			var members []int
			for i := range of.shares {
				if set>>i&1 == 1 {
					members = append(members, i)
				}
			}
			got, err := crypto.Combine(s.Locked, pages(s, members...))
			if len(members) >= of.threshold {
				require.NoError(t, err)
				require.Equal(t, identity, got)
				continue
			}
			require.ErrorIs(t, err, crypto.ErrShares)
			require.ErrorContains(t, err, fmt.Sprintf("%d of %d shares are here, and it takes %d", len(members), of.shares, of.threshold))
		}
		_, err := crypto.Combine(s.Locked, pages(s, 0, 0, 0, 0, 0, 0, 0))
		require.ErrorContains(t, err, "1 of", "a share counts once")
	}
}

// Any one character that is typed wrong is found, and its line named; what looks
// alike is taken for the same.
func TestSlips(t *testing.T) {
	t.Parallel()
	_, s := split(t, 3, 2)
	page := string(s.Pages[0])
	for line := 1; line <= 4; line++ {
		mark := fmt.Sprintf("  %d: ", line)
		start := strings.Index(page, mark) + len(mark)
		end := start + strings.Index(page[start:], "\n")
		for i := start; i < end; i++ {
			for _, c := range "0123456789ABCDEFGHJKMNPQRSTVWXYZ" {
				if page[i] == ' ' || page[i] == byte(c) {
					continue
				}
				wrong := page[:i] + string(c) + page[i+1:]
				_, err := crypto.Combine(s.Locked, []crypto.Page{{Name: "p", Text: []byte(wrong)}})
				require.ErrorContains(t, err, fmt.Sprintf("line %d", line), "%q for %q", c, page[i])
			}
			if i+1 < end && page[i] != page[i+1] && page[i] != ' ' && page[i+1] != ' ' {
				swapped := page[:i] + page[i+1:i+2] + page[i:i+1] + page[i+2:]
				_, err := crypto.Combine(s.Locked, []crypto.Page{{Name: "p", Text: []byte(swapped)}})
				require.ErrorContains(t, err, fmt.Sprintf("line %d", line))
			}
		}
		_, err := crypto.Combine(s.Locked, []crypto.Page{{Name: "p", Text: []byte(strings.Replace(page, mark, "  x ", 1))}})
		require.ErrorContains(t, err, fmt.Sprintf("line %d is missing", line))
		_, err = crypto.Combine(s.Locked, []crypto.Page{{Name: "p", Text: []byte(page[:start] + page[start+5:])}})
		require.ErrorContains(t, err, fmt.Sprintf("line %d is not six groups", line))
		_, err = crypto.Combine(s.Locked, []crypto.Page{{Name: "p", Text: []byte(page + page[start-len(mark):end])}})
		require.ErrorContains(t, err, fmt.Sprintf("line %d is there twice", line))
	}
	careless := strings.NewReplacer("0", "o", "1", "l").Replace(strings.ToLower(page))
	careless = strings.ReplaceAll(careless, "  l: ", " 1 :")
	_, err := crypto.Combine(s.Locked, []crypto.Page{{Name: "p", Text: []byte(careless)}, pages(s, 1)[0]})
	require.NoError(t, err)
}

// Shares of another key, shares that are forged and a file that is damaged are
// told apart, and named.
func TestWrongShares(t *testing.T) {
	t.Parallel()
	_, s := split(t, 5, 3)
	_, other := split(t, 5, 3)
	mixed := append(pages(s, 0, 1), crypto.Page{Name: "stranger", Text: other.Pages[2]})
	_, err := crypto.Combine(s.Locked, mixed)
	require.ErrorContains(t, err, `"stranger": it is a share of another key`)

	forged := crypto.ForgeShare(s.Pages[2])
	_, err = crypto.Combine(s.Locked, append(pages(s, 0, 1), crypto.Page{Name: "forged", Text: forged}))
	require.ErrorContains(t, err, `"forged": it is wrong`)

	for name, broken := range map[string][]byte{
		"empty": nil, "no key": []byte("hello"), "cut": s.Locked[:len(s.Locked)/2],
		"threshold": bytes.Replace(s.Locked, []byte("threshold 3"), []byte("threshold 2"), 1),
		"set":       bytes.Replace(s.Locked, []byte("set "), []byte("set 0"), 1),
	} {
		_, err := crypto.Combine(broken, pages(s, 0, 1, 2))
		require.ErrorIs(t, err, crypto.ErrShares, name)
	}
	identity, _, err := crypto.GenerateIdentity(false, time.Unix(0, 0).UTC(), nil)
	require.NoError(t, err)
	for _, n := range [][2]int{{1, 1}, {2, 1}, {2, 3}, {51, 3}, {0, 0}} {
		_, err := crypto.SplitIdentity(identity, n[0], n[1], time.Now())
		require.ErrorContains(t, err, "at least 2 have to, of at most 50", n)
	}
	_, err = crypto.SplitIdentity([]byte("x"), 3, 2, time.Now())
	require.ErrorContains(t, err, "splitting a key: ", "no key at all")
}

// A page says which it is, of which key, and of when.
func TestSharePagesSayWhatTheyAre(t *testing.T) {
	t.Parallel()
	identity, s := split(t, 3, 2)
	file, err := crypto.ReadIdentities(identityFile(t, identity, 0o600), nil, nil)
	require.NoError(t, err)
	public, err := file.Public()
	require.NoError(t, err)
	set := regexp.MustCompile(`(?m)^set ([0-9a-f]{8})$`).FindSubmatch(s.Locked)
	require.NotNil(t, set)
	for i, page := range s.Pages {
		for _, line := range []string{
			fmt.Sprintf("SHARE %d OF 3 OF A KEY FOR BACKUPS", i+1), "  key     " + public[0].Fingerprint(),
			fmt.Sprintf("  set     %s", set[1]), "  made    1970-01-01", "Any 2 of the 3 shares open the key, together with the file identity.locked,",
		} {
			require.Contains(t, string(page), line+"\n")
		}
	}
}

// No page and no locked file holds the key.
func TestSharesHideTheKey(t *testing.T) {
	t.Parallel()
	identity, s := split(t, 3, 2)
	_, secret, _ := strings.Cut(string(identity), "AGE-SECRET-KEY-")
	for _, text := range append(s.Pages, s.Locked) {
		require.NotContains(t, string(text), strings.TrimSpace(secret))
		require.NotContains(t, string(text), "SECRET")
	}
}

func FuzzCombine(f *testing.F) {
	identity, _, err := crypto.GenerateIdentity(false, time.Unix(0, 0).UTC(), nil)
	if err != nil {
		f.Fatal(err)
	}
	s, err := crypto.SplitIdentity(identity, 3, 2, time.Unix(0, 0))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.Locked, s.Pages[0])
	f.Add([]byte("lifeboat split key 1\ncommitment 00\n-----BEGIN AGE"), []byte("1: 0"))
	f.Fuzz(func(_ *testing.T, locked, page []byte) {
		_, _ = crypto.Combine(locked, []crypto.Page{{Name: "p", Text: page}, {Name: "q", Text: s.Pages[1]}})
	})
}
