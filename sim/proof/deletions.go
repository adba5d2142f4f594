package proof

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
)

// mayDelete says of a controller what it deletes, and why. Names are those under
// which the controllers ask (k8s.io/kubernetes cmd/kube-controller-manager/app).
type mayDelete struct {
	controller string
	resources  string // with spaces between them; "" for any
	why        string
}

const (
	garbageCollector    = "generic-garbage-collector"
	namespaceController = "namespace-controller"
)

var mayDeletes = []mayDelete{
	{garbageCollector, "", "garbage collection: its owner is gone"},
	{namespaceController, "", "its Namespace was being deleted"},
	{"ttl-after-finished-controller", "jobs.batch", "TTL: it had finished that long ago"},
	{"cronjob-controller", "jobs.batch", "the limit of its CronJob's history, or its Replace policy"},
	{"job-controller", "pods", "a Pod that its Job does not need"},
	{"pod-garbage-collector", "pods", "Pod GC: its Node is gone, or it has ended"},
	{"replicaset-controller", "pods", "more Pods than its ReplicaSet asks for"},
	{"replication-controller", "pods", "more Pods than its ReplicationController asks for"},
	{"statefulset-controller", "pods persistentvolumeclaims", "more Pods than its StatefulSet asks for, or of an older revision"},
	{"daemon-set-controller", "pods controllerrevisions.apps", "a Node on which its DaemonSet has no place, or an older revision"},
	{"deployment-controller", "replicasets.apps", "the limit of its Deployment's history"},
	{"node-controller", "pods nodes", "evicted: its Node is not ready, or gone"},
	{"device-taint-eviction-controller", "pods", "evicted: a device of it is tainted"},
	{"endpoint-controller", "endpoints", "its Service is gone"},
	{"endpointslice-controller", "endpointslices.discovery.k8s.io", "its Service is gone, or has fewer endpoints"},
	{"endpointslicemirroring-controller", "endpointslices.discovery.k8s.io", "its Endpoints are gone, or fewer"},
	{"tokens-controller", "secrets", "the token of a ServiceAccount that is gone"},
	{"token-cleaner", "secrets", "a bootstrap token that has expired"},
	{"legacy-service-account-token-cleaner", "secrets", "a legacy token that nobody has used"},
	{"certificate-controller", "certificatesigningrequests.certificates.k8s.io", "a request that was answered, or left, long ago"},
	{"podcertificaterequestcleaner", "podcertificaterequests.certificates.k8s.io", "a request of long ago"},
	{"persistent-volume-binder", "persistentvolumes pods", "its claim is gone, and it says that nobody keeps it"},
	{"pv-protection-controller", "persistentvolumes", "it was being deleted, and nobody uses it"},
	{"pvc-protection-controller", "persistentvolumeclaims", "it was being deleted, and nobody uses it"},
	{"volumeattributesclass-protection-controller", "volumeattributesclasses.storage.k8s.io", "it was being deleted, and nobody uses it"},
	{"attachdetach-controller", "volumeattachments.storage.k8s.io", "no Pod on that Node uses the volume"},
	{"resource-claim-controller", "resourceclaims.resource.k8s.io", "its Pod is gone, or has ended"},
	{"resourcepoolstatusrequest-controller", "resourcepoolstatusrequests.resource.k8s.io", "a request of long ago"},
	{"storage-version-garbage-collector", "storageversions.internal.apiserver.k8s.io leases.coordination.k8s.io", "of API servers that are no more"},
	{"service-cidrs-controller", "servicecidrs.networking.k8s.io", "it was being deleted, and no Service uses it"},
	{"scheduler", "pods", "preempted by a Pod of a higher priority"},
}

// deletions are the objects of the backup that are gone after the controllers
// have run, or are to go.
type deletions struct {
	alive  map[string]living // before
	gone   map[string]bool   // labels
	events []auditEvent      // in their order
}

// all names each of them with the one that has deleted it. What nobody is known
// to delete is in unexplained.
func (d *deletions) all() (explained []Write, unexplained []string) {
	doomed := maps.Clone(d.gone)
	for _, e := range d.events {
		if _, ours := d.alive[e.label()]; ours && e.Verb == "delete" && e.Object.Subresource == "" {
			doomed[e.label()] = true
		}
	}
	stays := staying{uids: map[string]bool{}, namespaces: map[string]bool{}}
	for id, l := range d.alive {
		if doomed[id] || l.item.Metadata.DeletionTimestamp != nil {
			continue
		}
		stays.uids[l.item.Metadata.UID] = true
		if l.resource.stored == namespaces {
			stays.namespaces[l.item.Metadata.Name] = true
		}
	}
	for _, id := range slices.Sorted(maps.Keys(doomed)) {
		what := "deleted"
		if !d.gone[id] {
			what = "marked for deletion"
		}
		who, why := d.explain(id, stays)
		if why == "" {
			unexplained = append(unexplained, id+" was "+what+" by "+who)
			continue
		}
		explained = append(explained, Write{Object: id, What: what, Why: why + " (" + who + ")"})
	}
	return explained, unexplained
}

// staying are the objects that nobody is about to delete.
type staying struct {
	uids       map[string]bool
	namespaces map[string]bool // by name
}

var namespaces = schema.GroupResource{Resource: "namespaces"}

// explain finds who has deleted an object, and why; why is "" where that is not
// known, or not true.
func (d *deletions) explain(id string, stays staying) (who, why string) {
	l := d.alive[id]
	gr := l.resource.stored
	e := d.cause(id, l)
	switch name := l.item.Metadata.Namespace + "/" + l.item.Metadata.Name; {
	case e == nil && gr.Resource != "events": // which etcd takes away, and nobody else without being seen
		return "somebody who was not seen", ""
	case e == nil, e.User.Username == "system:apiserver":
		return controlplane.APIServer, whyDeleted(gr, name)
	}
	who = e.author()
	switch owners := l.item.Metadata.OwnerReferences; {
	case who == garbageCollector && len(owners) == 0:
		return who + ", and it has no owner", ""
	case who == garbageCollector && slices.ContainsFunc(owners, func(o owner) bool { return stays.uids[o.UID] }):
		return who + ", and its owner is there", ""
	case who == namespaceController && stays.namespaces[l.namespace()]:
		return who + ", and its Namespace is there", ""
	}
	return who, whyDeletedBy(who, gr)
}

// namespace is the one that an object stands in, or is.
func (l *living) namespace() string {
	if l.resource.stored == namespaces {
		return l.item.Metadata.Name
	}
	return l.item.Metadata.Namespace
}

// cause is the request that has deleted an object: a deletion, of it or of its
// collection; else, of one that was being deleted in the backup already, the last
// change, which took a finalizer away.
func (d *deletions) cause(id string, l living) (cause *auditEvent) {
	collection := label(l.resource.stored, l.item.Metadata.Namespace+"/")
	for i := range d.events {
		e := &d.events[i]
		switch {
		case e.Verb == "delete" && e.label() == id, e.Verb == "deletecollection" && e.label() == collection:
			return e
		case e.label() == id && l.item.Metadata.DeletionTimestamp != nil:
			cause = e
		}
	}
	return cause
}

func whyDeletedBy(controller string, gr schema.GroupResource) string {
	for _, m := range mayDeletes {
		if m.controller == controller && (m.resources == "" || slices.Contains(strings.Fields(m.resources), gr.String())) {
			return m.why
		}
	}
	return ""
}

// writers counts what each author has written, as "cronjob-controller: create
// jobs.batch, 2".
func writers(events []auditEvent) (all []string) {
	counts := map[string]int{}
	for _, e := range events {
		counts[fmt.Sprintf("%s: %s %s", e.author(), e.Verb, e.resource())]++
	}
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, fmt.Sprintf("%s, %d", what, counts[what]))
	}
	return all
}
