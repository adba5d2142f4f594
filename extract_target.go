package lifeboat

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/registry/printer"
)

// holdToDefinitions holds the custom resources of a plan against the definitions
// that the cluster will have: those of the plan, and otherwise those of the backup.
// What would be refused gets a Refused Problem; what has no definition anywhere a
// note that it was not checked.
func holdToDefinitions(ctx context.Context, reg *registry.Registry, plan *registry.Plan, convert func(*registry.Object), target printer.Release) error {
	custom := map[string][]*registry.Manifest{} // by the definition's name
	for _, m := range plan.Manifests {
		if _, builtin := registry.LookupKind(m.Object.GVK.GroupKind()); !builtin && m.Object.Readable() {
			gr := m.Object.Key.GroupResource()
			name := gr.Resource + "." + gr.Group
			custom[name] = append(custom[name], m)
		}
	}
	if len(custom) == 0 {
		return nil
	}
	contents, err := definitionsOf(ctx, reg, plan, convert, custom)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(custom)) {
		manifests, content := custom[name], contents[name]
		if content == nil {
			for _, m := range manifests {
				m.Notes = append(m.Notes, fmt.Sprintf("was not held against its definition: %q is not in the backup", name))
			}
			continue
		}
		definition, err := printer.NewDefinition(content, target)
		if err != nil {
			return fmt.Errorf("holding %s against their definition: %w", name, err)
		}
		for _, m := range manifests {
			if err := holdToDefinition(ctx, m, definition); err != nil {
				return err
			}
		}
	}
	return nil
}

func holdToDefinition(ctx context.Context, m *registry.Manifest, definition *printer.Definition) error {
	const most = 5
	content, err := m.Content()
	if err != nil || content == nil {
		return err
	}
	faults := definition.Faults(ctx, m.Object.GVK.Version, content)
	if len(faults) == 0 {
		return nil
	}
	more := ""
	if n := len(faults) - most; n > 0 {
		faults, more = faults[:most], fmt.Sprintf(" and %d more", n)
	}
	m.Object.Problems = append(m.Object.Problems, registry.Problem{
		Code: registry.Refused, Detail: "its definition would refuse it: " + strings.Join(faults, "; ") + more,
	})
	return nil
}

// definitionsOf are the definitions as they will be created, by name.
func definitionsOf(ctx context.Context, reg *registry.Registry, plan *registry.Plan, convert func(*registry.Object), wanted map[string][]*registry.Manifest) (map[string]map[string]any, error) {
	contents := map[string]map[string]any{}
	add := func(plan *registry.Plan) error {
		for _, m := range plan.Manifests {
			if !registry.IsDefinition(m.Object.Key) || wanted[m.Object.Name] == nil {
				continue
			}
			content, err := m.Content()
			if err != nil {
				return err
			}
			contents[m.Object.Name] = content
		}
		return nil
	}
	if err := add(plan); err != nil || len(contents) == len(wanted) {
		return contents, err
	}
	var others []*registry.Object
	for o, err := range reg.Objects(ctx, func(k registry.Key) bool {
		return registry.IsDefinition(k) && wanted[k.Name] != nil && contents[k.Name] == nil
	}) {
		if err != nil {
			return nil, err
		}
		others = append(others, o)
	}
	beside, err := registry.Clean(others, registry.CleanOptions{Convert: convert})
	if err != nil {
		return nil, err
	}
	return contents, add(beside)
}
