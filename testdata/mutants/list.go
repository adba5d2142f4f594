package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// mutant is one change of one file.
type mutant struct {
	name       string
	file       string // in the tree
	pkg, tests string // the package whose tests have to notice, and which of them; "" for all
	sample     bool
	equivalent string // why no test can notice

	search, replacement string
	changed             string // the file after the change

	verdict, detail string
	took            time.Duration
}

// readLists reads all mutants, and sees that each can be made.
func readLists(pattern string) (all []*mutant, err error) {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		list, err := parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		for _, m := range list {
			if seen[m.name] {
				return nil, fmt.Errorf("%s: two mutants are named %q", path, m.name)
			}
			seen[m.name] = true
			if err := m.apply(); err != nil {
				return nil, fmt.Errorf("%s: mutant %q: %w", path, m.name, err)
			}
			all = append(all, m)
		}
	}
	return all, nil
}

// parse reads one list:
//
//	# a comment
//	mutant NAME
//	file FILE
//	test PACKAGE [TEST|TEST...]
//	sample                        optional
//	equivalent REASON             optional
//	< what stands there, line by line
//	> what stands there instead
func parse(text string) (list []*mutant, err error) {
	var m *mutant
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSuffix(line, "\n")
		word, rest, _ := strings.Cut(line, " ")
		if word == "mutant" {
			m = &mutant{name: rest}
			list = append(list, m)
			continue
		}
		if word == "" || strings.HasPrefix(word, "#") {
			continue
		}
		if m == nil {
			return nil, fmt.Errorf("line %d: no mutant before it", number)
		}
		switch word {
		case "file":
			m.file = rest
		case "test":
			m.pkg, m.tests, _ = strings.Cut(rest, " ")
		case "sample":
			m.sample = true
		case "equivalent":
			m.equivalent = rest
		case "<":
			m.search += rest + "\n"
		case ">":
			m.replacement += rest + "\n"
		default:
			return nil, fmt.Errorf("line %d: unknown word %q", number, word)
		}
	}
	return list, nil
}

// apply makes the change, which has to be one.
func (m *mutant) apply() error {
	text, err := os.ReadFile(m.file)
	if err != nil {
		return err
	}
	switch n := strings.Count(string(text), m.search); {
	case m.pkg == "" && m.equivalent == "":
		return fmt.Errorf("no package is to notice")
	case m.search == "" || m.search == m.replacement:
		return fmt.Errorf("it changes nothing")
	case n != 1:
		return fmt.Errorf("what it changes stands %d times in %s:\n%s", n, m.file, m.search)
	}
	m.changed = strings.Replace(string(text), m.search, m.replacement, 1)
	return nil
}
