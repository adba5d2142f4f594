package printer

import (
	"strings"

	"github.com/lifeboat-dr/lifeboat/registry"
)

// Servable brings o into a version that can be created again, and changes no
// more than that needs. A stable version ("v1") stays as it was stored: the
// cluster that wrote it serves it, and the defaults that a newer API fills in
// would be unknown fields to it, which kubectl create refuses. An alpha or
// beta version is stored for a release or two after the stable one is served
// and is often switched off, and CustomResourceDefinitions are stored as
// v1beta1 by servers that refuse it: such objects become [Converter.Preferred].
func (c *Converter) Servable(o *registry.Object) {
	if _, ok := registry.LookupKind(o.GVK.GroupKind()); ok {
		if !stable(o.GVK.Version) {
			c.Preferred(o)
		}
		return
	}
	definition, ok := c.resources.Custom(o.Key.GroupResource())
	if !ok {
		return
	}
	if v, ok := definition.Version(o.GVK.Version); !ok || !v.Served {
		c.Preferred(o)
	}
}

// stable tells "v1" from "v1beta1".
func stable(version string) bool {
	number, ok := strings.CutPrefix(version, "v")
	return ok && number != "" && strings.Trim(number, "0123456789") == ""
}
