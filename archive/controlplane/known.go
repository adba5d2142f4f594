package controlplane

import (
	_ "embed"
	"maps"
	"path"
	"slices"
	"strings"
)

// knownText has the flags and feature gates of one minor version of each
// component; how it is made stands in its first lines.
//
//go:embed known.txt
var knownText string

// known is a section of it.
type known struct {
	minor string            // "1.37"
	flags map[string]bool   // without dashes
	gates map[string]string // "true" or "false" for one that is locked to that, else ""
}

// readKnown reads the table: a line with a component and its version, a line for
// each of its flags, and one for each of its feature gates.
func readKnown(text string) map[string]known {
	all := map[string]known{}
	var at known
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0] == "#":
		case words[0] == "component":
			at = known{words[2], map[string]bool{}, map[string]string{}}
			all[words[1]] = at
		case words[0] == "gate":
			at.gates[words[1]] = strings.Join(words[2:], "")
		default:
			at.flags[strings.TrimPrefix(words[0], "--")] = true
		}
	}
	return all
}

// CommandLine is a component's command line, held against what the version of
// its image knows.
type CommandLine struct {
	Component string
	Manifest  string // inside the backup
	Version   string // the image's tag, "" where it has none
	Known     string // the minor version whose flags are known here

	Looked  int      // flags and feature gates that were compared; 0 where Version is another one than Known
	Refused []string // by that version, in words; each keeps the component from starting
}

// CommandLines are those of the components that run under their own name.
func (v *View) CommandLines() []CommandLine {
	tables := readKnown(knownText)
	var all []CommandLine
	for _, component := range []string{APIServer, ControllerManager, Scheduler, Etcd} {
		m, c := v.component(component)
		if c == nil {
			continue
		}
		words := slices.Concat(c.Command, c.Args)
		if len(words) == 0 || path.Base(words[0]) != component {
			continue
		}
		table := tables[component]
		line := CommandLine{Component: component, Manifest: m.path, Version: imageTag(c.Image), Known: table.minor}
		if table.minor != "" && minorOf(line.Version) == table.minor {
			given := Flags{} // without the environment: what etcd does not know there it passes over
			given.parse(words[1:])
			line.compare(given, table)
		}
		all = append(all, line)
	}
	return all
}

// minorOf is "1.37" of "v1.37.1", and "3.7" of "3.7.0-0".
func minorOf(tag string) string {
	parts := strings.SplitN(strings.TrimPrefix(tag, "v"), ".", 3)
	if len(parts) < 3 {
		return ""
	}
	return parts[0] + "." + parts[1]
}

func (l *CommandLine) compare(given Flags, table known) {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		l.Looked++
		if !table.flags[name] {
			l.Refused = append(l.Refused, "it does not know --"+name)
		}
	}
	if given["emulated-version"] != "" { // of which the gates are
		return
	}
	for word := range strings.SplitSeq(given["feature-gates"], ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(word), "=")
		if !ok {
			continue
		}
		l.Looked++
		if _, of, prefixed := strings.Cut(name, ":"); prefixed { // kube:NAME
			name = of
		}
		switch locked, there := table.gates[name]; {
		case !there:
			l.Refused = append(l.Refused, "it does not know the feature gate "+name)
		case locked != "" && locked != strings.ToLower(value):
			l.Refused = append(l.Refused, "the feature gate "+name+" is locked to "+locked)
		}
	}
}
