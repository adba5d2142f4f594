package registry

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Rule is one reason to drop, change or leave out something. A rule looks at
// one object and at what else is in the backup, and does one thing.
type Rule struct {
	ID     string             // "service-node-port"
	Kinds  []schema.GroupKind // nil is every kind
	Why    string             // what goes wrong without it
	Source string             // where Kubernetes decides that, or who was bitten

	apply func(*edit)
}

// Rules lists the rules of profile Recreate in the order in which they are
// applied: first those that leave an object out, then those that need to see
// the whole object, the metadata at last.
func Rules() []Rule { return slices.Clone(ruleTable()) }

// ruleTable puts the tables together. The order matters: the rules of the
// metadata drop what the ones before read (managedFields, annotations).
func ruleTable() []Rule {
	return slices.Concat(
		presenceRules(), clusterRules(), childRules(),
		runRules(), serviceRules(), volumeRules(), snapshotRules(), podRules(), jobRules(), workloadRules(), accountRules(),
		extensionRules(), definitionRules(), nestedRules(), referenceRules(), platformRules(), metadataRules(), annotationRules(),
	)
}

// optionalRules are those that options of Clean add.
func optionalRules() []Rule { return append(Clone{}.rules(), suspendRules()...) }

// kinds reads "Pod", "Deployment.apps".
func kinds(names ...string) []schema.GroupKind {
	list := make([]schema.GroupKind, len(names))
	for i, n := range names {
		list[i] = schema.ParseGroupKind(n)
	}
	return list
}

// concerns tells whether the rule looks at objects of a kind.
func (r Rule) concerns(gk schema.GroupKind) bool {
	return r.Kinds == nil || slices.Contains(r.Kinds, gk)
}
