// Package auditpolicy judges an audit policy as kube-apiserver would at its
// start, with kube-apiserver's own loader.
package auditpolicy

import (
	"errors"
	"fmt"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/apiserver/pkg/audit/policy"
	"sigs.k8s.io/yaml"
)

// ErrRefused says that kube-apiserver would end over the policy.
var ErrRefused = errors.New("kube-apiserver refuses the audit policy")

// Verdict is what is known of a policy that loads.
type Verdict struct {
	Rules   int    `json:"rules"`
	Unknown string `json:"unknown,omitempty"` // fields that the server passes over with a warning, "" for none
}

// Check loads a policy. An error is ErrRefused and says what the server would
// say.
func Check(data []byte) (Verdict, error) {
	var v Verdict
	if err := yaml.UnmarshalStrict(data, &auditv1.Policy{}); err != nil {
		v.Unknown = err.Error()
	}
	p, err := policy.LoadPolicyFromBytes(data)
	if err != nil {
		return v, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	v.Rules = len(p.Rules)
	return v, nil
}
