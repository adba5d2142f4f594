package auditpolicy_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/registry/auditpolicy"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	head := "apiVersion: audit.k8s.io/v1\nkind: Policy\n"
	for name, tc := range map[string]struct {
		text  string
		rules int
		ok    bool
	}{
		"the documents' least":  {head + "rules:\n- level: Metadata\n  omitStages:\n  - RequestReceived\n", 1, true},
		"no rule":               {head + "rules: []\n", 0, false},
		"a level that is none":  {head + "rules:\n- level: Everything\n", 0, false},
		"a stage that is none":  {head + "rules:\n- level: Metadata\n  omitStages: [Begun]\n", 0, false},
		"an API that is gone":   {"apiVersion: audit.k8s.io/v1alpha1\nkind: Policy\nrules:\n- level: Metadata\n", 0, false},
		"another kind":          {"apiVersion: v1\nkind: Secret\n", 0, false},
		"no YAML":               {"rules: [\n", 0, false},
		"empty":                 {"", 0, false},
		"groups with a version": {head + "rules:\n- level: Metadata\n  resources:\n  - group: apps/v1\n", 0, false},
	} {
		v, err := auditpolicy.Check([]byte(tc.text))
		if !tc.ok {
			require.ErrorIs(t, err, auditpolicy.ErrRefused, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, tc.rules, v.Rules, name)
		require.Empty(t, v.Unknown, name)
	}
	v, err := auditpolicy.Check([]byte(head + "rules:\n- level: Metadata\n  omitStage: []\n"))
	require.NoError(t, err, "the server passes a field over that it does not know")
	require.Contains(t, v.Unknown, "omitStage")
}

func ExampleCheck() {
	_, err := auditpolicy.Check([]byte("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: []\n"))
	fmt.Println(err)
	// Output: kube-apiserver refuses the audit policy: loaded illegal policy with 0 rules
}
