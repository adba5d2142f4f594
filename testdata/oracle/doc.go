// Package oracle holds the manifests of lifeboat extract against the programs
// that judge them: kube-apiserver, kube-controller-manager, kubectl and etcd,
// built from their own source. It has tests only; README.md tells what they
// prove and how to run them.
package oracle
