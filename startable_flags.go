package lifeboat

import (
	"fmt"
	"strings"

	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
)

// knownFlags holds the command lines against what the versions of their images
// know: a flag that was dropped keeps its component from starting.
func (v *verification) knownFlags(lines []controlplane.CommandLine) {
	const name = "known flags"
	var good, other []string
	looked, refused := 0, false
	for _, l := range lines {
		switch {
		case l.Looked == 0:
			other = append(other, fmt.Sprintf("%s %s (those of %s are)", l.Component, l.Version, l.Known))
		case len(l.Refused) > 0:
			refused = true
			v.say(Mismatch(name, "%q starts %s %s, which would end at once: %s", l.Manifest, l.Component, l.Version, strings.Join(l.Refused, "; ")))
		default:
			good = append(good, l.Component)
			looked += l.Looked
		}
	}
	switch {
	case refused:
	case len(good) > 0:
		v.say(Good(name, int64(looked), "flags", "%s: each of the %d flags and feature gates is one that the image's version knows", strings.Join(good, ", "), looked))
	case len(lines) == 0:
		v.say(NotChecked(name, "no manifest in kubernetes/manifests starts a component under its own name"))
	}
	if len(other) > 0 {
		v.say(NotChecked(name, "the flags of these versions are not known here: %s", strings.Join(other, ", ")))
	}
}
