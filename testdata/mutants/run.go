package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// What becomes of a mutant.
const (
	killed     = "killed"
	survived   = "SURVIVED"
	broken     = "BROKEN"
	equivalent = "equivalent"
)

// testAll tests all mutants, package by package.
func testAll(ctx context.Context, mutants []*mutant, jobs int) {
	groups := map[string][]*mutant{}
	var packages []string
	for _, m := range mutants {
		if m.equivalent != "" {
			m.verdict, m.detail = equivalent, m.equivalent
			continue
		}
		if groups[m.pkg] == nil {
			packages = append(packages, m.pkg)
		}
		groups[m.pkg] = append(groups[m.pkg], m)
	}
	slots := make(chan struct{}, max(1, jobs))
	var all sync.WaitGroup
	for _, pkg := range packages {
		slots <- struct{}{}
		all.Go(func() {
			testGroup(ctx, pkg, groups[pkg])
			<-slots
		})
	}
	all.Wait()
}

// testGroup tests the mutants that one package's tests have to notice.
func testGroup(ctx context.Context, pkg string, mutants []*mutant) {
	alone, err := testTogether(ctx, pkg, mutants)
	switch {
	case err != nil && len(mutants) == 1:
		mutants[0].end(broken, err.Error(), time.Now())
	case err != nil: // one of them does not compile
		testGroup(ctx, pkg, mutants[:len(mutants)/2])
		testGroup(ctx, pkg, mutants[len(mutants)/2:])
	}
	for _, m := range alone {
		begun := time.Now()
		dir, binary, err := build(ctx, pkg, map[string]string{m.file: m.changed})
		if err != nil {
			m.end(broken, err.Error(), begun)
		} else {
			m.test(ctx, binary, "")
		}
		os.RemoveAll(dir)
	}
}

// testTogether tests mutants with one binary that can be each of them. It gives
// back those that cannot be part of it; an error is the compiler's.
func testTogether(ctx context.Context, pkg string, mutants []*mutant) (alone []*mutant, err error) {
	byFile := map[string][]*mutant{}
	for _, m := range mutants {
		byFile[m.file] = append(byFile[m.file], m)
	}
	files := map[string]string{}
	for file, of := range byFile {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		changed, name, not, err := switched(string(text), of)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		alone = append(alone, not...)
		files[file] = changed
		files[filepath.Join(filepath.Dir(file), "mutant_chosen.go")] = fmt.Sprintf(chosenFile, name, chosenEnv)
	}
	together := slices.DeleteFunc(slices.Clone(mutants), func(m *mutant) bool { return slices.Contains(alone, m) })
	if len(together) == 0 {
		return alone, nil
	}
	dir, binary, err := build(ctx, pkg, files)
	defer os.RemoveAll(dir)
	if err != nil {
		return nil, err
	}
	sound := map[string]string{} // by tests: what they say when nothing is broken
	for _, m := range together {
		if _, known := sound[m.tests]; !known {
			out, err := runTests(ctx, binary, pkg, m.tests, "")
			if err != nil {
				out = "the tests fail without it:\n" + out
			} else {
				out = ""
			}
			sound[m.tests] = out
		}
		if sound[m.tests] != "" {
			m.end(broken, sound[m.tests], time.Now())
			continue
		}
		m.test(ctx, binary, m.name)
	}
	return alone, nil
}

// build makes a package's test binary of changed files. The folder is the caller's to remove.
func build(ctx context.Context, pkg string, files map[string]string) (dir, binary string, err error) {
	dir, err = os.MkdirTemp("", "mutants")
	if err != nil {
		return "", "", err
	}
	replace := map[string]string{}
	for file, text := range files {
		at := filepath.Join(dir, fmt.Sprintf("%d-%s", len(replace), filepath.Base(file)))
		original, err := filepath.Abs(file)
		if err := errors.Join(err, os.WriteFile(at, []byte(text), 0o600)); err != nil {
			return dir, "", err
		}
		replace[original] = at
	}
	overlay := filepath.Join(dir, "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err := errors.Join(err, os.WriteFile(overlay, text, 0o600)); err != nil {
		return dir, "", err
	}
	binary = filepath.Join(dir, "tests")
	out, err := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-overlay="+overlay, "-o="+binary, pkg).CombinedOutput()
	if err != nil {
		return dir, "", fmt.Errorf("%w\n%s", err, out)
	}
	return dir, binary, nil
}

// test runs the tests that have to notice.
func (m *mutant) test(ctx context.Context, binary, chosen string) {
	begun := time.Now()
	out, err := runTests(ctx, binary, m.pkg, m.tests, chosen)
	switch {
	case ctx.Err() != nil:
		m.end(broken, "interrupted", begun)
	case strings.Contains(out, "no tests to run"):
		m.end(broken, "no test matches "+m.tests, begun)
	case err == nil:
		m.end(survived, m.pkg+" "+m.tests, begun)
	default:
		m.end(killed, firstFailure(out), begun)
	}
}

func (m *mutant) end(verdict, detail string, begun time.Time) {
	m.verdict, m.detail, m.took = verdict, detail, time.Since(begun)
	fmt.Fprintf(os.Stderr, "%-10s %s (%.1f s) %s\n", verdict, m.name, m.took.Seconds(), detail)
}

// runTests runs tests where the go command would run them.
func runTests(ctx context.Context, binary, pkg, tests, chosen string) (out string, err error) {
	cmd := exec.CommandContext(ctx, binary, "-test.failfast", "-test.timeout=2m", "-test.run=^("+cmp.Or(tests, ".*")+")$")
	cmd.Dir = pkg
	cmd.Env = append(os.Environ(), chosenEnv+"="+chosen)
	cmd.WaitDelay = 10 * time.Second // a child of it may outlive it, and hold the pipe
	text, err := cmd.CombinedOutput()
	return string(text), err
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
