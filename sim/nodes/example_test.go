package nodes_test

import (
	"context"
	"fmt"
	"log"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifeboat-dr/lifeboat/scenarios"
	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/sim/drill"
	"github.com/lifeboat-dr/lifeboat/sim/nodeloss"
	"github.com/lifeboat-dr/lifeboat/sim/nodes"
	"github.com/lifeboat-dr/lifeboat/sim/scheduler"
)

// A cluster without a Pod has nothing to lose, and that is no pass. (Package
// sim/backup reads the objects out of a backup.)
func ExampleCluster() {
	config, err := scheduler.DefaultConfig("")
	if err != nil {
		log.Fatal(err)
	}
	cluster := &nodes.Cluster{
		Objects: scheduler.Objects{Nodes: threeNodes()},
		Options: scheduler.Options{Config: config, Order: scheduler.Order{By: scheduler.ByName}},
		Tuning:  nodeloss.Default(37),
	}
	data, err := scenarios.Read("lose-a-node")
	if err != nil {
		log.Fatal(err)
	}
	scenario, err := sim.Load("lose-a-node.yaml", data)
	if err != nil {
		log.Fatal(err)
	}
	report, err := drill.Run(context.Background(), scenario, data, drill.Options{Nodes: cluster})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Verdict)
	fmt.Println(report.Reason)
	// Output:
	// aborted
	// step "any node": no Pod has a node: there is nothing to lose
}

func threeNodes() (all []*corev1.Node) {
	for _, name := range []string{"n1", "n2", "n3"} {
		all = append(all, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	return all
}
