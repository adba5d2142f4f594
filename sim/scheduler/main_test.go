package scheduler_test

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"
)

// soak is LIFEBOAT_SOAK, the factor on the counts of random tests.
var soak = 1

// How many random clusters the twins are held against: a few with each change,
// and with LIFEBOAT_SOAK so many times its factor.
const (
	fewClusters    = 50
	randomClusters = 200
)

// TestMain draws as many random clusters as LIFEBOAT_SOAK says.
func TestMain(m *testing.M) {
	clusters := fewClusters
	if factor := os.Getenv("LIFEBOAT_SOAK"); factor != "" {
		n, err := strconv.Atoi(factor)
		if err != nil || n < 1 {
			fmt.Fprintf(os.Stderr, "LIFEBOAT_SOAK=%q is no factor\n", factor)
			os.Exit(2)
		}
		soak, clusters = n, randomClusters*n
	}
	if err := flag.Set("rapid.checks", strconv.Itoa(clusters)); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
