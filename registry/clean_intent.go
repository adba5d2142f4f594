package registry

import (
	"bytes"
	"encoding/json"

	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// intent is the evidence of what a user asked for, as against what a cluster
// allocated by itself.
//
// An API server computes managedFields before its strategies allocate node
// ports and addresses (apiserver endpoints/handlers/create.go): an allocated
// field has no owner, one that a user sent has. kubectl apply keeps what it
// sent in an annotation as well.
type intent struct {
	owned       []fieldpath.Set // managedFields, without those of subresources
	managers    []string        // who owns something
	lastApplied map[string]any  // nil when the object was never applied
}

// evidence reads the intent at its first use.
func (e *edit) evidence() *intent {
	if e.intent == nil {
		e.intent = readIntent(e.stored)
	}
	return e.intent
}

func readIntent(stored map[string]any) *intent {
	in := &intent{}
	for _, entry := range listAt(stored, "metadata", "managedFields") {
		fields := mapAt(entry, "fieldsV1")
		if fields == nil || stringAt(entry, "subresource") != "" {
			continue
		}
		// Evidence that does not parse is none: the field counts as allocated.
		data, err := json.Marshal(fields)
		if err != nil {
			continue
		}
		var owned fieldpath.Set
		if err := owned.FromJSON(bytes.NewReader(data)); err != nil {
			continue
		}
		in.owned = append(in.owned, owned)
		in.managers = append(in.managers, stringAt(entry, "manager"))
	}
	text := stringAt(stored, "metadata", "annotations", lastApplied)
	if err := utiljson.Unmarshal([]byte(text), &in.lastApplied); err != nil {
		in.lastApplied = nil
	}
	return in
}

// hasEvidence tells whether anything in the object says who set its fields.
func (e *edit) hasEvidence() bool {
	return len(e.evidence().owned) > 0 || e.evidence().lastApplied != nil
}

// isManifest tells an object that no API server has stored: every field in it
// is somebody's wish. Objects of a backup all have a uid; cleaned ones have
// none, and to clean them again must change nothing.
func (m *member) isManifest() bool { return m.uid == "" }

// userSet tells whether a user set the field at path: one of managedFields'
// owners has it, or keep finds it in what was last applied. The path's parts
// are those of fieldpath.MakePath.
func (e *edit) userSet(applied func(map[string]any) bool, path ...any) bool {
	if e.isManifest() {
		return true
	}
	in := e.evidence()
	if in.lastApplied != nil && applied(in.lastApplied) {
		return true
	}
	p, err := fieldpath.MakePath(path...)
	if err != nil {
		return false
	}
	for _, owned := range in.owned {
		if owned.Has(p) {
			return true
		}
	}
	return false
}

// touched tells whether anybody but the control plane wrote the object.
func (e *edit) touched() bool {
	if e.isManifest() || e.evidence().lastApplied != nil {
		return true
	}
	for _, manager := range e.evidence().managers {
		switch manager {
		case "kube-apiserver", "kube-controller-manager", "clusterrole-aggregation-controller":
		default:
			return true
		}
	}
	return false
}
