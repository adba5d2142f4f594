// Package shard splits work among processes that know nothing of each other but
// how many they are.
package shard

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Err says that there is no such shard.
var Err = errors.New("no such shard")

// Shard is one of Of equal parts, counted from 0. The zero value is everything.
type Shard struct{ Index, Of int }

// Parse reads "0/4".
func Parse(text string) (Shard, error) {
	index, of, _ := strings.Cut(text, "/")
	i, errI := strconv.Atoi(index)
	n, errN := strconv.Atoi(of)
	if errI != nil || errN != nil || n < 1 || i < 0 || i >= n {
		return Shard{}, fmt.Errorf("%w: %q: write I/N, from 0/N to N-1/N", Err, text)
	}
	return Shard{i, n}, nil
}

// String is what Parse reads, "" for everything.
func (s Shard) String() string {
	if s.Of == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Index, s.Of)
}

// Has reports whether a name belongs to the shard: by its digest alone, so that
// a name stays where it is whatever comes or goes beside it.
func (s Shard) Has(name string) bool {
	return s.Of <= 1 || Hash(name)%uint64(s.Of) == uint64(s.Index)
}

// Hash is a number out of a name that is the same everywhere and always.
func Hash(name string) uint64 {
	sum := sha256.Sum256([]byte(name))
	return binary.BigEndian.Uint64(sum[:])
}
