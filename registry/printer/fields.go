package printer

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/apps"
	"k8s.io/kubernetes/pkg/apis/batch"
	"k8s.io/kubernetes/pkg/apis/certificates"
	"k8s.io/kubernetes/pkg/apis/coordination"
	"k8s.io/kubernetes/pkg/apis/core"
	resourceapi "k8s.io/kubernetes/pkg/apis/resource"

	"github.com/lifeboat-dr/lifeboat/registry"
)

// FieldLabel turns a field selector's label in a version into the name under
// which [Answer.Fields] has it. The error is the API server's own: what it
// does not index it refuses.
func (p *Printer) FieldLabel(gvk schema.GroupVersionKind, resource registry.Resource, label string) (string, error) {
	if resource.Custom {
		return p.customFieldLabel(resource, gvk.Version, label)
	}
	for _, c := range p.codecs {
		if c.scheme.Recognizes(gvk) {
			name, _, err := c.scheme.ConvertFieldLabel(gvk, label, "")
			return name, err
		}
	}
	name, _, err := legacyscheme.Scheme.ConvertFieldLabel(gvk, label, "")
	return name, err
}

// customFieldLabel follows apiextensions-apiserver
// pkg/apiserver/conversion/converter.go, ConvertFieldLabel.
func (p *Printer) customFieldLabel(resource registry.Resource, version, label string) (string, error) {
	switch {
	case label == "metadata.name", label == "metadata.namespace" && resource.Namespaced:
		return label, nil
	}
	definition, _ := p.resources.Custom(resource.GroupResource())
	if v, ok := definition.Version(version); ok && slices.Contains(v.Selectable, "."+label) {
		return label, nil
	}
	return "", errors.New("field label not supported: " + label)
}

// Fields are what a field selector can ask of the object.
func (a *Answer) Fields() fields.Set {
	set := fields.Set{}
	obj := a.internal
	if a.custom != nil {
		obj = a.custom
	}
	if accessor, err := meta.Accessor(obj); err == nil {
		set["metadata.name"], set["metadata.namespace"] = accessor.GetName(), accessor.GetNamespace()
	}
	if a.custom != nil {
		a.customFields(set)
	} else {
		builtinFields(set, a.internal)
	}
	return set
}

func (a *Answer) customFields(set fields.Set) {
	definition, _ := a.printer.resources.Custom(a.resource.GroupResource())
	for _, v := range definition.Versions {
		for _, path := range v.Selectable {
			name := strings.TrimPrefix(path, ".")
			set[name] = ""
			if value, ok, err := unstructured.NestedFieldNoCopy(a.custom.Object, strings.Split(name, ".")...); ok && err == nil {
				set[name] = fmt.Sprint(value)
			}
		}
	}
}

// builtinFields are those of the strategies in k8s.io/kubernetes pkg/registry
// (ToSelectableFields and its like), which would link the storage of every
// kind.
func builtinFields(set fields.Set, internal runtime.Object) {
	switch o := internal.(type) {
	case *core.Pod:
		podFields(set, o)
	case *core.Event:
		eventFields(set, o)
	case *core.Node:
		set["spec.unschedulable"] = strconv.FormatBool(o.Spec.Unschedulable)
	case *core.Namespace:
		set["status.phase"], set["name"] = string(o.Status.Phase), o.Name
	case *core.Secret:
		set["type"] = string(o.Type)
	case *core.Service:
		set["spec.clusterIP"], set["spec.type"] = o.Spec.ClusterIP, string(o.Spec.Type)
	case *core.ReplicationController:
		set["status.replicas"] = strconv.Itoa(int(o.Status.Replicas))
	case *core.PersistentVolume:
		set["name"] = o.Name
	case *core.PersistentVolumeClaim:
		set["name"] = o.Name
	case *core.ConfigMap:
		set["name"] = o.Name
	case *apps.ReplicaSet:
		set["status.replicas"] = strconv.Itoa(int(o.Status.Replicas))
	case *batch.Job:
		set["status.successful"] = strconv.Itoa(int(o.Status.Succeeded))
	case *certificates.CertificateSigningRequest:
		set["spec.signerName"] = o.Spec.SignerName
	case *certificates.ClusterTrustBundle:
		set["spec.signerName"] = o.Spec.SignerName
	case *certificates.PodCertificateRequest:
		set["spec.signerName"], set["spec.podName"], set["spec.nodeName"] = o.Spec.SignerName, o.Spec.PodName, string(o.Spec.NodeName)
	case *coordination.LeaseCandidate:
		set["spec.leaseName"] = o.Spec.LeaseName
	case *resourceapi.ResourceSlice:
		set[resourceapi.ResourceSliceSelectorNodeName] = ""
		if o.Spec.NodeName != nil {
			set[resourceapi.ResourceSliceSelectorNodeName] = *o.Spec.NodeName
		}
		set[resourceapi.ResourceSliceSelectorDriver] = o.Spec.Driver
		set[resourceapi.ResourceSliceSelectorPoolName] = o.Spec.Pool.Name
	}
}

func podFields(set fields.Set, pod *core.Pod) {
	set["spec.nodeName"] = pod.Spec.NodeName
	set["spec.restartPolicy"] = string(pod.Spec.RestartPolicy)
	set["spec.schedulerName"] = pod.Spec.SchedulerName
	set["spec.serviceAccountName"] = pod.Spec.ServiceAccountName
	set["spec.hostNetwork"] = strconv.FormatBool(pod.Spec.HostNetwork)
	set["status.phase"] = string(pod.Status.Phase)
	set["status.podIP"] = ""
	if len(pod.Status.PodIPs) > 0 {
		set["status.podIP"] = pod.Status.PodIPs[0].IP
	}
	set["status.nominatedNodeName"] = pod.Status.NominatedNodeName
}

func eventFields(set fields.Set, event *core.Event) {
	set["involvedObject.kind"] = event.InvolvedObject.Kind
	set["involvedObject.namespace"] = event.InvolvedObject.Namespace
	set["involvedObject.name"] = event.InvolvedObject.Name
	set["involvedObject.uid"] = string(event.InvolvedObject.UID)
	set["involvedObject.apiVersion"] = event.InvolvedObject.APIVersion
	set["involvedObject.resourceVersion"] = event.InvolvedObject.ResourceVersion
	set["involvedObject.fieldPath"] = event.InvolvedObject.FieldPath
	set["reason"] = event.Reason
	set["reportingComponent"] = event.ReportingController
	set["source"] = cmp.Or(event.Source.Component, event.ReportingController)
	set["type"] = event.Type
}
