package host

import (
	"fmt"
	"slices"
	"strings"
)

// Checklist is a procedure that only a running cluster can do: its steps in
// their order, with the commands filled in. Nothing here carries it out.
type Checklist struct {
	Title string   `json:"title"`
	Notes []string `json:"notes"`
	Items []Item   `json:"items"`
}

// Item is one step of a checklist.
type Item struct {
	What    string `json:"what"`
	Command string `json:"command,omitempty"`
	Members *Sizes `json:"members,omitempty"` // of etcd, where the step changes them
	Quorum  string `json:"quorum,omitempty"`  // what etcd says to that, from Rehearse
}

func (l *Checklist) add(what, command string) {
	l.Items = append(l.Items, Item{What: what, Command: command})
}

// members notes on the newest step how many members etcd has before and after it.
func (l *Checklist) members(from, to int) {
	l.Items[len(l.Items)-1].Members = &Sizes{from, to}
}

// before is how each of the documents' procedures begins.
func (c *Cluster) before(l *Checklist) {
	l.add("back up etcd and /etc/kubernetes, on each master, and carry it off the cluster", "lifeboat archive create --snapshot etcd-backup.snapshot --kubernetes /etc/kubernetes --recipient RECIPIENT --to kube-backup.tar.gz.age")
	if c.Deckhouse {
		l.add("no alert stands against it", "kubectl get clusteralerts")
		l.add("Deckhouse's queue is empty", "kubectl -n d8-system exec deploy/deckhouse -- deckhouse-controller queue main")
	}
}

// installer starts dhctl, in the backup's version and edition.
func (c *Cluster) installer(l *Checklist, hosts []Master) string {
	version, edition := c.Version, c.Edition
	if version == "" {
		version = `$(kubectl -n d8-system get deployment deckhouse -o jsonpath='{.metadata.annotations.core\.deckhouse\.io\/version}')`
	}
	if edition == "" {
		edition = `$(kubectl -n d8-system get deployment deckhouse -o jsonpath='{.metadata.annotations.core\.deckhouse\.io\/edition}' | tr '[:upper:]' '[:lower:]')`
	}
	l.add("start the installer, in the version that runs, on a machine outside of the cluster",
		fmt.Sprintf(`docker run --pull=always -it -v "$HOME/.ssh/:/tmp/.ssh/" registry.deckhouse.io/deckhouse/%s/install:%s bash`, edition, version))
	var args strings.Builder
	args.WriteString(" --ssh-agent-private-keys=/tmp/.ssh/KEY --ssh-user=USER")
	for _, m := range hosts {
		address := m.Address
		if address == "" {
			address = m.Name
		}
		args.WriteString(" --ssh-host " + address)
	}
	l.add("the cloud is as Terraform has it: no change is required", "dhctl terraform check"+args.String())
	return args.String()
}

func (c *Cluster) memberList() string {
	return "kubectl -n kube-system exec -ti $(kubectl -n kube-system get pod -l component=etcd,tier=control-plane -o name | head -n1) -- " + c.Etcdctl + " member list -w table"
}

// remove takes one master out of the cluster.
func (c *Cluster) remove(l *Checklist, m Master, left int) {
	l.add(m.Name+": it is not a master any more", unlabel(m.Name))
	l.add(fmt.Sprintf("%s: member %x is gone from the list; wait for it", m.Name, m.Member), c.memberList())
	l.members(left+1, left)
	l.add(m.Name+": its Pods go elsewhere", "kubectl drain "+quote(m.Name)+" --ignore-daemonsets --delete-emptydir-data")
	l.add(m.Name+": shut the machine down, remove it and its disk kubernetes-data from the cloud", "")
	l.add(m.Name+": what is left of its Pods", "kubectl delete pods --all-namespaces --field-selector spec.nodeName="+quote(m.Name)+" --force")
	l.add(m.Name+": its Node", "kubectl delete node "+quote(m.Name))
}

// highestFirst are the masters from the highest number down.
func (c *Cluster) highestFirst() []Master {
	masters := slices.Clone(c.Masters)
	slices.SortFunc(masters, func(a, b Master) int {
		if len(a.Name) != len(b.Name) {
			return len(b.Name) - len(a.Name)
		}
		return strings.Compare(b.Name, a.Name)
	})
	return masters
}

func newChecklist(title string) *Checklist { return &Checklist{Title: title, Notes: []string{}} }

const waitForManagers = "kubectl -n kube-system wait pod --timeout=10m --for=condition=ContainersReady -l app=d8-control-plane-manager"

// ScaleUp is from one master to several.
func (c *Cluster) ScaleUp(to int) (*Checklist, error) {
	if to%2 == 0 || to <= len(c.Masters) {
		return nil, refusef("from %d masters to %d: an odd number above it is wanted; an even one can lose no more than the odd one below", len(c.Masters), to)
	}
	l := newChecklist(fmt.Sprintf("from %d masters to %d", len(c.Masters), to))
	l.Notes = append(l.Notes, "each new member needs the majority of the grown cluster: a step of two members has to be left quickly")
	c.before(l)
	args := c.installer(l, c.Masters[:1])
	l.add(fmt.Sprintf("set masterNodeGroup.replicas to %d, and masterNodeGroup.instanceClass.externalIPAddresses, where it is used, to %d elements (\"Auto\")", to, to), "dhctl config edit provider-cluster-configuration"+args)
	l.add("the masters come", "dhctl converge"+args)
	l.members(len(c.Masters), to)
	l.add("all of them are Ready, and so is control-plane-manager on each", waitForManagers)
	l.add("the members are as many", c.memberList())
	return l, nil
}

// ScaleDown is from several masters to one.
func (c *Cluster) ScaleDown() (*Checklist, error) {
	if len(c.Masters) < 2 {
		return nil, refusef("the backup has one master: there is nothing to take away")
	}
	masters := c.highestFirst()
	l := newChecklist(fmt.Sprintf("from %d masters to 1", len(c.Masters)))
	if c.HighAvail == "" {
		l.Notes = append(l.Notes, "highAvailability is not set in ModuleConfig global: with one master modules lose their replicas, and with them volumes; set it to true first")
	}
	l.Notes = append(l.Notes, "if etcd is read-only when two have become one: lifeboat host force-new-cluster on the one that is left")
	c.before(l)
	stays := masters[len(masters)-1]
	args := c.installer(l, []Master{stays})
	l.add("set masterNodeGroup.replicas to 1", "dhctl config edit provider-cluster-configuration"+args)
	for i, m := range masters[:len(masters)-1] {
		c.remove(l, m, len(masters)-1-i)
	}
	l.add("the cloud follows", "dhctl converge"+args)
	return l, nil
}

// Replace is another OS image on every master, one after the other, the highest
// number first. A single master becomes three for it, and one again.
func (c *Cluster) Replace() (*Checklist, error) {
	l := newChecklist(fmt.Sprintf("another OS image on %d masters", len(c.Masters)))
	if len(c.Masters) == 1 {
		l.Notes = append(l.Notes, "a single master becomes three, is replaced as one of three, and becomes one again",
			"1. lifeboat host scale SRC --to 3", "2. lifeboat host replace-masters SRC, of a backup made then", "3. lifeboat host scale SRC --to 1, of a backup made then")
		return l, nil
	}
	if len(c.Masters) < 3 {
		return nil, refusef("with %d masters none can be missed: scale to 3 first", len(c.Masters))
	}
	c.before(l)
	args := c.installer(l, c.Masters)
	l.add("set masterNodeGroup.instanceClass to the new image", "dhctl config edit provider-cluster-configuration"+args)
	for _, m := range c.highestFirst() {
		c.remove(l, m, len(c.Masters)-1)
		l.add(m.Name+": it is made anew. Read what converge is going to do; of another master say no", "dhctl converge"+args)
		l.add(m.Name+": on it, wait for \"nothing to do\"", "journalctl -fu bashible.service")
		l.add(m.Name+": it is a member again", c.memberList())
		l.members(len(c.Masters)-1, len(c.Masters))
		l.add(m.Name+": control-plane-manager runs on it", waitForManagers+" --field-selector spec.nodeName="+quote(m.Name))
	}
	return l, nil
}
