// Command mutants breaks the code in small ways, one at a time, and runs the tests
// that have to notice. The tree is not touched: changed files are handed to the go
// command as an overlay.
//
//	go run ./testdata/mutants                 all
//	go run ./testdata/mutants -sample         those that are marked as the sample
//	go run ./testdata/mutants -run 'whole'    those whose names match
//	go run ./testdata/mutants -check          only see that each can be made
//
// One test binary per package carries all mutants of that package, see switched.
// It exits 1 when a mutant survives, or cannot be built any more.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"strings"
	"text/tabwriter"
)

func main() {
	lists := flag.String("lists", "testdata/mutants/*.txt", "files of mutants")
	run := flag.String("run", "", "only mutants whose names match this expression")
	sample := flag.Bool("sample", false, "only those that are marked as the sample")
	check := flag.Bool("check", false, "only see that each one can be made")
	jobs := flag.Int("jobs", max(1, runtime.NumCPU()/2), "packages tested at once")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	all, err := readLists(*lists)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(2)
	}
	wanted, err := regexp.Compile(*run)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(2)
	}
	var chosen []*mutant
	for _, m := range all {
		if wanted.MatchString(m.name) && (m.sample || !*sample) {
			chosen = append(chosen, m)
		}
	}
	if *check {
		fmt.Printf("%d mutants, each can be made\n", len(chosen))
		return
	}
	testAll(ctx, chosen, *jobs)
	if !table(chosen) {
		os.Exit(1)
	}
}

// table prints what became of each, and reports whether none is left.
func table(mutants []*mutant) bool {
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 3, ' ', 0)
	count := map[string]int{}
	for _, m := range mutants {
		count[m.verdict]++
		detail, _, _ := strings.Cut(m.detail, "\n")
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.1f s\n", m.verdict, m.name, m.file, detail, m.took.Seconds())
	}
	w.Flush()
	for _, m := range mutants {
		if m.verdict == broken {
			fmt.Printf("\n%s: %s\n", m.name, m.detail)
		}
	}
	fmt.Printf("\n%d mutants: %d killed, %d equivalent, %d survived, %d broken\n",
		len(mutants), count[killed], count[equivalent], count[survived], count[broken])
	return count[survived]+count[broken] == 0
}
