package lifeboat_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
)

// Where the flags are not in the manifest, nothing is said of those that are missing.
func TestVerifyFlagsInAScript(t *testing.T) {
	t.Parallel()
	script := replaced(apiServerManifest, []byte("kind: Pod\nmetadata: {name: kube-apiserver}\n"+
		"spec: {containers: [{name: kube-apiserver, command: [/bin/sh, -c, 'exec kube-apiserver --etcd-servers=https://127.0.0.1:2379 --encryption-provider-config=/etc/kubernetes/encryption.yaml']}]}\n"))
	require.Equal(t, lifeboat.StateNotChecked, states(t, repack(t, script), lifeboat.Options{})["encryption flag"])
}

// An archive of /etc/kubernetes alone says which file is wanted.
func TestArchiveWithoutSnapshotHints(t *testing.T) {
	t.Parallel()
	_, err := lifeboat.Open(t.Context(), repack(t, without("./etcd-backup.snapshot")), lifeboat.Options{})
	var hint *lifeboat.Error
	require.ErrorAs(t, err, &hint)
	require.Contains(t, hint.Hint, "etcdctl snapshot save")
}

// A key that opens every value here does so for kube-apiserver only under its own
// name, and at the resource.
func TestVerifyEncryptionOfServer(t *testing.T) {
	t.Parallel()
	const (
		config = "./kubernetes/encryption.yaml"
		key    = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
		stanza = "- resources: [configmaps]\n"
		kms    = "- resources: [configmaps]\n  providers:\n  - kms: {apiVersion: v2, name: vault, endpoint: 'unix:///run/kms.sock'}\n  - identity: {}\n"
	)
	for name, tc := range map[string]struct {
		edit func(string, []byte) []byte
		want lifeboat.State
	}{
		"as it was":                     {keepAll, lifeboat.StateGood},
		"a key under another name":      {in(config, "name: key1", "name: key2"), lifeboat.StateMismatch},
		"a key of another provider":     {in(config, "secretbox:", "aesgcm:"), lifeboat.StateMismatch},
		"a key at another resource":     {in(config, "[secrets]", "[configmaps]"), lifeboat.StateMismatch},
		"no identity for plain values":  {in(config, stanza, "- resources: [deployments.apps]\n  providers: [{secretbox: {keys: [{name: key1, secret: "+key+"}]}}]\n"+stanza), lifeboat.StateMismatch},
		"no identity behind a wildcard": {in(config, stanza, "- resources: ['*.apps']\n  providers: [{secretbox: {keys: [{name: key1, secret: "+key+"}]}}]\n"+stanza), lifeboat.StateMismatch},
		"a wildcard before a resource":  {in(config, "- resources: [secrets]", "- resources: ['*.*']\n  providers: [{identity: {}}]\n- resources: [secrets]"), lifeboat.StateMismatch},
		"a wildcard behind all":         {in(config, stanza, stanza+"  providers: [{identity: {}}]\n- resources: ['*.*']\n"), lifeboat.StateGood},
		"a KMS that is new":             {in(config, stanza, kms+"- resources: [pods]\n"), lifeboat.StateGood},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, states(t, repack(t, tc.edit), lifeboat.Options{})["encryption config"])
		})
	}
}
