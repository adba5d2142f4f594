package sim

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
)

// WriteJSON writes the whole report.
func (r *Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// The elements of JUnit's XML that CI servers read.
type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr,omitempty"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string      `xml:"name,attr"`
	Class   string      `xml:"classname,attr"`
	Time    string      `xml:"time,attr"`
	Failure *junitFault `xml:"failure,omitempty"` // deviated
	Error   *junitFault `xml:"error,omitempty"`   // could not start, aborted
	Skipped *junitSkip  `xml:"skipped,omitempty"`
}

// junitSkip is what could not be judged.
type junitSkip struct {
	Message string `xml:"message,attr"`
}

type junitFault struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes the checks of the run that is shown and a line per seed, as
// test cases. A deviation is a failure; what was not judged is an error.
func (r *Report) WriteJUnit(w io.Writer) error {
	suite := junitSuite{Name: r.Scenario.Name, Time: junitTime(r.Run.Length)}
	add := func(c junitCase) {
		c.Class = "lifeboat.drill." + string(r.Engine) + "." + r.Scenario.Name
		suite.Tests++
		if c.Failure != nil {
			suite.Failures++
		}
		if c.Error != nil {
			suite.Errors++
		}
		if c.Skipped != nil {
			suite.Skipped++
		}
		suite.Cases = append(suite.Cases, c)
	}
	checks := func(step string, list []Check) {
		for i, check := range list {
			c := junitCase{Name: fmt.Sprintf("%s %d: %s", step, i+1, check.Expected), Time: junitTime(check.Took)}
			if !check.Met {
				c.Failure = &junitFault{Message: "observed " + check.Observed, Type: string(Deviated), Text: "expected " + check.Expected}
			}
			add(c)
		}
	}
	checks("steady before", r.Run.Before)
	for _, step := range r.Run.Steps {
		checks(step.Name, step.Checks)
	}
	checks("steady after", r.Run.After)
	if r.Run.RPOUnknown {
		add(junitCase{Name: "acknowledged writes lost", Time: "0.000", Skipped: &junitSkip{Message: LossUnknown}})
	}
	for _, seed := range r.Seeds {
		c := junitCase{Name: "seed " + strconv.FormatUint(seed.Seed, 10), Time: "0.000"}
		switch fault := (&junitFault{Message: seed.Reason, Type: string(seed.Verdict)}); seed.Verdict {
		case Met:
		case Deviated:
			c.Failure = fault
		default:
			c.Error = fault
		}
		add(c)
	}
	return suite.write(w)
}

func (s junitSuite) write(w io.Writer) error {
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	if err := encoder.Encode(junitSuites{Suites: []junitSuite{s}}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// Case is one thing that was judged, for WriteCases. Of the three texts at most
// one is set.
type Case struct {
	Name    string
	Took    Duration
	Failed  string // it is not as it should be
	Broken  string // what it needs did not work
	Skipped string // nobody could judge it
}

// WriteCases writes what others than drills have judged in the XML of a drill's
// junit.xml.
func WriteCases(w io.Writer, name, class string, took Duration, cases []Case) error {
	suite := junitSuite{Name: name, Tests: len(cases), Time: junitTime(took)}
	for _, c := range cases {
		out := junitCase{Name: c.Name, Class: class, Time: junitTime(c.Took)}
		switch {
		case c.Failed != "":
			suite.Failures++
			out.Failure = &junitFault{Message: c.Failed, Type: "failed"}
		case c.Broken != "":
			suite.Errors++
			out.Error = &junitFault{Message: c.Broken, Type: "broken"}
		case c.Skipped != "":
			suite.Skipped++
			out.Skipped = &junitSkip{Message: c.Skipped}
		}
		suite.Cases = append(suite.Cases, out)
	}
	return suite.write(w)
}

func junitTime(d Duration) string { return strconv.FormatFloat(d.D().Seconds(), 'f', 3, 64) }
