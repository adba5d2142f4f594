package sim

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// junitRule is what the XML schema of Jenkins' xunit plugin (junit-10.xsd) says
// of an element, as far as reports use it. Attributes that end with ! have to be
// there.
type junitRule struct {
	inside     string
	attributes []string
}

func junitRules() map[string]junitRule {
	return map[string]junitRule{
		"testsuites": {"", nil},
		"testsuite":  {"testsuites", []string{"name!", "tests!", "failures!", "errors!", "time"}},
		"testcase":   {"testsuite", []string{"name!", "classname", "time"}},
		"failure":    {"testcase", []string{"message", "type"}},
		"error":      {"testcase", []string{"message", "type"}},
	}
}

// What CI servers are given is what their schema allows, whatever the drill was
// called and however it ended.
func TestJUnitKeepsToItsSchema(t *testing.T) {
	t.Parallel()
	s := &Scenario{Name: "a <b> & \"c\"", Title: "t"}
	runs := []Run{
		{Seed: 1, Verdict: Deviated, Reason: "no \x00 \x1b[31mred\xff"},
		{Seed: 2, Verdict: Aborted, Reason: "stopped", Length: Duration(1234567 * time.Microsecond), Before: []Check{{Expected: "leader <one>", Met: true}}, Steps: []StepResult{
			{Name: "kill & see", Checks: []Check{{Expected: `write ok "x"`, Observed: "]]> nothing", Took: Duration(1200 * time.Second)}}},
		}},
		{Seed: 3, Verdict: NotSteady}, {Seed: 4, Verdict: Met},
	}
	var out bytes.Buffer
	require.NoError(t, NewReport(s, Virtual, nil, runs).WriteJUnit(&out))

	count := map[string]int{}
	total := map[string]string{}
	var open []string
	for decoder := xml.NewDecoder(&out); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		switch e := token.(type) {
		case xml.StartElement:
			rule, ok := junitRules()[e.Name.Local]
			require.True(t, ok, e.Name.Local)
			require.Equal(t, rule.inside, top(open))
			requireAttributes(t, rule, e)
			for _, a := range e.Attr {
				total[e.Name.Local+" "+a.Name.Local] = a.Value
			}
			count[e.Name.Local]++
			open = append(open, e.Name.Local)
		case xml.EndElement:
			open = open[:len(open)-1]
		}
	}
	require.Equal(t, map[string]int{"testsuites": 1, "testsuite": 1, "testcase": 6, "failure": 2, "error": 2}, count)
	require.Equal(t, []string{"6", "2", "2"}, []string{total["testsuite tests"], total["testsuite failures"], total["testsuite errors"]})
}

func top(open []string) string {
	if len(open) == 0 {
		return ""
	}
	return open[len(open)-1]
}

func requireAttributes(t *testing.T, rule junitRule, e xml.StartElement) {
	t.Helper()
	// SUREFIRE_TIME: three digits at most before each separator.
	surefire := regexp.MustCompile(`^(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]*)?$`)
	var have []string
	for _, a := range e.Attr {
		have = append(have, a.Name.Local)
		require.True(t, slices.Contains(rule.attributes, a.Name.Local) || slices.Contains(rule.attributes, a.Name.Local+"!"), "%s %s", e.Name.Local, a.Name.Local)
		if a.Name.Local == "time" {
			require.Regexp(t, surefire, a.Value)
		}
	}
	for _, name := range rule.attributes {
		if name[len(name)-1] == '!' {
			require.Contains(t, have, name[:len(name)-1], e.Name.Local)
		}
	}
}
