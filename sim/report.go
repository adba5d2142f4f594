package sim

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Verdict is how a run ended.
type Verdict string

// The verdicts. Only Met is a pass.
const (
	Met       Verdict = "met"
	Deviated  Verdict = "deviated"        // an expectation or an invariant does not hold
	NotSteady Verdict = "could not start" // the cluster was not well before the first step
	Aborted   Verdict = "aborted"         // stopped, or something could not be measured
)

// Check is one expectation, judged.
type Check struct {
	Expected string   `json:"expected"`
	Observed string   `json:"observed"`
	Met      bool     `json:"met"`
	At       Duration `json:"at"`             // when it was judged
	Took     Duration `json:"took,omitempty"` // until it held
}

// Done is one action as it was carried out.
type Done struct {
	Action string   `json:"action"` // with the members that the selectors picked
	At     Duration `json:"at"`
	Took   Duration `json:"took"`
	Error  string   `json:"error,omitempty"`
}

// StepResult is what became of a step.
type StepResult struct {
	Name   string   `json:"name"`
	Start  Duration `json:"start"`
	End    Duration `json:"end"`
	Done   []Done   `json:"done,omitempty"`
	Checks []Check  `json:"checks,omitempty"`
	// Losses are what the step worked out, of a drill that loses nodes.
	Losses []NodeLoss `json:"losses,omitempty"`
}

// RTO is how long it took to recover, split where an operator would: until
// somebody noticed, until the cure was begun, until it worked.
type RTO struct {
	Detect  Duration `json:"detect"`
	Decide  Duration `json:"decide"`
	Restore Duration `json:"restore"`
	Total   Duration `json:"total"`
	// WithoutLeader is the longest stretch since then in which no member led.
	WithoutLeader Duration `json:"withoutLeader"`
}

// Run is one run of a drill: one seed on one engine.
type Run struct {
	Seed    uint64  `json:"seed"`
	Verdict Verdict `json:"verdict"`
	Reason  string  `json:"reason,omitempty"`
	// Reasons are all deviations in the order in which they were seen; the first
	// is Reason.
	Reasons []string `json:"reasons,omitempty"`
	// Cause is what a deviation was about, without what was seen and when: the
	// step with its expectation, or the invariant. Runs with the same cause
	// deviate the same way.
	Cause string `json:"cause,omitempty"`

	Before []Check      `json:"before,omitempty"`
	Steps  []StepResult `json:"steps,omitempty"`
	After  []Check      `json:"after,omitempty"`

	RTO *RTO `json:"rto,omitempty"`
	// RPO is acknowledged writes lost; nil where it was not measured or, with
	// RPOUnknown, nobody could be asked.
	RPO        *int `json:"rpo,omitempty"`
	RPOUnknown bool `json:"rpoUnknown,omitempty"`
	// Objects are the backup's; nil where there was no backup.
	Objects *ObjectLoss `json:"objects,omitempty"`

	// Basis says what the answers of a drill that loses nodes rest on.
	Basis []string `json:"basis,omitempty"`

	Checked   []Invariant `json:"checkedInvariants,omitempty"`
	Unchecked []Invariant `json:"uncheckedInvariants,omitempty"` // listed, and the engine cannot see them

	Length  Duration `json:"length"`
	Members []Member `json:"members,omitempty"` // at the end
	Tally   Tally    `json:"tally"`
	Events  []Event  `json:"events,omitempty"`
	Digest  string   `json:"digest,omitempty"` // over everything that happened; equal for equal runs
}

// SeedResult is a run in a line.
type SeedResult struct {
	Seed    uint64    `json:"seed"`
	Verdict Verdict   `json:"verdict"`
	Reason  string    `json:"reason,omitempty"`
	Cause   string    `json:"cause,omitempty"` // as of Run
	RTO     *Duration `json:"rto,omitempty"`
	RPO     *int      `json:"rpo,omitempty"`
	// RPOUnknown: it was measured, and nobody could be asked.
	RPOUnknown    bool      `json:"rpoUnknown,omitempty"`
	Digest        string    `json:"digest,omitempty"`
	WithoutLeader *Duration `json:"withoutLeader,omitempty"`
}

// Spread is what a number was over all seeds.
type Spread struct {
	Min    Duration `json:"min"`
	Median Duration `json:"median"`
	P99    Duration `json:"p99"`
	Max    Duration `json:"max"`
}

// SpreadOf sorts values and takes their quantiles (nearest rank).
func SpreadOf(values []Duration) *Spread {
	if len(values) == 0 {
		return nil
	}
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	at := func(percent int) Duration { return sorted[(len(sorted)*percent+99)/100-1] }
	return &Spread{Min: sorted[0], Median: at(50), P99: at(99), Max: sorted[len(sorted)-1]}
}

// Report is what a drill found on one engine.
type Report struct {
	Scenario *Scenario         `json:"scenario"`
	Engine   EngineName        `json:"engine"`
	Verdict  Verdict           `json:"verdict"` // the worst of all seeds
	Reason   string            `json:"reason,omitempty"`
	Versions map[string]string `json:"versions"`
	// Started is when a run on real members began, by this host's clock; zero
	// elsewhere, where the same question always gives the same report.
	Started time.Time    `json:"started,omitzero"`
	Seeds   []SeedResult `json:"seeds"`
	RTO     *Spread      `json:"rto,omitempty"`
	RPO     *Losses      `json:"rpo,omitempty"`
	// WithoutLeader is RTO.WithoutLeader of all seeds.
	WithoutLeader *Spread `json:"withoutLeader,omitempty"`
	// Run is one run in full: the first that did not meet its expectations, else
	// the first.
	Run Run `json:"run"`
	// Replay is the command that repeats Run; "" where the engine cannot.
	Replay string `json:"replay,omitempty"`
	// Part is which shard of the seeds was run, nil for all of them.
	Part *Part `json:"part,omitempty"`
	// Search says that each seed had a random drill of its own.
	Search *Search `json:"search,omitempty"`
	// Shrunk is what is left of the drill's file when all is taken away without
	// which Run deviates the same way; nil where nothing was shrunk.
	Shrunk []byte `json:"-"`
}

// severity orders verdicts: a drill is as good as its worst seed.
func (v Verdict) severity() int {
	return slices.Index([]Verdict{Met, Deviated, NotSteady, Aborted}, v)
}

// Part is a shard of a drill's seeds.
type Part struct {
	Shard int   `json:"shard"` // from 0
	Of    int   `json:"of"`
	Seeds Range `json:"seeds"` // of all shards together
}

// Search is a search with random drills.
type Search struct {
	Steps int   `json:"steps"` // faults in each drill
	Seeds Range `json:"seeds"` // to be tried at most
}

// NewReport sums up runs, which may come in any order. Without any nothing was
// judged.
func NewReport(s *Scenario, engine EngineName, versions map[string]string, runs []Run) *Report {
	r := &Report{Scenario: s, Engine: engine, Versions: versions}
	runs = slices.Clone(runs)
	slices.SortFunc(runs, func(a, b Run) int { return cmp.Compare(a.Seed, b.Seed) })
	for _, run := range runs {
		line := SeedResult{Seed: run.Seed, Verdict: run.Verdict, Reason: run.Reason, Cause: run.Cause, RPO: run.RPO, RPOUnknown: run.RPOUnknown, Digest: run.Digest}
		if run.RTO != nil {
			line.RTO, line.WithoutLeader = &run.RTO.Total, &run.RTO.WithoutLeader
		}
		r.Seeds = append(r.Seeds, line)
	}
	if shown := r.sumUp(); shown >= 0 {
		r.Run = runs[shown]
	}
	return r
}

// sumUp makes the report's own figures out of those of the seeds, and says which
// of them is to be shown in full; -1 for none.
func (r *Report) sumUp() (shown int) {
	if len(r.Seeds) == 0 {
		r.Verdict, r.Reason = Aborted, "no seed was run: nothing was judged"
		return -1
	}
	var rtos, leaderless []Duration
	r.Verdict = Met
	for i, line := range r.Seeds {
		if line.RTO != nil {
			rtos = append(rtos, *line.RTO)
		}
		if line.WithoutLeader != nil {
			leaderless = append(leaderless, *line.WithoutLeader)
		}
		r.RPO = r.RPO.with(line)
		if line.Verdict.severity() > r.Verdict.severity() {
			r.Verdict, r.Reason, shown = line.Verdict, line.Reason, i
		}
	}
	r.RTO, r.WithoutLeader = SpreadOf(rtos), SpreadOf(leaderless)
	return shown
}

// Failed are the seeds that were not met.
func (r *Report) Failed() []SeedResult {
	var out []SeedResult
	for _, s := range r.Seeds {
		if s.Verdict != Met {
			out = append(out, s)
		}
	}
	return out
}

// CauseGroup is the seeds that were not met for one cause.
type CauseGroup struct {
	Cause  string // of Run; the reason where there is none
	Reason string // of the first of them
	Seeds  []uint64
}

// Causes group the seeds that were not met, the largest group first.
func (r *Report) Causes() []CauseGroup {
	var groups []CauseGroup
	at := map[string]int{}
	for _, s := range r.Failed() {
		cause := cmp.Or(s.Cause, s.Reason)
		i, known := at[cause]
		if !known {
			i = len(groups)
			at[cause], groups = i, append(groups, CauseGroup{Cause: cause, Reason: s.Reason})
		}
		groups[i].Seeds = append(groups[i].Seeds, s.Seed)
	}
	slices.SortStableFunc(groups, func(a, b CauseGroup) int { return cmp.Compare(len(b.Seeds), len(a.Seeds)) })
	return groups
}

// Some names seeds for people: the first few, and how many more.
func (g CauseGroup) Some() string {
	const few = 12
	var names []string
	for _, seed := range g.Seeds[:min(few, len(g.Seeds))] {
		names = append(names, uintText(seed))
	}
	text := strings.Join(names, ", ")
	if more := len(g.Seeds) - few; more > 0 {
		text += " and " + strconv.Itoa(more) + " more"
	}
	return text
}
