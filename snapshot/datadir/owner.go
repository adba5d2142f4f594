package datadir

import (
	"fmt"
	"os/user"
	"strconv"
	"strings"

	"github.com/lifeboat-dr/lifeboat/internal/whole"
)

// Owner is a user and a group, by number; -1 leaves one as it is.
type Owner = whole.Owner

// ParseOwner reads USER, USER:GROUP or :GROUP, by name or number. What is left
// out is not changed.
func ParseOwner(text string) (*Owner, error) {
	name, group, _ := strings.Cut(text, ":")
	o := &Owner{UID: -1, GID: -1}
	var err error
	if name != "" {
		if o.UID, err = strconv.Atoi(name); err != nil {
			u, lookupErr := user.Lookup(name)
			if lookupErr != nil {
				return nil, fmt.Errorf("reading owner %q: %w", text, lookupErr)
			}
			if o.UID, err = strconv.Atoi(u.Uid); err != nil {
				return nil, fmt.Errorf("reading owner %q: %w", text, err)
			}
		}
	}
	if group != "" {
		if o.GID, err = strconv.Atoi(group); err != nil {
			g, lookupErr := user.LookupGroup(group)
			if lookupErr != nil {
				return nil, fmt.Errorf("reading owner %q: %w", text, lookupErr)
			}
			if o.GID, err = strconv.Atoi(g.Gid); err != nil {
				return nil, fmt.Errorf("reading owner %q: %w", text, err)
			}
		}
	}
	return o, nil
}
