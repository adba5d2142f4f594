package nodeloss

import (
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
)

// Comeback says whether somebody makes a lost Pod again.
type Comeback string

// The ways of a Pod that stood on a lost node.
const (
	// Recreated: its controller makes a new one as soon as the old one is
	// marked for deletion.
	Recreated Comeback = "recreated"
	// AfterDelete: a new one is made only when the old object is gone, which a
	// dead kubelet never confirms: delete the Node object, force-delete the
	// Pod, or taint the node out-of-service.
	AfterDelete Comeback = "after-delete"
	// Stays: it is bound to its node and comes back with it.
	Stays Comeback = "stays"
	// Gone: evicted, and nobody makes it again.
	Gone Comeback = "gone"
	// Unknown: its owner is of a kind that Kubernetes itself does not have.
	Unknown Comeback = "unknown"
)

// ToleratesForever begins the reason of a Pod that no loss evicts, and a drain does.
const ToleratesForever = "it tolerates an unreachable node without a limit"

// Owners looks up what stands behind Pods.
type Owners struct{ jobs map[types.UID]*batchv1.Job }

// NewOwners takes the Jobs out of a list of objects.
func NewOwners(objects []runtime.Object) Owners {
	o := Owners{jobs: map[types.UID]*batchv1.Job{}}
	for _, obj := range objects {
		if job, ok := obj.(*batchv1.Job); ok {
			o.jobs[job.UID] = job
		}
	}
	return o
}

// Comeback says what becomes of a Pod whose node is lost, and why.
func (o Owners) Comeback(pod *corev1.Pod) (Comeback, string) {
	if pod.Annotations[corev1.MirrorPodAnnotationKey] != "" {
		return Stays, "a static Pod: its kubelet runs it from a file, and only there"
	}
	owner := metav1.GetControllerOf(pod)
	if owner != nil && owner.Kind == "DaemonSet" {
		return Stays, "a DaemonSet's Pod: there is one per node, and it tolerates the loss"
	}
	if _, evicted := Toleration(pod, corev1.TaintNodeUnreachable); !evicted {
		return Stays, ToleratesForever + ", so it is never evicted"
	}
	if owner == nil {
		return Gone, "no controller owns it: nobody makes it again"
	}
	switch owner.Kind {
	case "ReplicaSet", "ReplicationController":
		if pod.DeletionTimestamp != nil { // no replica any more (pkg/controller/controller_utils.go, IsPodActive)
			return Gone, "it was being deleted already, and " + owner.Kind + " " + owner.Name + " has made another where it wants one"
		}
		return Recreated, owner.Kind + " " + owner.Name + " makes a new one once the old one is marked for deletion"
	case "StatefulSet":
		return AfterDelete, "StatefulSet " + owner.Name + " waits until the old Pod is gone, and a dead kubelet never says so"
	case "Job":
		return o.job(owner, pod.DeletionTimestamp != nil)
	}
	return Unknown, fmt.Sprintf("its owner is %s %s: what that controller does is not known", owner.Kind, owner.Name)
}

// job: a deleted Pod counts as failed (pkg/controller/job/job_controller.go),
// and podReplacementPolicy says whether a terminating one is replaced.
func (o Owners) job(owner *metav1.OwnerReference, deleting bool) (Comeback, string) {
	job := o.jobs[owner.UID]
	if job == nil {
		return Recreated, "Job " + owner.Name + " makes a new one as its backoffLimit allows (the Job itself is not in the backup)"
	}
	limit := int32(6)
	if job.Spec.BackoffLimit != nil {
		limit = *job.Spec.BackoffLimit
	}
	switch policy := job.Spec.PodReplacementPolicy; {
	case finished(job):
		return Gone, "Job " + owner.Name + " has ended"
	case job.Status.Failed >= limit:
		return Gone, fmt.Sprintf("Job %s has used up its backoffLimit of %d", owner.Name, limit)
	case policy != nil && *policy == batchv1.Failed:
		return AfterDelete, "Job " + owner.Name + " has podReplacementPolicy Failed: it waits until the old Pod has ended"
	case deleting:
		return Gone, "it was being deleted already, and Job " + owner.Name + " has made another where it wants one"
	}
	return Recreated, fmt.Sprintf("Job %s makes a new one: %d of %d failures are used", owner.Name, job.Status.Failed, limit)
}

func finished(job *batchv1.Job) bool {
	return slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool {
		return (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue
	})
}

// Toleration is how long a Pod tolerates a NoExecute taint of that key. Of
// several tolerations the first that matches counts (GetMatchingTolerations in
// pkg/apis/core/v1/helper/helpers.go). evicted is false when it stays for
// ever; without any toleration it is evicted at once.
func Toleration(pod *corev1.Pod, key string) (limit time.Duration, evicted bool) {
	taint := &corev1.Taint{Key: key, Effect: corev1.TaintEffectNoExecute}
	for i := range pod.Spec.Tolerations {
		t := &pod.Spec.Tolerations[i]
		switch {
		case !t.ToleratesTaint(klog.Logger{}, taint, false):
		case t.TolerationSeconds == nil:
			return 0, false
		default:
			return time.Duration(max(*t.TolerationSeconds, 0)) * time.Second, true
		}
	}
	return 0, true
}
