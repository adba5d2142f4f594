// Package scheduler asks the real kube-scheduler where Pods go, without a
// cluster: k8s.io/kubernetes v1.37.1, its node cache, its framework and all of
// its in-tree plugins, over plain lists of objects.
//
//	objects ─► New ─► Simulator.Place   one Pod: filters, scores, winner, victims
//	              └► NodeOrder          the cache's own node tree
//	           Lose                     node and zone loss, placed again
//	           Spread                   the same over many node orders
//
// Nothing here decides where a Pod goes. What it adds is what a live cluster
// hides: the order of the nodes is stated instead of accidental ([Order]),
// filters run one node after the other, and what the plugins say is kept.
//
// Four sources of chance are switched off or pinned, because the same backup
// has to give the same answer: parallelism is 1 (the real 16 workers race for
// the slots of the feasible list), opportunistic batching is off (its hints
// live 500 ms of wall clock, pkg/scheduler/framework/runtime/batch.go),
// preemption is synchronous and starts at a stated node instead of a random
// one, and what comes out of a Go map is put into the order of the nodes.
//
// Pods and Nodes never pass the informers' event handlers: those would bring
// them in the order of goroutines. They are added to the cache one by one. All
// other kinds stand in a fake clientset before the informers start.
//
// The feature gates of Kubernetes belong to the process, so there is one
// version per process ([Options.Version]). Not modelled: extenders (named,
// never called), quotas and webhooks ([NotAsked] names them), and what a kubelet
// does with the Pod.
package scheduler
