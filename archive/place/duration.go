package place

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time in the calendar: a month is one of the
// calendar's, not thirty days.
type Duration struct {
	Years, Months, Days, Hours, Minutes int
}

// ParseDuration reads 1y5mo7d2h, as restic does, but for the m: it means months
// there and minutes everywhere else, so here it is neither. Months are mo,
// minutes min. The units may come in any order, each once.
func ParseDuration(text string) (Duration, error) {
	var d Duration
	units := map[string]*int{"y": &d.Years, "mo": &d.Months, "w": nil, "d": &d.Days, "h": &d.Hours, "min": &d.Minutes}
	seen := map[string]bool{}
	rest := text
	for rest != "" {
		digits := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if digits <= 0 {
			return Duration{}, fmt.Errorf("reading duration %q: a number and a unit are wanted, as in 1y6mo or 36h", text)
		}
		n, err := strconv.Atoi(rest[:digits])
		rest = rest[digits:]
		letters := strings.IndexFunc(rest, func(r rune) bool { return r >= '0' && r <= '9' })
		if letters < 0 {
			letters = len(rest)
		}
		unit := rest[:letters]
		rest = rest[letters:]
		to, known := units[unit]
		switch {
		case unit == "m":
			return Duration{}, fmt.Errorf("reading duration %q: m is not clear: write mo for months, min for minutes", text)
		case !known || seen[unit]:
			return Duration{}, fmt.Errorf("reading duration %q: the units are y, mo, w, d, h and min, each once", text)
		case err != nil || n > 100_000:
			return Duration{}, fmt.Errorf("reading duration %q: the number is too large", text)
		case unit == "w":
			d.Days += 7 * n
		default:
			*to += n
		}
		seen[unit] = true
	}
	if d == (Duration{}) {
		return d, fmt.Errorf("reading duration %q: it is empty", text)
	}
	return d, nil
}

// Before is the moment so long before t.
func (d Duration) Before(t time.Time) time.Time {
	return t.AddDate(-d.Years, -d.Months, -d.Days).Add(-time.Duration(d.Hours)*time.Hour - time.Duration(d.Minutes)*time.Minute)
}

// String is the shortest text that ParseDuration reads as d.
func (d Duration) String() string {
	var b strings.Builder
	for _, part := range []struct {
		n    int
		unit string
	}{{d.Years, "y"}, {d.Months, "mo"}, {d.Days, "d"}, {d.Hours, "h"}, {d.Minutes, "min"}} {
		if part.n != 0 {
			fmt.Fprintf(&b, "%d%s", part.n, part.unit)
		}
	}
	return b.String()
}
