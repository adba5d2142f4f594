package proof

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/lifeboat-dr/lifeboat/registry"
)

// served is a resource as the API server offers it.
type served struct {
	stored schema.GroupResource // whose keys hold its objects
	gvk    schema.GroupVersionKind
	plural string
	path   string // /apis/apps/v1/deployments
}

// discovery is what /api and /apis answer in their aggregated form
// (apidiscovery.k8s.io v2).
type discovery struct {
	Items []struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
		Versions []struct {
			Version   string `json:"version"`
			Freshness string `json:"freshness"`
			Resources []struct {
				Resource     string `json:"resource"`
				ResponseKind struct {
					Kind string `json:"kind"`
				} `json:"responseKind"`
				Verbs []string `json:"verbs"`
			} `json:"resources"`
		} `json:"versions"`
	} `json:"items"`
}

// The older form, before 1.26.
type groupList struct {
	Groups []struct {
		Name             string                          `json:"name"`
		PreferredVersion struct{ GroupVersion string }   `json:"preferredVersion"`
		Versions         []struct{ GroupVersion string } `json:"versions"`
	} `json:"groups"`
}

type resourceList struct {
	Resources []struct {
		Name  string   `json:"name"`
		Kind  string   `json:"kind"`
		Verbs []string `json:"verbs"`
	} `json:"resources"`
}

const aggregated = jsonType + ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList," + jsonType + ";g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList," + jsonType

// catalog gathers what is served: each resource once, in the version that the
// server prefers, under the group whose keys hold it.
type catalog struct {
	found []served
	stale []string // group versions of aggregated servers that nobody answers for
}

func (c *catalog) add(group, version, plural, kind string, verbs []string) {
	if strings.Contains(plural, "/") || !slices.Contains(verbs, "list") {
		return
	}
	path := "/apis/" + group + "/" + version + "/" + plural
	if group == "" {
		path = "/api/" + version + "/" + plural
	}
	s := served{
		stored: schema.GroupResource{Group: group, Resource: plural}, plural: plural, path: path,
		gvk: schema.GroupVersionKind{Group: group, Version: version, Kind: kind},
	}
	if r, ok := registry.LookupResource(s.stored); ok {
		s.stored = r.GroupResource()
	}
	i := slices.IndexFunc(c.found, func(have served) bool { return have.stored == s.stored })
	switch {
	case i < 0:
		c.found = append(c.found, s)
	case c.found[i].gvk.Group != s.stored.Group && group == s.stored.Group:
		c.found[i] = s // under its own name, and not the second face
	}
}

// discover asks for everything that can be listed, sorted.
func (a *api) discover(ctx context.Context) (*catalog, error) {
	c := &catalog{}
	for _, root := range []string{"/api", "/apis"} {
		var d discovery
		if err := a.json(ctx, root, aggregated, &d); err != nil {
			return nil, err
		}
		if len(d.Items) == 0 {
			if err := a.discoverOld(ctx, root, c); err != nil {
				return nil, err
			}
			continue
		}
		for _, group := range d.Items {
			for _, v := range group.Versions {
				if v.Freshness == "Stale" {
					c.stale = append(c.stale, group.Metadata.Name+"/"+v.Version)
				}
				for _, r := range v.Resources {
					c.add(group.Metadata.Name, v.Version, r.Resource, r.ResponseKind.Kind, r.Verbs)
				}
			}
		}
	}
	slices.SortFunc(c.found, func(a, b served) int {
		return cmp.Or(strings.Compare(a.stored.Group, b.stored.Group), strings.Compare(a.stored.Resource, b.stored.Resource))
	})
	return c, nil
}

// discoverOld asks version by version.
func (a *api) discoverOld(ctx context.Context, root string, c *catalog) error {
	versions := []string{"v1"}
	if root == "/apis" {
		var groups groupList
		if err := a.json(ctx, root, jsonType, &groups); err != nil {
			return err
		}
		versions = nil
		for _, g := range groups.Groups {
			versions = append(versions, g.PreferredVersion.GroupVersion)
			for _, v := range g.Versions {
				if v.GroupVersion != g.PreferredVersion.GroupVersion {
					versions = append(versions, v.GroupVersion)
				}
			}
		}
	}
	for _, gv := range versions {
		var list resourceList
		if err := a.json(ctx, root+"/"+gv, jsonType, &list); err != nil {
			c.stale = append(c.stale, gv) // an aggregated server's
			continue
		}
		group, version, ok := strings.Cut(gv, "/")
		if !ok {
			group, version = "", gv
		}
		for _, r := range list.Resources {
			c.add(group, version, r.Name, r.Kind, r.Verbs)
		}
	}
	return nil
}
