// Command mutants breaks the code in small ways, one at a time, and runs the tests
// that have to notice. The tree is not touched: the changed file is handed to the
// go command as an overlay.
//
//	go run ./testdata/mutants                 all
//	go run ./testdata/mutants -sample         those that are marked as the sample
//	go run ./testdata/mutants -run 'whole'    those whose names match
//
// It exits 1 when a mutant survives, or cannot be built any more.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

func main() {
	lists := flag.String("lists", "testdata/mutants/*.txt", "files of mutants")
	run := flag.String("run", "", "only mutants whose names match this expression")
	sample := flag.Bool("sample", false, "only those that are marked as the sample")
	check := flag.Bool("check", false, "only see that each one's search text is found once")
	jobs := flag.Int("jobs", max(1, runtime.NumCPU()/2), "mutants tested at once")
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
	var chosen []mutant
	for _, m := range all {
		if wanted.MatchString(m.name) && (m.sample || !*sample) {
			chosen = append(chosen, m)
		}
	}
	if *check {
		fmt.Printf("%d mutants, each found once\n", len(chosen))
		return
	}
	if !table(chosen, testAll(ctx, chosen, *jobs)) {
		os.Exit(1)
	}
}

// verdict is what became of a mutant.
type verdict struct {
	word   string // killed, SURVIVED, BROKEN, equivalent
	detail string
	took   time.Duration
}

func testAll(ctx context.Context, mutants []mutant, jobs int) []verdict {
	verdicts := make([]verdict, len(mutants))
	slots := make(chan struct{}, jobs)
	var group sync.WaitGroup
	for i, m := range mutants {
		if m.equivalent != "" {
			verdicts[i] = verdict{word: "equivalent", detail: m.equivalent}
			continue
		}
		slots <- struct{}{}
		group.Go(func() {
			verdicts[i] = m.test(ctx)
			fmt.Fprintf(os.Stderr, "%-10s %s (%.0f s)\n", verdicts[i].word, m.name, verdicts[i].took.Seconds())
			<-slots
		})
	}
	group.Wait()
	return verdicts
}

// test runs the tests that have to notice.
func (m mutant) test(ctx context.Context) verdict {
	begun := time.Now()
	dir, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return verdict{word: "BROKEN", detail: err.Error()}
	}
	defer os.RemoveAll(dir)
	overlay := filepath.Join(dir, "overlay.json")
	if err := m.overlay(dir, overlay); err != nil {
		return verdict{word: "BROKEN", detail: err.Error()}
	}
	args := []string{"test", "-count=1", "-failfast", "-vet=off", "-timeout=5m", "-overlay=" + overlay}
	if m.tests != "" {
		args = append(args, "-run=^("+m.tests+")$")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, m.pkg)...)
	out, err := cmd.CombinedOutput()
	v := verdict{took: time.Since(begun)}
	text := string(out)
	switch {
	case ctx.Err() != nil:
		v.word, v.detail = "BROKEN", "interrupted"
	case strings.Contains(text, "[build failed]") || strings.Contains(text, "[setup failed]"):
		v.word, v.detail = "BROKEN", text
	case strings.Contains(text, "no tests to run"):
		v.word, v.detail = "BROKEN", "no test matches "+m.tests
	case err == nil:
		v.word, v.detail = "SURVIVED", m.pkg+" "+m.tests
	default:
		v.word, v.detail = "killed", firstFailure(text)
	}
	return v
}

// overlay writes the changed file and what tells the go command of it.
func (m mutant) overlay(dir, path string) error {
	changed := filepath.Join(dir, filepath.Base(m.file))
	if err := os.WriteFile(changed, []byte(m.changed), 0o600); err != nil {
		return err
	}
	original, err := filepath.Abs(m.file)
	if err != nil {
		return err
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// firstFailure is the test that noticed.
func firstFailure(out string) string {
	for line := range strings.Lines(out) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "--- FAIL: "); ok {
			name, _, _ = strings.Cut(name, " ")
			return name
		}
	}
	for _, word := range []string{"panic: test timed out", "panic:", "fatal error:"} {
		if strings.Contains(out, word) {
			return word
		}
	}
	return "failed"
}

// table prints what became of each, and reports whether none is left.
func table(mutants []mutant, verdicts []verdict) bool {
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 3, ' ', 0)
	count := map[string]int{}
	for i, m := range mutants {
		v := verdicts[i]
		count[v.word]++
		detail, _, _ := strings.Cut(v.detail, "\n")
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", v.word, m.name, m.file, detail)
	}
	w.Flush()
	for i, m := range mutants {
		if verdicts[i].word == "BROKEN" {
			fmt.Printf("\n%s: %s\n", m.name, verdicts[i].detail)
		}
	}
	fmt.Printf("\n%d mutants: %d killed, %d equivalent, %d survived, %d broken\n",
		len(mutants), count["killed"], count["equivalent"], count["SURVIVED"], count["BROKEN"])
	return count["SURVIVED"]+count["BROKEN"] == 0
}
