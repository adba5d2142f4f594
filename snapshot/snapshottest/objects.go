package snapshottest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/types"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// objects makes the i-th object of a cluster, in any of its versions, from
// nothing but the seed and the two numbers.
type objects struct {
	seed       uint64
	cluster    string
	namespaces []string
	encoder    *protobuf.Serializer
	text       string // random text to cut values from
}

// kinds is the mix of a busy cluster, by twentieths.
const kinds = 20

// leaseCount is how many etcd leases the Events share; an API server attaches
// those of a minute to one.
const leaseCount = 8

const textSize = 1 << 16

func newObjects(spec Spec) objects {
	o := objects{seed: spec.Seed, cluster: spec.Cluster, encoder: protobuf.NewSerializer(nil, nil)}
	for i := range spec.Namespaces {
		switch {
		case i == spec.Namespaces-1 && spec.Cluster != "":
			o.namespaces = append(o.namespaces, system)
		case i == 0:
			o.namespaces = append(o.namespaces, "infra-production")
		case i == 1:
			o.namespaces = append(o.namespaces, "infra-production-2")
		default:
			o.namespaces = append(o.namespaces, fmt.Sprintf("team-%05d", i))
		}
	}
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	random, text := rand.New(rand.NewPCG(spec.Seed, 2)), make([]byte, textSize)
	for i := range text {
		text[i] = letters[random.IntN(len(letters))]
	}
	o.text = string(text)
	return o
}

// leases returns the ids of the leases that Events are attached to.
func (o objects) leases() []int64 {
	ids := make([]int64, leaseCount)
	for i := range ids {
		ids[i] = 0x694d_0000_0000_0001 + int64(i)
	}
	return ids
}

// record returns object i with its key, value and lease.
func (o objects) record(i int, version int64) (*mvccpb.KeyValue, error) {
	d := draft{o: o, random: rand.New(rand.NewPCG(o.seed^uint64(i)<<20, uint64(version))), i: i, version: version}
	key, obj := d.object()
	var value bytes.Buffer
	if err := o.encoder.EncodeWithAllocator(obj, &value, &runtime.SimpleAllocator{}); err != nil {
		return nil, fmt.Errorf("encoding %q: %w", key, err)
	}
	kv := &mvccpb.KeyValue{Key: []byte(key), Value: value.Bytes()}
	if _, ok := obj.(*corev1.Event); ok {
		kv.Lease = o.leases()[i/kinds%leaseCount]
	}
	return kv, nil
}

// draft is one object in the making.
type draft struct {
	o       objects
	random  *rand.Rand
	i       int
	version int64
}

// object returns the object and its key. The first are the Namespaces.
func (d draft) object() (key string, obj runtime.Object) {
	if d.i < len(d.o.namespaces) {
		name := d.o.namespaces[d.i]
		return "/registry/namespaces/" + name, d.namespace(name)
	}
	ns := d.o.namespaces[d.i/kinds%len(d.o.namespaces)]
	switch kind := d.i % kinds; {
	case kind < 7:
		name := fmt.Sprintf("web-%d-7d9f%s", d.i, d.cut(5))
		return "/registry/pods/" + ns + "/" + name, d.pod(ns, name)
	case kind < 10:
		name := fmt.Sprintf("credentials-%d", d.i)
		return "/registry/secrets/" + ns + "/" + name, d.secret(ns, name)
	case kind < 13:
		name := fmt.Sprintf("settings-%d", d.i)
		return "/registry/configmaps/" + ns + "/" + name, d.configMap(ns, name)
	case kind < 14:
		name := fmt.Sprintf("elector-%d", d.i)
		return "/registry/leases/" + ns + "/" + name, d.lease(ns, name)
	case kind < 18:
		name := fmt.Sprintf("web-%d.17d%x", d.i, 0xa0f3c5b1e+d.i)
		return "/registry/events/" + ns + "/" + name, d.event(ns, name)
	}
	name := fmt.Sprintf("web-%d", d.i)
	return "/registry/deployments/" + ns + "/" + name, d.deployment(ns, name)
}

// cut returns n bytes of random text in lower case hex, fit for names; it is
// the same for every version of an object.
func (d draft) cut(n int) string {
	const hex = "0123456789abcdef"
	name := rand.New(rand.NewPCG(d.o.seed, uint64(d.i)))
	b := make([]byte, n)
	for i := range b {
		b[i] = hex[name.IntN(len(hex))]
	}
	return string(b)
}

// words returns about n bytes of random text.
func (d draft) words(n int) string {
	n = n/2 + d.random.IntN(n)
	start := d.random.IntN(textSize - n)
	return d.o.text[start : start+n]
}

// at is a moment that grows with the object's number and version.
func (d draft) at() metav1.Time {
	const start = 1_750_000_000 // June 2025
	return metav1.Time{Time: time.Unix(start+int64(d.i)+3600*d.version, 0).UTC()}
}

// meta is the metadata of every object; owned is what managedFields lists.
func (d draft) meta(ns, name, owned string) metav1.ObjectMeta {
	created := d
	created.version = 1
	at := d.at()
	return metav1.ObjectMeta{
		Namespace: ns, Name: name,
		UID:               types.UID(fmt.Sprintf("%08x-4c1e-4b7a-9d3f-%012x", d.i, d.o.seed&0xffffffffffff)),
		CreationTimestamp: created.at(),
		Labels:            map[string]string{"app.kubernetes.io/name": "web", "app.kubernetes.io/instance": fmt.Sprint("web-", d.i%97)},
		ManagedFields: []metav1.ManagedFieldsEntry{{
			Manager: "kube-controller-manager", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1",
			Time: &at, FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(owned),
		}},
	}
}

func typed(group, kind string) metav1.TypeMeta {
	gv := schema.GroupVersion{Group: group, Version: "v1"}
	return metav1.TypeMeta{APIVersion: gv.String(), Kind: kind}
}

// system is the namespace by whose UID clusters are told apart.
const system = "kube-system"

func (d draft) namespace(name string) runtime.Object {
	ns := &corev1.Namespace{
		TypeMeta: typed("", "Namespace"), ObjectMeta: d.meta("", name, `{"f:metadata":{"f:labels":{"f:app.kubernetes.io/name":{}}}}`),
		Spec:   corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{corev1.FinalizerKubernetes}},
		Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive},
	}
	if name == system {
		ns.UID = types.UID(d.o.cluster)
	}
	return ns
}

func (d draft) secret(ns, name string) runtime.Object {
	return &corev1.Secret{
		TypeMeta: typed("", "Secret"), ObjectMeta: d.meta(ns, name, `{"f:data":{".":{},"f:password":{},"f:tls.key":{}},"f:type":{}}`),
		Data: map[string][]byte{"password": []byte(d.words(24)), "tls.key": []byte(d.words(800))}, Type: corev1.SecretTypeOpaque,
	}
}

func (d draft) configMap(ns, name string) runtime.Object {
	return &corev1.ConfigMap{
		TypeMeta: typed("", "ConfigMap"), ObjectMeta: d.meta(ns, name, `{"f:data":{".":{},"f:application.yaml":{},"f:revision":{}}}`),
		Data: map[string]string{"application.yaml": d.words(900), "revision": strconv.FormatInt(d.version, 10)},
	}
}

func (d draft) lease(ns, name string) runtime.Object {
	holder, seconds, renewed := fmt.Sprint("web-", d.i), int32(15), metav1.MicroTime(d.at())
	return &coordinationv1.Lease{
		TypeMeta: typed("coordination.k8s.io", "Lease"), ObjectMeta: d.meta(ns, name, `{"f:spec":{"f:holderIdentity":{},"f:renewTime":{}}}`),
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, RenewTime: &renewed},
	}
}

func (d draft) event(ns, name string) runtime.Object {
	return &corev1.Event{
		TypeMeta: typed("", "Event"), ObjectMeta: d.meta(ns, name, `{"f:count":{},"f:involvedObject":{},"f:message":{},"f:reason":{}}`),
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: ns, Name: fmt.Sprint("web-", d.i), APIVersion: "v1"},
		Reason:         "BackOff", Message: "Back-off restarting failed container " + d.words(200), Type: corev1.EventTypeWarning,
		Source: corev1.EventSource{Component: "kubelet", Host: fmt.Sprint("node-", d.i%50)},
		Count:  int32(d.version), FirstTimestamp: d.at(), LastTimestamp: d.at(),
	}
}

func (d draft) deployment(ns, name string) runtime.Object {
	replicas := int32(1 + d.random.IntN(5))
	return &appsv1.Deployment{
		TypeMeta: typed("apps", "Deployment"), ObjectMeta: d.meta(ns, name, podFields),
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/name": "web"}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app.kubernetes.io/name": "web"}},
				Spec:       d.podSpec(),
			},
		},
		Status: appsv1.DeploymentStatus{ObservedGeneration: d.version, Replicas: replicas, ReadyReplicas: replicas, AvailableReplicas: replicas},
	}
}

func (d draft) pod(ns, name string) runtime.Object {
	started := d.at()
	meta := d.meta(ns, name, podFields)
	yes := true
	meta.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web-7d9f", UID: types.UID(fmt.Sprintf("%08x-0000-4b7a-9d3f-000000000000", d.i)),
		Controller: &yes, BlockOwnerDeletion: &yes,
	}}
	spec := d.podSpec()
	spec.NodeName = fmt.Sprint("node-", d.i%50)
	return &corev1.Pod{
		TypeMeta: typed("", "Pod"), ObjectMeta: meta, Spec: spec,
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, StartTime: &started, QOSClass: corev1.PodQOSBurstable,
			HostIP: fmt.Sprintf("10.0.0.%d", d.i%250), PodIP: fmt.Sprintf("10.1.%d.%d", d.i/250%250, d.i%250),
			Conditions: []corev1.PodCondition{
				{Type: corev1.PodInitialized, Status: corev1.ConditionTrue, LastTransitionTime: started},
				{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: started},
				{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: started},
			},
			ContainerStatuses: []corev1.ContainerStatus{{
				Name: "web", Ready: true, Started: &yes, RestartCount: int32(d.version - 1),
				Image: "registry.example.com/web:v1", ImageID: "registry.example.com/web@sha256:" + d.words(64), ContainerID: "containerd://" + d.words(64),
				State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: started}},
			}},
		},
	}
}

func (d draft) podSpec() corev1.PodSpec {
	grace := int64(30)
	env := make([]corev1.EnvVar, 4)
	for i := range env {
		env[i] = corev1.EnvVar{Name: fmt.Sprint("SETTING_", i), Value: d.words(24)}
	}
	return corev1.PodSpec{
		Containers: []corev1.Container{{
			Name: "web", Image: fmt.Sprintf("registry.example.com/web:v1.%d.%d", d.i%40, d.version),
			Args: []string{"--listen=:8080", "--config=/etc/web/application.yaml"}, Env: env,
			Ports:        []corev1.ContainerPort{{Name: "http", ContainerPort: 8080, Protocol: corev1.ProtocolTCP}},
			VolumeMounts: []corev1.VolumeMount{{Name: "settings", MountPath: "/etc/web", ReadOnly: true}},

			TerminationMessagePath: corev1.TerminationMessagePathDefault, TerminationMessagePolicy: corev1.TerminationMessageReadFile,
			ImagePullPolicy: corev1.PullIfNotPresent,
		}},
		Volumes: []corev1.Volume{{Name: "settings", VolumeSource: corev1.VolumeSource{
			ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}},
		}}},
		RestartPolicy: corev1.RestartPolicyAlways, DNSPolicy: corev1.DNSClusterFirst, TerminationGracePeriodSeconds: &grace,
		ServiceAccountName: "web", SchedulerName: corev1.DefaultSchedulerName, SecurityContext: &corev1.PodSecurityContext{},
	}
}

// podFields is the managedFields entry of a workload, a third of its bytes.
const podFields = `{"f:metadata":{"f:labels":{".":{},"f:app.kubernetes.io/instance":{},"f:app.kubernetes.io/name":{}}},"f:spec":{"f:containers":{` +
	`"k:{\"name\":\"web\"}":{".":{},"f:args":{},"f:env":{".":{},"k:{\"name\":\"SETTING_0\"}":{".":{},"f:name":{},"f:value":{}}},"f:image":{},` +
	`"f:imagePullPolicy":{},"f:name":{},"f:ports":{".":{},"k:{\"containerPort\":8080,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{},"f:name":{},"f:protocol":{}}},` +
	`"f:resources":{},"f:terminationMessagePath":{},"f:terminationMessagePolicy":{},"f:volumeMounts":{".":{},"k:{\"mountPath\":\"/etc/web\"}":{".":{},"f:mountPath":{},"f:name":{},"f:readOnly":{}}}}},` +
	`"f:dnsPolicy":{},"f:enableServiceLinks":{},"f:restartPolicy":{},"f:schedulerName":{},"f:securityContext":{},"f:serviceAccountName":{},"f:terminationGracePeriodSeconds":{},` +
	`"f:volumes":{".":{},"k:{\"name\":\"settings\"}":{".":{},"f:configMap":{".":{},"f:defaultMode":{},"f:name":{}},"f:name":{}}}}}`
