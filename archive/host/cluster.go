package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/registry"
)

// Cluster is what the checklists need of a backup.
type Cluster struct {
	Masters   []Master `json:"masters"`             // by name
	Deckhouse bool     `json:"deckhouse"`           // Deployment d8-system/deckhouse is there
	Version   string   `json:"version,omitempty"`   // of Deckhouse
	Edition   string   `json:"edition,omitempty"`   // in lower case
	Unread    []string `json:"unread,omitempty"`    // objects that could not be read
	Etcdctl   string   `json:"etcdctl"`             // with the manifest's certificates and endpoint
	NotFound  []string `json:"notFound,omitempty"`  // members without a Node of that name
	HighAvail string   `json:"highAvail,omitempty"` // the ModuleConfig global's highAvailability, "" where it does not say

	uid      string // of namespace kube-system, "" where it cannot be read
	revision int64
}

// NewestOf is the newest of several backups of one cluster, and which of them
// know other members. Backups of two clusters are refused.
func NewestOf(clusters []*Cluster) (newest *Cluster, others []int, err error) {
	for _, c := range clusters {
		if newest == nil || c.revision > newest.revision {
			newest = c
		}
	}
	for i, c := range clusters {
		if c.uid != "" && newest.uid != "" && c.uid != newest.uid {
			return nil, nil, refusef("backups of two clusters, by the UID of namespace kube-system: %s and %s", newest.uid, c.uid)
		}
		if !slices.EqualFunc(c.Masters, newest.Masters, func(a, b Master) bool { return a.Name == b.Name && a.Member == b.Member }) {
			others = append(others, i)
		}
	}
	return newest, others, nil
}

// Master is a member of etcd and the node that it runs on.
type Master struct {
	Name    string `json:"name"`
	Member  uint64 `json:"memberID,omitempty"` // 0 for a master that is not a member
	Address string `json:"address,omitempty"`  // the Node's InternalIP
}

// ErrNoMasters says that a backup names no member of etcd.
var ErrNoMasters = errors.New("the backup names no master")

// ReadCluster reads a backup.
func ReadCluster(ctx context.Context, b *lifeboat.Backup) (*Cluster, error) {
	c := &Cluster{revision: b.DB().Revision()}
	if uid, err := b.ClusterUID(ctx); err == nil {
		c.uid = uid
	}
	members, _, err := b.DB().Members()
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		if !m.IsLearner && m.Name != "" {
			c.Masters = append(c.Masters, Master{Name: m.Name, Member: m.ID})
		}
	}
	if len(c.Masters) == 0 {
		return nil, ErrNoMasters
	}
	slices.SortFunc(c.Masters, func(a, b Master) int { return strings.Compare(a.Name, b.Name) })
	if err := c.readObjects(ctx, b); err != nil {
		return nil, err
	}
	s := &State{View: b.ControlPlane()}
	if s.View != nil {
		_, s.Etcd.Data, _ = s.View.Manifest("etcd")
	}
	c.Etcdctl = s.etcdctl()
	return c, nil
}

func (c *Cluster) readObjects(ctx context.Context, b *lifeboat.Backup) error {
	reg, err := b.Objects(0)
	if err != nil {
		return err
	}
	nodes := map[string]string{}
	for entry, err := range reg.Entries(ctx, func(k registry.Key) bool {
		return k.Plural == "nodes" && k.Group == "" ||
			k.Plural == "deployments" && k.Namespace == "d8-system" && k.Name == "deckhouse" ||
			k.Plural == "moduleconfigs" && k.Name == "global"
	}) {
		if err != nil {
			return err
		}
		object := reg.Decode(ctx, entry)
		content, err := object.Content()
		if err != nil || content == nil {
			c.Unread = append(c.Unread, object.String())
			continue
		}
		switch entry.Key.Plural {
		case "nodes":
			nodes[entry.Key.Name] = internalIP(content)
		case "deployments":
			c.Deckhouse = true
			c.Version = field(content, "metadata", "annotations", "core.deckhouse.io/version")
			c.Edition = strings.ToLower(field(content, "metadata", "annotations", "core.deckhouse.io/edition"))
		default:
			c.HighAvail = field(content, "spec", "settings", "highAvailability")
		}
	}
	for i, m := range c.Masters {
		address, found := nodes[m.Name]
		c.Masters[i].Address = address
		if !found {
			c.NotFound = append(c.NotFound, m.Name)
		}
	}
	return nil
}

// field is a scalar in an object, as text; "" where there is none.
func field(content map[string]any, path ...string) string {
	var at any = content
	for _, key := range path {
		m, ok := at.(map[string]any)
		if !ok {
			return ""
		}
		at = m[key]
	}
	if at == nil {
		return ""
	}
	return fmt.Sprint(at)
}

func internalIP(node map[string]any) string {
	status, _ := node["status"].(map[string]any)
	addresses, _ := status["addresses"].([]any)
	for _, a := range addresses {
		if one, ok := a.(map[string]any); ok && one["type"] == "InternalIP" {
			text, _ := one["address"].(string)
			return text
		}
	}
	return ""
}
