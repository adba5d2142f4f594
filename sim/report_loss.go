package sim

import "strconv"

// LossUnknown is what is told where acknowledged writes may be lost and nobody
// can say.
const LossUnknown = "what is lost is unknown: nobody leads that could be asked"

// Losses are the acknowledged writes that were lost, over all seeds.
type Losses struct {
	Of      int `json:"of"`                // seeds
	Most    int `json:"most"`              // in one seed
	Seeds   int `json:"seeds"`             // that lost any
	Unknown int `json:"unknown,omitempty"` // seeds at whose end nobody could be asked
}

// with counts a seed in; nil stays nil while nothing was measured.
func (l *Losses) with(s SeedResult) *Losses {
	if s.RPO == nil && !s.RPOUnknown {
		return l
	}
	if l == nil {
		l = &Losses{}
	}
	l.Of++
	switch {
	case s.RPOUnknown:
		l.Unknown++
	case *s.RPO > 0:
		l.Most, l.Seeds = max(l.Most, *s.RPO), l.Seeds+1
	}
	return l
}

// String is for a table: "0", "3", "unknown", "3, unknown in 2 of 20".
func (l *Losses) String() string {
	switch l.Unknown {
	case 0:
		return strconv.Itoa(l.Most)
	case l.Of:
		return "unknown"
	}
	return strconv.Itoa(l.Most) + ", unknown in " + strconv.Itoa(l.Unknown) + " of " + strconv.Itoa(l.Of)
}
