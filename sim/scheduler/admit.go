package scheduler

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/apis/core/install"
	"k8s.io/kubernetes/pkg/apis/core/validation"
)

// ErrRefused says that the API server would not take a Pod.
var ErrRefused = errors.New("the API server would refuse the Pod")

// defaultTolerationSeconds is the API server's --default-not-ready-toleration-seconds
// and --default-unreachable-toleration-seconds, as they come.
const defaultTolerationSeconds = 300

// Admit makes of a manifest what the API server stores: defaults, validation,
// and the admission plugins that the scheduler depends on: Priority and
// DefaultTolerationSeconds. A Pod that would not be taken is ErrRefused with
// the API server's own words. Quotas, limit ranges and webhooks are not asked.
func Admit(manifest *corev1.Pod, others []runtime.Object) (*corev1.Pod, error) {
	scheme := runtime.NewScheme()
	install.Install(scheme)
	pod := manifest.DeepCopy()
	if pod.Name == "" {
		pod.Name = pod.GenerateName + "0"
	}
	if err := prioritize(pod, others); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	addTolerations(pod)
	scheme.Default(pod)
	internal := &core.Pod{}
	if err := scheme.Convert(pod, internal, nil); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	opts := podutil.GetValidationOptionsFromPodSpecAndMeta(&internal.Spec, nil, &internal.ObjectMeta, nil)
	if problems := validation.ValidatePodCreate(internal, opts); len(problems) > 0 {
		return nil, fmt.Errorf("%w: %w", ErrRefused, problems.ToAggregate())
	}
	pod.UID = types.UID("manifest-" + podName(pod))
	pod.Status = corev1.PodStatus{Phase: corev1.PodPending}
	return pod, nil
}

// prioritize is the Priority admission plugin
// (plugin/pkg/admission/priority/admission.go).
func prioritize(pod *corev1.Pod, others []runtime.Object) error {
	value, policy := int32(0), corev1.PreemptLowerPriority
	switch pod.Spec.PriorityClassName {
	case "system-cluster-critical":
		value = 2_000_000_000
	case "system-node-critical":
		value = 2_000_001_000
	default:
		class, err := priorityClass(pod.Spec.PriorityClassName, others)
		if err != nil {
			return err
		}
		if class != nil {
			pod.Spec.PriorityClassName, value = class.Name, class.Value
			if class.PreemptionPolicy != nil {
				policy = *class.PreemptionPolicy
			}
		}
	}
	if given := pod.Spec.Priority; given != nil && *given != value {
		return fmt.Errorf("the integer value of priority (%d) must not be provided in pod spec; priority admission controller computed %d from the given PriorityClass name", *given, value)
	}
	pod.Spec.Priority = &value
	if pod.Spec.PreemptionPolicy == nil {
		pod.Spec.PreemptionPolicy = &policy
	}
	return nil
}

// priorityClass finds a class by its name, or for "" the global default of the
// lowest value; nil when there is none.
func priorityClass(name string, others []runtime.Object) (*schedulingv1.PriorityClass, error) {
	var found *schedulingv1.PriorityClass
	for _, obj := range others {
		class, ok := obj.(*schedulingv1.PriorityClass)
		switch {
		case !ok:
		case name != "" && class.Name == name:
			return class, nil
		case name == "" && class.GlobalDefault && (found == nil || class.Value < found.Value):
			found = class
		}
	}
	if name != "" {
		return nil, fmt.Errorf("no PriorityClass with name %s was found", name)
	}
	return found, nil
}

// addTolerations is the DefaultTolerationSeconds admission plugin
// (plugin/pkg/admission/defaulttolerationseconds/admission.go).
func addTolerations(pod *corev1.Pod) {
	for _, key := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
		if slices.ContainsFunc(pod.Spec.Tolerations, func(t corev1.Toleration) bool {
			return (t.Key == key || t.Key == "") && (t.Effect == corev1.TaintEffectNoExecute || t.Effect == "")
		}) {
			continue
		}
		seconds := int64(defaultTolerationSeconds)
		pod.Spec.Tolerations = append(pod.Spec.Tolerations, corev1.Toleration{
			Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds,
		})
	}
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
