package registry

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/lifeboat-dr/lifeboat/internal/words"
)

// Stage is a step of the creation and the folder of its manifests; the
// lexical order of the names is the order of creation, because kubectl walks
// folders lexically.
type Stage string

// The stages, a superset of Velero's list (pkg/cmd/server/config/config.go).
const (
	StageNamespaces      Stage = "00-namespaces"
	StageDefinitions     Stage = "10-crds"            // to be Established before custom resources
	StageClasses         Stage = "20-classes"         // what others name: priorities, storage, runtimes
	StageRoles           Stage = "25-roles"           // a binding needs its role
	StageServiceAccounts Stage = "30-serviceaccounts" // Pods and token Secrets need theirs
	StageBindings        Stage = "35-rolebindings"
	StageLimits          Stage = "40-limits"    // before Pods: their defaults and bounds (velero#385)
	StageConfig          Stage = "45-config"    // Secrets, ConfigMaps, and kinds that stand nowhere else
	StageVolumes         Stage = "50-volumes"   // before their claims, which otherwise bind to others
	StageClaims          Stage = "55-claims"    //
	StageEndpoints       Stage = "60-endpoints" // before their Services (velero#6280)
	StageServices        Stage = "65-services"  // before Pods, which get them as environment variables
	StageNetworkPolicies Stage = "70-networkpolicies"
	StageCustom          Stage = "75-customresources"
	StageWorkloads       Stage = "80-workloads"
	StageConverted       Stage = "83-converted" // custom resources that a webhook among the workloads converts
	StageScaling         Stage = "85-scaling"
	StageIngresses       Stage = "90-ingresses"
	StageQuotas          Stage = "92-quotas" // last of what is counted: "status unknown for quota" until it was counted once
	StageAPIServices     Stage = "93-apiservices"
	StageAdmission       Stage = "95-admission" // last: one without a backend refuses all that follows
)

// stages of the kinds that do not stand in StageConfig.
func stageTable() map[Stage][]schema.GroupKind {
	return map[Stage][]schema.GroupKind{
		StageNamespaces:  kinds("Namespace"),
		StageDefinitions: kinds("CustomResourceDefinition.apiextensions.k8s.io"),
		StageClasses: kinds(
			"StorageClass.storage.k8s.io", "VolumeAttributesClass.storage.k8s.io", "CSIDriver.storage.k8s.io",
			"VolumeSnapshotClass.snapshot.storage.k8s.io", "PriorityClass.scheduling.k8s.io", "RuntimeClass.node.k8s.io",
			"IngressClass.networking.k8s.io", "DeviceClass.resource.k8s.io", "ServiceCIDR.networking.k8s.io",
			"PriorityLevelConfiguration.flowcontrol.apiserver.k8s.io", "FlowSchema.flowcontrol.apiserver.k8s.io",
		),
		StageRoles:           kinds("ClusterRole.rbac.authorization.k8s.io", "Role.rbac.authorization.k8s.io"),
		StageServiceAccounts: kinds("ServiceAccount"),
		StageBindings:        kinds("ClusterRoleBinding.rbac.authorization.k8s.io", "RoleBinding.rbac.authorization.k8s.io"),
		StageLimits:          kinds("LimitRange"),
		StageQuotas:          kinds("ResourceQuota", "ClusterResourceQuota.quota.openshift.io"),
		StageVolumes:         kinds("PersistentVolume"),
		StageClaims:          kinds("PersistentVolumeClaim", "ResourceClaim.resource.k8s.io", "ResourceClaimTemplate.resource.k8s.io"),
		StageEndpoints:       kinds("Endpoints", "EndpointSlice.discovery.k8s.io"),
		StageServices:        kinds("Service"),
		StageNetworkPolicies: kinds("NetworkPolicy.networking.k8s.io"),
		StageWorkloads: kinds(
			"Pod", "PodTemplate", "ReplicationController", "ReplicaSet.apps", "StatefulSet.apps", "DaemonSet.apps", "Deployment.apps",
			"Job.batch", "CronJob.batch", "ControllerRevision.apps",
		),
		StageScaling:     kinds("HorizontalPodAutoscaler.autoscaling", "PodDisruptionBudget.policy"),
		StageIngresses:   kinds("Ingress.networking.k8s.io"),
		StageAPIServices: kinds("APIService.apiregistration.k8s.io"),
		StageAdmission: kinds(
			"ValidatingWebhookConfiguration.admissionregistration.k8s.io", "MutatingWebhookConfiguration.admissionregistration.k8s.io",
			"ValidatingAdmissionPolicy.admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding.admissionregistration.k8s.io",
			"MutatingAdmissionPolicy.admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding.admissionregistration.k8s.io",
		),
	}
}

// stageIndex turns stageTable round.
func stageIndex() map[schema.GroupKind]Stage {
	index := map[schema.GroupKind]Stage{}
	for stage, list := range stageTable() {
		for _, gk := range list {
			index[gk] = stage
		}
	}
	return index
}

// arrange gives the manifests their files, a clone those of its own names, and
// brings both lists into order.
func arrange(plan *Plan, clone *Clone) {
	index := stageIndex()
	byName := map[string][]*Manifest{} // by file, as a file system without case sees it
	for _, m := range plan.Manifests {
		gk := m.Object.GVK.GroupKind()
		m.Stage = index[gk]
		if _, builtin := LookupKind(gk); m.Stage == "" && builtin {
			m.Stage = StageConfig
		} else if m.Stage == "" {
			m.Stage = StageCustom
		}
		if m.behind != nil {
			m.Stage = StageConverted
		}
		m.File = FileName(m.Object)
		if clone != nil {
			m.File = FileName(clone.named(m.Object))
		}
		fold := strings.ToLower(string(m.Stage) + "/" + m.File)
		byName[fold] = append(byName[fold], m)
	}
	for _, same := range byName {
		for _, m := range same {
			if len(same) > 1 {
				m.File = withHash(m.File, m.Object.Key.Path)
			}
			m.File = string(m.Stage) + "/" + m.File + extension(m)
		}
	}
	slices.SortFunc(plan.Manifests, func(a, b *Manifest) int { return strings.Compare(a.File, b.File) })
	slices.SortFunc(plan.LeftOut, func(a, b LeftOut) int {
		return cmp.Or(strings.Compare(a.Object.String(), b.Object.String()), strings.Compare(a.Object.Key.Path, b.Object.Key.Path))
	})
}

// extension keeps what kubectl create would refuse out of its sight: it walks
// a folder for .json, .yaml and .yml.
func extension(m *Manifest) string {
	if m.Raw != nil {
		return ".raw"
	}
	switch {
	case m.Exists:
		return ".apply"
	case m.Collides:
		return ".collides"
	}
	return ".yaml"
}

// withHash tells apart files that differ in case only.
func withHash(file, key string) string {
	sum := sha256.Sum256([]byte(key))
	return fitName(file + "%-" + hex.EncodeToString(sum[:8]))
}

// Commands are the kubectl commands that create what WriteDir wrote to dir:
// one, unless definitions have to be Established before their resources, or
// objects have to be applied because the cluster has them already.
func (p *Plan) Commands(dir string) []string {
	var commands, pending, applied []string
	simple := true
	flush := func() {
		if len(pending) > 0 {
			commands = append(commands, "kubectl create -R -f "+strings.Join(pending, " -f "))
		}
		for _, file := range applied {
			commands = append(commands, "kubectl apply -f "+file)
		}
		pending, applied = nil, nil
	}
	var established []string // the definitions to wait for
	for i, m := range p.Manifests {
		folder := words.ShellQuote(path.Join(dir, string(m.Stage)))
		file := words.ShellQuote(path.Join(dir, m.File))
		switch {
		case m.Collides:
			simple = false // nothing may be told to take the whole folder
		case m.Exists:
			applied = append(applied, file)
			established = append(established, file)
		case !slices.Contains(pending, folder):
			pending = append(pending, folder)
			established = append(established, folder)
		}
		if m.Stage != StageDefinitions {
			established = nil
		}
		last := i == len(p.Manifests)-1 || p.Manifests[i+1].Stage != m.Stage
		switch {
		case last && m.Stage == StageDefinitions:
			flush()
			if len(established) > 0 {
				commands = append(commands, "kubectl wait --for=condition=Established --timeout=60s -R -f "+strings.Join(established, " -f "))
			}
			simple = false
		case last && len(p.waits(i+1)) > 0:
			flush()
			commands = append(commands, p.waits(i+1)...)
			simple = false
		case last && len(applied) > 0:
			flush()
			simple = false
		}
	}
	if simple && len(pending) > 0 {
		return []string{"kubectl create -R -f " + words.ShellQuote(path.Join(dir, "."))}
	}
	flush()
	return commands
}
