package nodeloss_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/lifeboat-dr/lifeboat/sim/nodeloss"
)

// A successor waits for a volume that is attached to the lost node, and for no
// other: what is only mounted, or made anew, is free.
func TestVolumesThatAreAttached(t *testing.T) {
	t.Parallel()
	never := false
	driver := &storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: "nfs.example.com"}, Spec: storagev1.CSIDriverSpec{AttachRequired: &never}}
	old := &storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: "file.csi.azure.com"}, Spec: storagev1.CSIDriverSpec{AttachRequired: &never}}
	for name, tc := range map[string]struct {
		source corev1.PersistentVolumeSource
		mode   corev1.PersistentVolumeAccessMode
		back   bool
	}{
		"a disk of a CSI driver":            {corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "disk.example.com"}}, corev1.ReadWriteOnce, false},
		"the same, for one Pod":             {corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "disk.example.com"}}, corev1.ReadWriteOncePod, false},
		"the same, for many nodes":          {corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "disk.example.com"}}, corev1.ReadWriteMany, true},
		"the same, read by many nodes":      {corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "disk.example.com"}}, corev1.ReadOnlyMany, true},
		"a driver that attaches nothing":    {corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "nfs.example.com"}}, corev1.ReadWriteOnce, true},
		"NFS":                               {corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Server: "nas", Path: "/"}}, corev1.ReadWriteOnce, true},
		"iSCSI":                             {corev1.PersistentVolumeSource{ISCSI: &corev1.ISCSIPersistentVolumeSource{}}, corev1.ReadWriteOnce, false},
		"a disk of an old cloud plugin":     {corev1.PersistentVolumeSource{AWSElasticBlockStore: &corev1.AWSElasticBlockStoreVolumeSource{VolumeID: "vol-1"}}, corev1.ReadWriteOnce, false},
		"files of an old cloud plugin":      {corev1.PersistentVolumeSource{AzureFile: &corev1.AzureFilePersistentVolumeSource{ShareName: "s"}}, corev1.ReadWriteOnce, true},
		"a folder of the node is its own":   {corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/d"}}, corev1.ReadWriteOnce, false},
		"a disk of the node is its own too": {corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/d"}}, corev1.ReadWriteMany, false},
	} {
		pv := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv-data"}}
		pv.Spec.PersistentVolumeSource, pv.Spec.AccessModes = tc.source, []corev1.PersistentVolumeAccessMode{tc.mode}
		cluster := nodeloss.Cluster{
			Nodes: zoned(4, 2), Pods: []*corev1.Pod{pod("web", "ReplicaSet", claiming("data"))}, Others: []runtime.Object{pv, claim("data"), driver, old},
		}
		r := forecast(t, nodeloss.Default(37), cluster, nodeloss.Power, "z0-n00")
		require.Equal(t, tc.back, r.Pods[0].Back != nil, "%s: %s", name, r.Pods[0].Volume)
	}
}

// Of a claim whose volume is not in the backup the modes alone are known: what one
// node alone may mount counts as attached.
func TestVolumesThatAreNotThere(t *testing.T) {
	t.Parallel()
	for mode, back := range map[corev1.PersistentVolumeAccessMode]bool{corev1.ReadWriteOnce: false, corev1.ReadWriteMany: true} {
		c := claim("data")
		c.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{mode}
		cluster := nodeloss.Cluster{Nodes: zoned(4, 2), Pods: []*corev1.Pod{pod("web", "ReplicaSet", claiming("data"))}, Others: []runtime.Object{c}}
		r := forecast(t, nodeloss.Default(37), cluster, nodeloss.Power, "z0-n00")
		require.Equal(t, back, r.Pods[0].Back != nil, mode)
	}
}

// A Job makes a new Pod while it has not ended and its backoffLimit allows one
// more failure: a deleted Pod is one.
func TestPodsOfJobs(t *testing.T) {
	t.Parallel()
	limit, failed := int32(2), batchv1.Failed
	ended := func(kind batchv1.JobConditionType) batchv1.JobStatus {
		return batchv1.JobStatus{Conditions: []batchv1.JobCondition{{Type: kind, Status: corev1.ConditionTrue}}}
	}
	for name, tc := range map[string]struct {
		spec   batchv1.JobSpec
		status batchv1.JobStatus
		want   nodeloss.Comeback
	}{
		"fresh":                      {batchv1.JobSpec{}, batchv1.JobStatus{}, nodeloss.Recreated},
		"five of six by default":     {batchv1.JobSpec{}, batchv1.JobStatus{Failed: 5}, nodeloss.Recreated},
		"six of six by default":      {batchv1.JobSpec{}, batchv1.JobStatus{Failed: 6}, nodeloss.Gone},
		"one of two":                 {batchv1.JobSpec{BackoffLimit: &limit}, batchv1.JobStatus{Failed: 1}, nodeloss.Recreated},
		"two of two":                 {batchv1.JobSpec{BackoffLimit: &limit}, batchv1.JobStatus{Failed: 2}, nodeloss.Gone},
		"complete":                   {batchv1.JobSpec{}, ended(batchv1.JobComplete), nodeloss.Gone},
		"failed":                     {batchv1.JobSpec{}, ended(batchv1.JobFailed), nodeloss.Gone},
		"suspended is not ended":     {batchv1.JobSpec{}, ended(batchv1.JobSuspended), nodeloss.Recreated},
		"replaced once it has ended": {batchv1.JobSpec{PodReplacementPolicy: &failed}, batchv1.JobStatus{}, nodeloss.AfterDelete},
	} {
		job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "owner", UID: "job"}, Spec: tc.spec, Status: tc.status}
		p := pod("work", "Job", func(p *corev1.Pod) { p.OwnerReferences[0].UID = "job" })
		got, why := nodeloss.NewOwners([]runtime.Object{job}).Comeback(p)
		require.Equal(t, tc.want, got, "%s: %s", name, why)
	}
}

// A toleration that somebody set is the Pod's own: the tuning of the default one
// does not touch it.
func TestOwnTolerationStays(t *testing.T) {
	t.Parallel()
	own := int64(30)
	tuned := nodeloss.Default(37)
	tuned.Unreachable = 50 * time.Second
	cluster := nodeloss.Cluster{Nodes: zoned(4, 2), Pods: []*corev1.Pod{
		pod("as-admitted", "ReplicaSet"), pod("own", "ReplicaSet", func(p *corev1.Pod) { p.Spec.Tolerations[1].TolerationSeconds = &own }),
	}}
	r := forecast(t, tuned, cluster, nodeloss.Power, "z0-n00")
	require.Equal(t, r.Detected.Median+50*time.Second, r.Pods[0].Evicted.Median)
	require.Equal(t, r.Detected.Median+30*time.Second, r.Pods[1].Evicted.Median)
}

// Where no Pod stood, nothing was proved.
func TestHeadlineOfNothing(t *testing.T) {
	t.Parallel()
	r := forecast(t, nodeloss.Default(37), nodeloss.Cluster{Nodes: zoned(4, 2)}, nodeloss.Power, "z0-n00")
	require.Equal(t, "no Pod stood there: not checked", r.Headline())
	r = forecast(t, nodeloss.Default(37), nodeloss.Cluster{Nodes: zoned(4, 2), Pods: []*corev1.Pod{pod("web", "ReplicaSet")}}, nodeloss.Power, "z0-n00")
	require.Equal(t, "noticed after 48 s; 1 back by 5 min 48 s", r.Headline(), "and nothing of those that there are none of")
}

// A grace period that is no multiple of the monitor period ends with the pass
// behind it.
func TestWindow(t *testing.T) {
	t.Parallel()
	tuned := nodeloss.Default(37)
	tuned.Period = 15 * time.Second
	require.Equal(t, nodeloss.Span{Min: 50 * time.Second, Median: 60 * time.Second, Max: 4 * 15100 * time.Millisecond}, tuned.Window())
}

func TestVolumesOfThePodItself(t *testing.T) {
	t.Parallel()
	volume := func(source corev1.VolumeSource, readOnly bool) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: source}}
			p.Spec.Containers = []corev1.Container{{Name: "c", VolumeMounts: []corev1.VolumeMount{{Name: "v", MountPath: "/v", ReadOnly: readOnly}}}}
		}
	}
	ephemeral := corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{}}}
	folder := corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/var/data"}}
	cluster := nodeloss.Cluster{Nodes: zoned(4, 2), Pods: []*corev1.Pod{
		pod("a-disk", "ReplicaSet", volume(corev1.VolumeSource{AWSElasticBlockStore: &corev1.AWSElasticBlockStoreVolumeSource{VolumeID: "vol-1"}}, false)),
		pod("b-ephemeral", "ReplicaSet", volume(ephemeral, false)),
		pod("c-folder", "ReplicaSet", volume(folder, false)),
		pod("d-read-folder", "ReplicaSet", volume(folder, true)),
		pod("e-read-disk", "ReplicaSet", volume(corev1.VolumeSource{GCEPersistentDisk: &corev1.GCEPersistentDiskVolumeSource{PDName: "d", ReadOnly: true}}, false)),
		pod("f-disk", "ReplicaSet", volume(corev1.VolumeSource{GCEPersistentDisk: &corev1.GCEPersistentDiskVolumeSource{PDName: "d"}}, false)),
	}}
	r := forecast(t, nodeloss.Default(37), cluster, nodeloss.Power, "z0-n00")
	require.Nil(t, r.Pods[0].Back, "an inline disk is attached as any other")
	require.NotNil(t, r.Pods[1].Back)
	require.Contains(t, r.Pods[1].Volume, "a new, empty one")
	require.NotNil(t, r.Pods[2].Back)
	require.Equal(t, "what it wrote to its node's /var/data stays there", r.Pods[2].Data)
	require.Empty(t, r.Pods[3].Data)
	require.NotNil(t, r.Pods[4].Back, "any number of nodes may read it")
	require.Nil(t, r.Pods[5].Back)
}

// Another grace period changes nothing else, but where Deckhouse derives the rest.
func TestGraceAloneChanges(t *testing.T) {
	t.Parallel()
	plain := nodeloss.Default(37)
	require.Equal(t, plain, plain.WithGrace(50*time.Second), "the default, said")
	shorter := plain
	shorter.Grace = 20 * time.Second
	require.Equal(t, shorter, plain.WithGrace(20*time.Second))
	derived := plain.LikeDeckhouse(40 * time.Second).WithGrace(16 * time.Second)
	require.Equal(t, []time.Duration{16 * time.Second, 2 * time.Second, 10 * time.Second}, []time.Duration{derived.Grace, derived.Period, derived.StatusReport})
}

func TestFlagsOfTheControllerManager(t *testing.T) {
	t.Parallel()
	tuned, found, err := nodeloss.Default(37).WithFlags(map[string]string{"node-monitor-grace-period": "16s", "node-eviction-rate": "0.5", "large-cluster-size-threshold": "9"})
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, []any{16 * time.Second, 0.5, 9}, []any{tuned.Grace, tuned.EvictionRate, tuned.LargeZone})
	_, found, err = nodeloss.Default(37).WithFlags(map[string]string{"bind-address": "0.0.0.0"})
	require.NoError(t, err)
	require.False(t, found)
	for name, value := range map[string]string{"node-monitor-period": "5", "unhealthy-zone-threshold": "half", "large-cluster-size-threshold": "x"} {
		_, _, err := nodeloss.Default(37).WithFlags(map[string]string{name: value})
		require.ErrorIs(t, err, nodeloss.ErrTuning, name)
	}
}
