package scheduler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/initializer"
	"k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle"
	"k8s.io/apiserver/pkg/authentication/user"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/apis/core/install"
	"k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/plugin/pkg/admission/defaulttolerationseconds"
	"k8s.io/kubernetes/plugin/pkg/admission/limitranger"
	podpriority "k8s.io/kubernetes/plugin/pkg/admission/priority"
	"k8s.io/kubernetes/plugin/pkg/admission/runtimeclass"
)

// ErrRefused says that the API server would not take a Pod.
var ErrRefused = errors.New("the API server would refuse the Pod")

// Admit makes of a manifest what the API server stores: defaults, the admission
// plugins that change what the scheduler sees, as they are in Kubernetes
// (LimitRanger, Priority, DefaultTolerationSeconds, RuntimeClass), and
// validation. Where others has Namespaces, the Pod's own has to be one of them. A
// Pod that would not be taken is ErrRefused with the API server's own words.
// [NotAsked] names what else would have had a say.
func Admit(manifest *corev1.Pod, others []runtime.Object) (*corev1.Pod, error) {
	pod, err := admit(manifest, others)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	pod.UID = types.UID("manifest-" + podName(pod))
	pod.Status = corev1.PodStatus{Phase: corev1.PodPending}
	return pod, nil
}

func admit(manifest *corev1.Pod, others []runtime.Object) (*corev1.Pod, error) {
	scheme := runtime.NewScheme()
	install.Install(scheme)
	pod := manifest.DeepCopy()
	if pod.Name == "" {
		pod.Name = pod.GenerateName + "0"
	}
	scheme.Default(pod)
	internal := &core.Pod{}
	if err := scheme.Convert(pod, internal, nil); err != nil {
		return nil, err
	}
	if err := askPlugins(internal, others); err != nil {
		return nil, err
	}
	opts := podutil.GetValidationOptionsFromPodSpecAndMeta(&internal.Spec, nil, &internal.ObjectMeta, nil)
	if problems := validation.ValidatePodCreate(internal, opts); len(problems) > 0 {
		return nil, problems.ToAggregate()
	}
	admitted := &corev1.Pod{}
	if err := scheme.Convert(internal, admitted, nil); err != nil {
		return nil, err
	}
	return admitted, nil
}

// askPlugins runs admission plugins over a Pod that is being created, first those
// that change it, in the API server's order.
func askPlugins(pod *core.Pod, others []runtime.Object) error {
	limits, err := limitranger.NewLimitRanger(&limitranger.DefaultLimitRangerActions{})
	if err != nil {
		return err
	}
	plugins := []admission.Interface{limits, podpriority.NewPlugin(), defaulttolerationseconds.NewDefaultTolerationSeconds(), runtimeclass.NewRuntimeClass()}
	if slices.ContainsFunc(others, isNamespace) { // a list without any says nothing about this one
		namespaces, err := lifecycle.NewLifecycle(nil)
		if err != nil {
			return err
		}
		plugins = append([]admission.Interface{namespaces}, plugins...)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	client := fake.NewClientset(consulted(others)...)
	factory := informers.NewSharedInformerFactory(client, 0)
	for _, plugin := range plugins {
		if wants, ok := plugin.(initializer.WantsExternalKubeClientSet); ok {
			wants.SetExternalKubeClientSet(client)
		}
		if wants, ok := plugin.(initializer.WantsExternalKubeInformerFactory); ok {
			wants.SetExternalKubeInformerFactory(factory)
		}
		if wants, ok := plugin.(initializer.WantsFeatures); ok {
			wants.InspectFeatureGates(utilfeature.DefaultFeatureGate)
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	defer factory.Shutdown()
	defer stop()
	attributes := admission.NewAttributesRecord(pod, nil, corev1.SchemeGroupVersion.WithKind("Pod"), pod.Namespace, pod.Name,
		corev1.SchemeGroupVersion.WithResource("pods"), "", admission.Create, &metav1.CreateOptions{}, false, &user.DefaultInfo{})
	for _, plugin := range plugins {
		if mutates, ok := plugin.(admission.MutationInterface); ok {
			if err := mutates.Admit(ctx, attributes, nil); err != nil {
				return err
			}
		}
	}
	for _, plugin := range plugins {
		if validates, ok := plugin.(admission.ValidationInterface); ok {
			if err := validates.Validate(ctx, attributes, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

func isNamespace(obj runtime.Object) bool {
	_, is := obj.(*corev1.Namespace)
	return is
}

// consulted is what the plugins look up. The API server makes the classes of the
// system's own Pods when it starts: they are there even if the list has none.
func consulted(others []runtime.Object) []runtime.Object {
	system := map[string]int32{"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
	var found []runtime.Object
	for _, obj := range others {
		switch obj := obj.(type) {
		case *schedulingv1.PriorityClass:
			delete(system, obj.Name)
			found = append(found, obj)
		case *corev1.Namespace, *corev1.LimitRange, *nodev1.RuntimeClass:
			found = append(found, obj)
		}
	}
	for name, value := range system {
		found = append(found, &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Value: value})
	}
	return found
}

// NotAsked names what has a say about new Pods of a namespace in the cluster, and
// none in [Admit]: quotas, and webhooks that change Pods.
func NotAsked(namespace string, others []runtime.Object) []string {
	var names []string
	for _, obj := range others {
		switch obj := obj.(type) {
		case *corev1.ResourceQuota:
			if obj.Namespace == namespace {
				names = append(names, "ResourceQuota "+obj.Name)
			}
		case *admissionv1.MutatingWebhookConfiguration:
			for _, hook := range obj.Webhooks {
				if slices.ContainsFunc(hook.Rules, onNewPods) {
					names = append(names, "mutating webhook "+hook.Name)
				}
			}
		case *admissionv1.ValidatingWebhookConfiguration:
			for _, hook := range obj.Webhooks {
				if slices.ContainsFunc(hook.Rules, onNewPods) {
					names = append(names, "validating webhook "+hook.Name)
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func onNewPods(rule admissionv1.RuleWithOperations) bool {
	has := func(list []string, word string) bool {
		return slices.Contains(list, word) || slices.Contains(list, "*")
	}
	return has(rule.APIGroups, "") && (has(rule.Resources, "pods") || slices.Contains(rule.Resources, "*/*")) &&
		(slices.Contains(rule.Operations, admissionv1.Create) || slices.Contains(rule.Operations, admissionv1.OperationAll))
}

// Copies are n Pods of one manifest, numbered. They have no owner, so that
// only a Service that selects them makes the default spreading see them together.
func Copies(pod *corev1.Pod, n int) []*corev1.Pod {
	if n == 1 {
		return []*corev1.Pod{pod}
	}
	copies := make([]*corev1.Pod, n)
	for i := range copies {
		p := pod.DeepCopy()
		p.Name = fmt.Sprintf("%s-%0*d", pod.Name, len(strconv.Itoa(n-1)), i)
		p.UID = types.UID(fmt.Sprintf("%s-%d", pod.UID, i))
		p.OwnerReferences = nil
		copies[i] = p
	}
	return copies
}
