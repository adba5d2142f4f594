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

// randomClusters is how many of them the twin is held against.
const randomClusters = 200

// TestMain lets LIFEBOAT_SOAK multiply the number of random clusters.
func TestMain(m *testing.M) {
	if factor := os.Getenv("LIFEBOAT_SOAK"); factor != "" {
		n, err := strconv.Atoi(factor)
		if err != nil || n < 1 {
			fmt.Fprintf(os.Stderr, "LIFEBOAT_SOAK=%q is no factor\n", factor)
			os.Exit(2)
		}
		soak = n
	}
	if err := flag.Set("rapid.checks", strconv.Itoa(randomClusters*soak)); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
