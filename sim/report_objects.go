package sim

import (
	"fmt"
	"strings"
)

// maxNames is how many objects a report for people names; report.json has all.
const maxNames = 100

// lines say for people what became of the objects; none for nil.
func (o *ObjectLoss) lines() []string {
	switch {
	case o == nil:
		return nil
	case o.Unknown != "":
		return []string{fmt.Sprintf("Kubernetes objects of the backup: %d, and what is left of them is not known: %s", o.Of, o.Unknown)}
	}
	lines := []string{fmt.Sprintf("Kubernetes objects of the backup: %d, of them %d lost and %d set back", o.Of, len(o.Lost), len(o.SetBack))}
	if len(o.Lost) > 0 {
		lines = append(lines, "Lost: "+someOf(o.Lost))
	}
	if len(o.SetBack) > 0 {
		lines = append(lines, "Set back, as a change of theirs that was acknowledged is lost: "+someOf(o.SetBack))
	}
	return lines
}

func someOf(all []string) string {
	text := strings.Join(all[:min(maxNames, len(all))], ", ")
	if len(all) > maxNames {
		text += fmt.Sprintf(", and %d more", len(all)-maxNames)
	}
	return text
}
