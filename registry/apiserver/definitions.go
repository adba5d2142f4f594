package apiserver

import (
	"context"

	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// definitions are the custom resources that the backup defines now and, where
// it holds its past, those that it defined before: their objects are under
// /rev/N, and discovery is the same for all revisions. The newest definition
// of a resource counts.
func (s *Server) definitions(ctx context.Context, idx *index) (customs []registry.CustomResource, err error) {
	known := map[string]bool{}
	add := func(record snapshot.KeyValue) {
		name := string(record.Key)
		if known[name] {
			return
		}
		known[name] = true
		// One that cannot be read defines nothing; a list of them says so.
		if custom, err := registry.ParseDefinition(s.decode(ctx, idx, record)); err == nil {
			customs = append(customs, custom)
		}
	}
	for _, record := range idx.records[definitionResource()] {
		add(record)
	}
	past, ok := s.opts.Reader.(snapshot.History)
	if !ok {
		return customs, nil
	}
	isDefinition := func(path []byte) bool {
		key, err := registry.ParseKey(s.opts.Registry.Prefix, string(path))
		return err == nil && registry.IsDefinition(key)
	}
	for record, err := range past.Changes(ctx, isDefinition) {
		if err != nil {
			return nil, err
		}
		if !record.Deleted && record.Main <= s.revision {
			add(record.KeyValue)
		}
	}
	return customs, nil
}
