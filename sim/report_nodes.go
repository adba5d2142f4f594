package sim

import _ "embed"

//go:embed report_nodes.html.tmpl
var nodesTemplate string

// template is that of the page: a drill that loses nodes has no members to draw.
func (r *Report) template() string {
	if r.Engine == Nodes {
		return nodesTemplate
	}
	return reportTemplate
}

// Moving are the Pods of a loss that do not belong to a node: those that have to
// come back elsewhere.
func (l NodeLoss) Moving() []PodFate {
	var out []PodFate
	for _, p := range l.Pods {
		if !p.Stays {
			out = append(out, p)
		}
	}
	return out
}

// losses writes what became of the Pods, as Markdown.
func (run *Run) losses(p *printer) {
	for _, step := range run.Steps {
		for _, loss := range step.Losses {
			moving := loss.Moving()
			p.line("## Lost: %s", cell(loss.Name))
			p.line("")
			if len(moving) == 0 {
				p.line("No Pod has to come back elsewhere.")
				p.line("")
				continue
			}
			p.line("| Pod | from | to | back | |")
			p.line("|---|---|---|---|---|")
			for _, pod := range moving {
				p.line("| %s | %s | %s | %s | %s |", cell(pod.Namespace+"/"+pod.Name), cell(pod.Node), cell(pod.Goes()), pod.When(), cell(pod.Why))
			}
			p.line("")
		}
	}
	for _, text := range run.Basis {
		p.line("- %s", cell(text))
	}
}

// Goes is where the Pod's successor goes, for people.
func (p PodFate) Goes() string {
	if p.To == "" {
		return "-"
	}
	return p.To
}

// When is the time at which the Pod is back at the latest, for people.
func (p PodFate) When() string {
	if p.Back == nil {
		return "**never by itself**"
	}
	return seconds(*p.Back)
}
