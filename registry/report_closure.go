package registry

// ReportClosure is what the written objects need beside themselves. A report
// without one did not look.
type ReportClosure struct {
	Included bool             `json:"included"` // what is needed is among the written objects
	Needs    []ReportNeed     `json:"needs"`
	Dangling []ReportDangling `json:"dangling"`
	Webhooks []string         `json:"webhooks"` // that would refuse the objects
}

// ReportNeed is an object of the backup that a written one needs.
type ReportNeed struct {
	ReportRef
	Reason string `json:"reason"`
}

// ReportDangling is a reference to what is not in the backup.
type ReportDangling struct {
	From ReportRef `json:"from"`
	To   ReportTo  `json:"to"`
}

// ReportTo is what a reference names, and where.
type ReportTo struct {
	Group     string `json:"group,omitempty"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	Field     string `json:"field"`
}

// Report puts a closure into the form of a report; nil for nil.
func (c *Closure) Report(included bool) *ReportClosure {
	if c == nil {
		return nil
	}
	r := &ReportClosure{Included: included, Needs: []ReportNeed{}, Dangling: []ReportDangling{}, Webhooks: append([]string{}, c.Webhooks...)}
	for _, need := range c.Needs {
		r.Needs = append(r.Needs, ReportNeed{refOf(need.Object), need.Reason})
	}
	for _, d := range c.Dangling {
		to := ReportTo{Group: d.To.Kind.Group, Kind: d.To.Kind.Kind, Name: d.To.Name, Field: d.Field}
		if resource, ok := LookupKind(d.To.Kind); ok && resource.Namespaced {
			to.Namespace = d.To.Namespace
		}
		r.Dangling = append(r.Dangling, ReportDangling{refOf(d.From), to})
	}
	return r
}
