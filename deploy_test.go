package lifeboat_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// decode reads a manifest of deploy/ into its type; a field that the API does not
// have is an error.
func decode(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("deploy", name))
	require.NoError(t, err)
	require.NoError(t, yaml.UnmarshalStrict(data, into), name)
}

// What is deployed is what the API server takes: fields that it has, and Pods
// that a restricted namespace admits.
func TestDeployManifests(t *testing.T) {
	t.Parallel()
	var kustomization struct {
		APIVersion, Kind, Namespace string
		Resources                   []string
		Images                      []map[string]string
	}
	decode(t, "kustomization.yaml", &kustomization)
	files, err := filepath.Glob("deploy/*.yaml")
	require.NoError(t, err)
	require.Len(t, kustomization.Resources, len(files)-1, "every manifest is one of its resources")

	var secret corev1.Secret
	decode(t, "secret.yaml", &secret)
	for _, name := range []string{"verify.yaml", "merge.yaml"} {
		var job batchv1.CronJob
		decode(t, name, &job)
		pod := job.Spec.JobTemplate.Spec.Template.Spec
		require.Equal(t, corev1.RestartPolicyNever, pod.RestartPolicy, "a podFailurePolicy asks for it")
		require.True(t, *pod.SecurityContext.RunAsNonRoot)
		require.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, pod.SecurityContext.SeccompProfile.Type)
		require.False(t, *pod.AutomountServiceAccountToken)
		container := pod.Containers[0]
		require.False(t, *container.SecurityContext.AllowPrivilegeEscalation)
		require.True(t, *container.SecurityContext.ReadOnlyRootFilesystem)
		require.Equal(t, []corev1.Capability{"ALL"}, container.SecurityContext.Capabilities.Drop)
		require.False(t, container.Resources.Limits.Memory().IsZero())
		for _, env := range container.Env {
			if env.ValueFrom != nil && env.ValueFrom.SecretKeyRef != nil {
				require.Equal(t, secret.Name, env.ValueFrom.SecretKeyRef.Name)
				require.Contains(t, secret.StringData, env.ValueFrom.SecretKeyRef.Key)
			}
		}
		for _, volume := range pod.Volumes {
			if volume.Secret != nil {
				for _, item := range volume.Secret.Items {
					require.Contains(t, secret.StringData, item.Key)
				}
			}
		}
		failed := job.Spec.JobTemplate.Spec.PodFailurePolicy.Rules
		require.Equal(t, batchv1.PodFailurePolicyActionIgnore, failed[0].Action)
		require.Equal(t, []int32{3, 4, 5, 6}, failed[1].OnExitCodes.Values)
		require.Equal(t, container.Name, *failed[1].OnExitCodes.ContainerName)
	}
}

// The Job has as many Pods as the program is told that there are shards.
func TestDeployedShards(t *testing.T) {
	t.Parallel()
	var cron batchv1.CronJob
	decode(t, "verify.yaml", &cron)
	job := cron.Spec.JobTemplate.Spec
	require.Equal(t, batchv1.IndexedCompletion, *job.CompletionMode)
	require.NotNil(t, job.BackoffLimitPerIndex, "FailIndex asks for it")
	args := job.Template.Spec.Containers[0].Args
	i := slices.IndexFunc(args, func(a string) bool { return strings.HasPrefix(a, "--shards=") })
	require.Equal(t, fmt.Sprintf("--shards=%d", *job.Completions), args[i])
	require.Contains(t, args, "--run=$(RUN)")
}
