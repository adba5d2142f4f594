package printer

import (
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/lifeboat-dr/lifeboat/registry"
)

// A Release is a minor release of Kubernetes: {1, 29}.
type Release struct{ Major, Minor int }

func (r Release) String() string { return fmt.Sprintf("%d.%d", r.Major, r.Minor) }

// newest is the release whose API is linked.
func newest() Release { return Release{1, 37} }

// oldest is the first release whose beta APIs are known well: what was switched
// off before it stands in no type any more.
func oldest() Release { return Release{1, 19} }

// ParseRelease reads "1.29", "v1.29" or "v1.29.3".
func ParseRelease(text string) (Release, error) {
	parts := strings.Split(strings.TrimPrefix(text, "v"), ".")
	if len(parts) == 2 || len(parts) == 3 {
		major, errMajor := strconv.Atoi(parts[0])
		minor, errMinor := strconv.Atoi(parts[1])
		r := Release{major, minor}
		switch {
		case errMajor != nil || errMinor != nil:
		case r.before(oldest()) || newest().before(r):
			return Release{}, fmt.Errorf("release %s: known are %s to %s", r, oldest(), newest())
		default:
			return r, nil
		}
	}
	return Release{}, fmt.Errorf("%q is no release, as 1.29 is one", text)
}

func (r Release) before(other Release) bool {
	return r.Major < other.Major || r.Major == other.Major && r.Minor < other.Minor
}

// ServableIn is [Converter.Servable] for the API server of a release: an object
// that is stored in a version which that one serves stays as it is, another one
// becomes the best that it serves. One that it serves in no version gets a
// NotServed Problem. Fields that are newer than the release are not looked for:
// kubectl create names them.
func (c *Converter) ServableIn(release Release) func(*registry.Object) {
	return func(o *registry.Object) {
		if _, ok := registry.LookupKind(o.GVK.GroupKind()); !ok {
			c.Servable(o)
			return
		}
		if o.GVK.Empty() || has(o, registry.UnknownKind) || has(o, registry.Undecodable) {
			return
		}
		if err := guard(func() error { return c.convertFor(o, release) }); err != nil {
			o.Problems = append(o.Problems, registry.Problem{Code: registry.Unconverted, Detail: err.Error()})
		}
	}
}

func (c *Converter) convertFor(o *registry.Object, release Release) error {
	gvk := c.versionIn(o.GVK, release)
	switch gvk {
	case schema.GroupVersionKind{}:
		o.Problems = append(o.Problems, registry.Problem{
			Code: registry.NotServed, Detail: fmt.Sprintf("Kubernetes %s serves no version of %s", release, o.GVK.GroupKind()),
		})
		return nil
	case o.GVK:
		return nil
	}
	internal, codec, err := decode(c.codecs, o)
	if err != nil {
		return err
	}
	versioned, err := codec.scheme.ConvertToVersion(internal, gvk.GroupVersion())
	if err != nil {
		return fmt.Errorf("converting to %s: %w", gvk.GroupVersion(), err)
	}
	content, err := contentOf(versioned)
	if err != nil {
		return err
	}
	o.Replace(gvk, content)
	return nil
}

// versionIn is what to create of a kind in a release: a stable version, the
// stored one before others, or else a beta one that is served by default; empty
// for none. Kinds that moved to another group are looked for there.
func (c *Converter) versionIn(gvk schema.GroupVersionKind, release Release) schema.GroupVersionKind {
	candidates := []schema.GroupVersionKind{gvk}
	if resource, ok := registry.LookupKind(gvk.GroupKind()); ok {
		for _, codec := range c.codecs {
			for _, gv := range codec.scheme.PrioritizedVersionsForGroup(resource.Group) {
				candidates = append(candidates, gv.WithKind(resource.Kind))
			}
		}
	}
	beta := schema.GroupVersionKind{}
	for _, candidate := range candidates {
		switch {
		case !c.servedIn(candidate, release):
		case stable(candidate.Version):
			return candidate
		case beta.Empty() && strings.Contains(candidate.Version, "beta"):
			beta = candidate
		}
	}
	return beta
}

// servedIn asks the type itself, as an API server does (k8s.io/apiserver
// pkg/server/deleted_kinds.go).
func (c *Converter) servedIn(gvk schema.GroupVersionKind, release Release) bool {
	for _, codec := range c.codecs {
		if !codec.scheme.Recognizes(gvk) {
			continue
		}
		obj, err := codec.scheme.New(gvk)
		if err != nil {
			return false
		}
		introduced, removed := lifeOf(obj)
		lastingBeta := Release{1, 24} // from here on new betas are switched off
		if !stable(gvk.Version) && !introduced.before(lastingBeta) {
			return false
		}
		return !release.before(introduced) && (removed == Release{} || release.before(removed))
	}
	return false
}

// lifeOf is when a version of a kind came and went; zero is always, and never.
func lifeOf(obj runtime.Object) (introduced, removed Release) {
	if o, ok := obj.(interface{ APILifecycleIntroduced() (int, int) }); ok {
		introduced.Major, introduced.Minor = o.APILifecycleIntroduced()
	}
	if o, ok := obj.(interface{ APILifecycleRemoved() (int, int) }); ok {
		removed.Major, removed.Minor = o.APILifecycleRemoved()
	}
	return introduced, removed
}
