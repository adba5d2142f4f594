package registry

import (
	"cmp"
	"slices"
	"strings"
)

// isRandom tells what names.SimpleNameGenerator adds (apiserver
// pkg/storage/names): five characters of an alphabet without vowels
// (apimachinery pkg/util/rand).
func isRandom(suffix string) bool {
	return len(suffix) == 5 && strings.Trim(suffix, "bcdfghjklmnpqrstvwxz2456789") == ""
}

// Types of Secrets.
const (
	tokenSecret     = "kubernetes.io/service-account-token"
	bootstrapSecret = "bootstrap.kubernetes.io/token"
	dockercfgSecret = "kubernetes.io/dockercfg"
)

// accountRules keep what a user gave a ServiceAccount and leave its tokens to
// the cluster that signs them.
func accountRules() []Rule {
	account, secret, config := kinds("ServiceAccount"), kinds("Secret"), kinds("ConfigMap")
	return []Rule{
		{
			ID: "account-tokens", Kinds: account,
			Why:    "a reference to a token Secret that the token controller made, and makes no more",
			Source: "kubernetes pkg/controller/serviceaccount/tokens_controller.go",
			apply: func(e *edit) {
				e.dropItems(func(ref any) bool {
					return e.isGenerated(stringAt(ref, "name"), "-token-") || e.isGenerated(stringAt(ref, "name"), "-dockercfg-")
				}, "secrets")
				e.dropItems(func(ref any) bool { return e.isGenerated(stringAt(ref, "name"), "-dockercfg-") }, "imagePullSecrets")
			},
		},
		{
			ID: "account-default", Kinds: account,
			Why:    "every namespace gets one at its birth; what a user added to it is to be applied",
			Source: "kubernetes pkg/controller/serviceaccount/serviceaccounts_controller.go; velero#130",
			apply: func(e *edit) {
				if e.id.name == "default" {
					e.leaveBareAccount("its namespace gets one at its birth")
				}
			},
		},
		{
			ID: "account-controller", Kinds: account,
			Why:    "the controller manager makes one for each of its controllers",
			Source: "kubernetes plugin/pkg/auth/authorizer/rbac/bootstrappolicy/controller_policy.go, client-go clientbuilder",
			apply: func(e *edit) {
				if e.id.namespace == "kube-system" && slices.Contains(controllerAccounts(), e.id.name) {
					e.leaveBareAccount("the controller manager makes it for a controller")
				}
			},
		},
		{
			ID: "secret-generated-token", Kinds: secret,
			Why:    "the token controller made it; the new cluster neither knows the account's uid nor, maybe, the key that signed it",
			Source: "kubernetes pkg/controller/serviceaccount/tokens_controller.go; velero#840",
			apply: func(e *edit) {
				if stringAt(e.stored, "type") == tokenSecret && e.isGeneratedToken() {
					e.leave("the token controller made it for its ServiceAccount")
				}
			},
		},
		{
			ID: "secret-token", Kinds: secret,
			Why:    "the token controller deletes a Secret with the uid of an account that is no more; without it, it fills in a new token",
			Source: "kubernetes pkg/controller/serviceaccount/tokens_controller.go; velero#5843",
			apply:  cleanToken,
		},
		{
			ID: "secret-bootstrap-token", Kinds: secret,
			Why:    "it admits new nodes to the old cluster, for a day",
			Source: "kubernetes pkg/controller/bootstrap, cluster-bootstrap/token",
			apply: func(e *edit) {
				if stringAt(e.stored, "type") == bootstrapSecret {
					e.leave("it admits new nodes to the old cluster")
				}
			},
		},
		{
			ID: "secret-dockercfg", Kinds: secret,
			Why:    "OpenShift makes one with a token of the internal registry for each ServiceAccount",
			Source: "openshift/openshift-controller-manager pkg/serviceaccounts",
			apply: func(e *edit) {
				annotations := mapAt(e.stored, "metadata", "annotations")
				made := annotations["openshift.io/token-secret.name"] != nil || annotations["kubernetes.io/service-account.name"] != nil
				if stringAt(e.stored, "type") == dockercfgSecret && made {
					e.leave("OpenShift makes it for a ServiceAccount")
				}
			},
		},
		{
			ID: "config-map-ca", Kinds: config,
			Why:    "a publisher puts the CA of the new cluster into every namespace",
			Source: "kubernetes pkg/controller/certificates/rootcacertpublisher; OpenShift service-ca",
			apply: func(e *edit) {
				if e.id.name == "kube-root-ca.crt" || e.id.name == "openshift-service-ca.crt" {
					e.leave("its publisher puts the CA of the new cluster into every namespace")
				}
			},
		},
		{
			ID: "config-map-apiserver", Kinds: config,
			Why:    "the API server writes it at start",
			Source: "kubernetes pkg/controlplane/controller/{clusterauthenticationtrust,legacytokentracking}",
			apply: func(e *edit) {
				if e.id.namespace == "kube-system" && (e.id.name == "extension-apiserver-authentication" ||
					e.id.name == "kube-apiserver-legacy-service-account-token-tracking") {
					e.leave("the API server writes it at start")
				}
			},
		},
		{
			ID: "config-map-leader", Kinds: config,
			Why:    "the lock of a leader election names a holder that is no more",
			Source: "client-go tools/leaderelection/resourcelock",
			apply: func(e *edit) {
				if valueAt(e.stored, "metadata", "annotations", leaderAnnotation) != nil {
					e.leave("it is the lock of a leader election")
				}
			},
		},
	}
}

// isGenerated tells the name of a Secret that was generated for a ServiceAccount.
func (e *edit) isGenerated(secret, infix string) bool {
	suffix, ok := strings.CutPrefix(secret, e.id.name+infix)
	return ok && isRandom(suffix)
}

// leaveBareAccount leaves out a ServiceAccount that the cluster makes by
// itself, unless somebody put something into it.
func (e *edit) leaveBareAccount(why string) {
	for _, key := range sortedKeys(e.content) {
		switch key {
		case "apiVersion", "kind", "metadata":
			continue
		}
		e.exists = true
	}
	for key := range mapAt(e.content, "metadata", "annotations") {
		e.exists = e.exists || key != lastApplied
	}
	if len(mapAt(e.content, "metadata", "labels")) > 0 {
		e.exists = true
	}
	if !e.exists {
		e.leave("%s", why)
		return
	}
	e.note("%s; this one was changed by a user and is to be applied", why)
}

// isGeneratedToken tells a token Secret that the controller made for an
// account (<account>-token-xxxxx, until 1.24) from one that a user made.
func (e *edit) isGeneratedToken() bool {
	account := stringAt(e.stored, "metadata", "annotations", "kubernetes.io/service-account.name")
	suffix, ok := strings.CutPrefix(e.id.name, account+"-token-")
	return ok && isRandom(suffix) && !e.touched()
}

func cleanToken(e *edit) {
	if stringAt(e.stored, "type") != tokenSecret {
		return
	}
	account := stringAt(e.stored, "metadata", "annotations", "kubernetes.io/service-account.name")
	id := identity{kindServiceAccount, e.id.namespace, account}
	uid := stringAt(e.stored, "metadata", "annotations", "kubernetes.io/service-account.uid")
	if now := cmp.Or(e.byID[id], e.beside[id]); uid != "" && now != nil && now.uid != "" && now.uid != uid {
		e.note("its uid is that of an older ServiceAccount %q: it is cut, and the Secret gets a token of the one that has the name now", account)
	}
	e.drop("metadata", "annotations", "kubernetes.io/service-account.uid")
	for _, key := range []string{"kubernetes.io/legacy-token-last-used", "kubernetes.io/legacy-token-invalid-since"} {
		e.drop("metadata", "labels", key)
	}
	for _, key := range []string{"token", "ca.crt", "namespace"} {
		e.drop("data", key)
	}
	if account != "default" && e.find(kindServiceAccount, e.id.namespace, account) == nil {
		e.note("its ServiceAccount %q is not among the objects; without it the Secret is deleted at once", account)
	}
}

// controllerAccounts are the accounts in kube-system under which the controllers of
// kube-controller-manager work, of Kubernetes 1.24 to 1.37.
func controllerAccounts() []string {
	return strings.Fields(`
		attachdetach-controller bootstrap-signer certificate-controller clusterrole-aggregation-controller
		cronjob-controller daemon-set-controller deployment-controller device-taint-eviction-controller
		disruption-controller endpoint-controller endpointslice-controller endpointslicemirroring-controller
		ephemeral-volume-controller expand-controller generic-garbage-collector horizontal-pod-autoscaler
		job-controller kube-apiserver-serving-clustertrustbundle-publisher legacy-service-account-token-cleaner
		namespace-controller node-controller persistent-volume-binder pod-garbage-collector
		podcertificaterequestcleaner podgroup-protection-controller pv-protection-controller
		pvc-protection-controller replicaset-controller replication-controller resource-claim-controller
		resourcepoolstatusrequest-controller resourcequota-controller root-ca-cert-publisher route-controller
		selinux-warning-controller service-account-controller service-cidrs-controller service-controller
		statefulset-controller storage-version-garbage-collector storage-version-migrator-controller
		token-cleaner ttl-after-finished-controller ttl-controller validatingadmissionpolicy-status-controller
		volumeattributesclass-protection-controller`)
}
