package oracle

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const deployed = "lifeboat" // the namespace

// TestDeploy does what deploy/kustomization.yaml says, in a namespace that
// admits restricted Pods alone, and holds what the Job controller makes of it
// against what the program was promised: an index for each Pod, the Job's name
// as that of the run, a verdict that ends its index, and all else tried again.
// There are no nodes, so the test says of the Pods what a kubelet would.
func TestDeploy(t *testing.T) {
	c := startCluster(t)
	_, err := c.client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: deployed, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"},
	}}, metav1.CreateOptions{})
	require.NoError(t, err)
	careless := c.run(t, "kubectl -n lifeboat run careless --image=registry.example/x")
	require.Len(t, careless.refused, 1, "the namespace admits anything")
	require.Contains(t, careless.refused[0], `violates PodSecurity "restricted`)

	applied := c.run(t, "kubectl apply --validate=strict -k ../../deploy")
	require.Empty(t, applied.refused)
	require.Empty(t, applied.warnings)
	require.Equal(t, 3, applied.done)

	t.Run("verify", func(t *testing.T) { testDeployedVerify(t, c) })
	t.Run("merge", func(t *testing.T) { testDeployedMerge(t, c) })
}

func testDeployedVerify(t *testing.T, c *cluster) {
	night := c.startJob(t, "lifeboat-verify", "night-1")
	shards := int(*night.Spec.Completions)
	pods := c.podsOf(t, night.Name, shards)
	for index, pod := range pods {
		require.Equal(t, index, indexOf(t, pod), "one Pod for each index")
		container := pod.Spec.Containers[0]
		require.Equal(t, fromField("JOB_COMPLETION_INDEX", "metadata.labels['batch.kubernetes.io/job-completion-index']"), env(container, "JOB_COMPLETION_INDEX"))
		require.Equal(t, fromField("RUN", "metadata.labels['batch.kubernetes.io/job-name']"), env(container, "RUN"))
		require.Equal(t, night.Name, pod.Labels["batch.kubernetes.io/job-name"])
		require.Contains(t, container.Args, "--run=$(RUN)")
		require.Contains(t, container.Args, fmt.Sprintf("--shards=%d", shards))
		require.Contains(t, container.Args, "$(PLACE)")
		require.NotNil(t, pod.Spec.SecurityContext.SeccompProfile)
		require.False(t, slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Projected != nil }), "no token of the API")
	}

	// A verdict, a fault, a drained node, and all the others are good.
	c.end(t, pods[0], 5)
	c.end(t, pods[1], 1)
	c.end(t, pods[2], 137, corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "EvictionByEvictionAPI"})
	for _, pod := range pods[3:] {
		c.end(t, pod, 0)
	}
	again := c.podsOf(t, night.Name, 2)
	require.Equal(t, []int{1, 2}, []int{indexOf(t, again[0]), indexOf(t, again[1])}, "the index with a verdict is not tried again")
	require.Equal(t, "1", again[0].Annotations["batch.kubernetes.io/job-index-failure-count"])
	require.Equal(t, "0", again[1].Annotations["batch.kubernetes.io/job-index-failure-count"], "a drained node says nothing about the archives")
	c.end(t, again[0], 0)
	c.end(t, again[1], 0)
	ended := c.jobEnds(t, night.Name)
	require.Equal(t, "0", *ended.Status.FailedIndexes)
	require.Equal(t, fmt.Sprintf("1-%d", shards-1), ended.Status.CompletedIndexes)
	require.Equal(t, batchv1.JobReasonFailedIndexes, failure(ended))

	// A night on which all is good.
	good := c.startJob(t, "lifeboat-verify", "night-2")
	for _, pod := range c.podsOf(t, good.Name, shards) {
		c.end(t, pod, 0)
	}
	require.Empty(t, failure(c.jobEnds(t, good.Name)))
}

func testDeployedMerge(t *testing.T, c *cluster) {
	merge := c.startJob(t, "lifeboat-merge", "merge-1")
	c.end(t, c.podsOf(t, merge.Name, 1)[0], 3)
	require.Equal(t, batchv1.JobReasonPodFailurePolicy, failure(c.jobEnds(t, merge.Name)), "a verdict is final")
	merge = c.startJob(t, "lifeboat-merge", "merge-2")
	c.end(t, c.podsOf(t, merge.Name, 1)[0], 1)
	c.end(t, c.podsOf(t, merge.Name, 1)[0], 0)
	require.Empty(t, failure(c.jobEnds(t, merge.Name)), "a store that was away is asked again")
}

// startJob makes a Job of a CronJob, as its schedule would.
func (c *cluster) startJob(t *testing.T, from, name string) *batchv1.Job {
	t.Helper()
	out := c.run(t, "kubectl -n lifeboat create job --from=cronjob/"+from+" "+name)
	require.Empty(t, out.refused)
	require.Empty(t, out.warnings)
	job, err := c.client.BatchV1().Jobs(deployed).Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	return job
}

// podsOf waits for so many Pods of a Job that have not ended, and gives them by
// index.
func (c *cluster) podsOf(t *testing.T, job string, count int) []corev1.Pod {
	t.Helper()
	var pods []corev1.Pod
	c.poll(t, func(ctx context.Context) error {
		list, err := c.client.CoreV1().Pods(deployed).List(ctx, metav1.ListOptions{LabelSelector: "batch.kubernetes.io/job-name=" + job})
		if err != nil {
			return err
		}
		pods = slices.DeleteFunc(list.Items, func(p corev1.Pod) bool {
			return p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded
		})
		if len(pods) != count {
			return fmt.Errorf("%d Pods of %d", len(pods), count)
		}
		return nil
	})
	slices.SortFunc(pods, func(a, b corev1.Pod) int { return indexOf(t, a) - indexOf(t, b) })
	return pods
}

func indexOf(t *testing.T, pod corev1.Pod) int {
	t.Helper()
	text, indexed := pod.Annotations["batch.kubernetes.io/job-completion-index"]
	if !indexed {
		return 0
	}
	index, err := strconv.Atoi(text)
	require.NoError(t, err)
	return index
}

// end says that a Pod's program has exited, as a kubelet does.
func (c *cluster) end(t *testing.T, pod corev1.Pod, code int32, conditions ...corev1.PodCondition) {
	t.Helper()
	now, err := c.client.CoreV1().Pods(deployed).Get(t.Context(), pod.Name, metav1.GetOptions{})
	require.NoError(t, err)
	pod = *now
	pod.Status.Phase = corev1.PodSucceeded
	if code != 0 {
		pod.Status.Phase = corev1.PodFailed
	}
	pod.Status.Conditions = append(pod.Status.Conditions, conditions...)
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: pod.Spec.Containers[0].Name, Image: pod.Spec.Containers[0].Image,
		State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, FinishedAt: metav1.Now()}},
	}}
	_, err = c.client.CoreV1().Pods(deployed).UpdateStatus(t.Context(), &pod, metav1.UpdateOptions{})
	require.NoError(t, err)
}

func (c *cluster) jobEnds(t *testing.T, name string) *batchv1.Job {
	t.Helper()
	var job *batchv1.Job
	c.poll(t, func(ctx context.Context) (err error) {
		job, err = c.client.BatchV1().Jobs(deployed).Get(ctx, name, metav1.GetOptions{})
		if err == nil && !slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool {
			return (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue
		}) {
			err = fmt.Errorf("it has not ended: %+v", job.Status)
		}
		return err
	})
	return job
}

// failure is why a Job failed, "" when it did not.
func failure(job *batchv1.Job) string {
	for _, condition := range job.Status.Conditions {
		if condition.Type == batchv1.JobFailed && condition.Status == corev1.ConditionTrue {
			return condition.Reason
		}
	}
	return ""
}

// poll asks again for as long as the Job controller may wait before it tries a
// Pod again.
func (c *cluster) poll(t *testing.T, check func(context.Context) error) {
	t.Helper()
	eventually(t, 90*time.Second, "the Job controller", &child{name: "nobody"}, check)
}

func env(container corev1.Container, name string) corev1.EnvVar {
	i := slices.IndexFunc(container.Env, func(e corev1.EnvVar) bool { return e.Name == name })
	if i < 0 {
		return corev1.EnvVar{}
	}
	return container.Env[i]
}

func fromField(name, path string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: path}}}
}
