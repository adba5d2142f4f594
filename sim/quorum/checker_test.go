package quorum_test

import (
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/sim/quorum"
)

// history reads a file of events, one to a line: kind member field=value...;
// entries are index/term=hash.
func history(t *testing.T, path string) (events []quorum.Event) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) > 0 && fields[0] != "#" {
			e := quorum.Event{Kind: quorum.Kind(fields[0]), Member: fields[1]}
			for _, f := range fields[2:] {
				require.NoError(t, set(&e, f), line)
			}
			events = append(events, e)
		}
	}
	return events
}

func set(e *quorum.Event, field string) (err error) {
	name, value, _ := strings.Cut(field, "=")
	number := func(text string) uint64 {
		n, broken := strconv.ParseUint(text, 10, 64)
		err = errors.Join(err, broken)
		return n
	}
	hash := func(text string) uint64 {
		h := fnv.New64a()
		_, _ = h.Write([]byte(text))
		return h.Sum64()
	}
	switch name {
	case "term":
		e.Term = number(value)
	case "index":
		e.Index = number(value)
	case "chain":
		e.Chain = hash(value)
	case "hash":
		e.Hash = hash(value)
	case "write":
		e.Write = number(value)
	case "of":
		e.Of = value
	case "voters":
		e.Voters = strings.Split(value, ",")
	case "writes":
		e.Writes = make([]uint64, 4)
		for _, w := range strings.Split(value, ",") {
			e.Writes[number(w)/64] |= 1 << (number(w) % 64)
		}
	default:
		index, term, ok := strings.Cut(name, "/")
		if !ok {
			return fmt.Errorf("no field %q", name)
		}
		e.Entries = append(e.Entries, quorum.Entry{Index: number(index), Term: number(term), Chain: hash(value)})
	}
	return err
}

func observe(events []quorum.Event, held ...sim.Invariant) (n int, err error) {
	c := quorum.NewChecker(held)
	for i, e := range events {
		if err := c.Observe(e); err != nil {
			return i, err
		}
	}
	return len(events), nil
}

// Each history breaks one invariant, with its last event, and nothing else.
func TestCheckerHistories(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/checker/*.txt")
	require.NoError(t, err)
	var all, broken []sim.Invariant
	for _, i := range sim.AllInvariants() {
		if i != sim.Linearizable { // judged at the end, by porcupine
			all = append(all, i)
		}
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		events := history(t, file)
		if name == "sound" {
			_, err := observe(events, all...)
			require.NoError(t, err, "nothing is wrong with it")
			continue
		}
		breaks := sim.Invariant(strings.TrimSuffix(name, "-snapshot"))
		broken = append(broken, breaks)
		n, err := observe(events, all...)
		var told *sim.InvariantError
		require.ErrorAs(t, err, &told, name)
		require.Equal(t, breaks, told.Name)
		require.Equal(t, len(events)-1, n, name)
		_, err = observe(events, breaks)
		require.ErrorIs(t, err, sim.ErrInvariant, "by itself, too")
		_, err = observe(events, slices.DeleteFunc(slices.Clone(all), func(i sim.Invariant) bool { return i == breaks })...)
		require.NoError(t, err, "%s breaks nothing else", name)
	}
	for _, i := range all {
		require.Contains(t, broken, i, "every invariant has a history that breaks it")
	}
}

// A checker remembers what logs can hold, not the whole history.
func TestCheckerForgets(t *testing.T) {
	t.Parallel()
	c := quorum.NewChecker(sim.AllInvariants())
	for index := uint64(1); index <= 200_000; index++ {
		require.NoError(t, c.Observe(quorum.Event{Kind: quorum.Appended, Member: "m1", Entries: []quorum.Entry{{Index: index, Term: 1, Chain: index}}}))
		require.NoError(t, c.Observe(quorum.Event{Kind: quorum.Applied, Member: "m1", Index: index, Hash: index}))
	}
	require.Less(t, c.Remembered(), 400_000)
	err := c.Observe(quorum.Event{Kind: quorum.Appended, Member: "m2", Entries: []quorum.Entry{{Index: 1, Term: 1, Chain: 7}}})
	require.NoError(t, err, "too long ago to be known")
}
