package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// MergeDirs merges the reports that shards have left in folders: of each drill one
// report, by name. A folder has one folder per drill, as `drill run --to` writes it.
func MergeDirs(dirs []string) ([]*Report, error) {
	byDrill, names := map[string][]*Report{}, []string{}
	for _, dir := range dirs {
		found, err := readReports(dir)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			name := r.Scenario.Name
			if byDrill[name] == nil {
				names = append(names, name)
			}
			byDrill[name] = append(byDrill[name], r)
		}
	}
	slices.Sort(names)
	var merged []*Report
	for _, name := range names {
		r, err := Merge(byDrill[name])
		if err != nil {
			return nil, err
		}
		merged = append(merged, r)
	}
	return merged, nil
}

func readReports(dir string) ([]*Report, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var found []*Report
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name(), "report.json"))
		if !e.IsDir() || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		r := &Report{}
		if err := json.Unmarshal(data, r); err != nil {
			return nil, fmt.Errorf("reading %q: %w", filepath.Join(dir, e.Name(), "report.json"), err)
		}
		if r.Scenario == nil || len(r.Seeds) == 0 {
			return nil, fmt.Errorf("%w: %q is not a report of a drill", ErrMerge, filepath.Join(dir, e.Name(), "report.json"))
		}
		if r.Shrunk, err = os.ReadFile(filepath.Join(dir, e.Name(), "shrunk.yaml")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		found = append(found, r)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: %q holds no report.json of a drill", ErrMerge, dir)
	}
	return found, nil
}
