package scheduler_test

import (
	"context"
	"fmt"
	"log"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifeboat-dr/lifeboat/sim/scheduler"
)

func ExampleLose() {
	objects := scheduler.Objects{
		Nodes: nodes(3, 3),
		Pods:  []*corev1.Pod{pod("web", 500, on("n0000"), ownedBy("ReplicaSet")), pod("big", 5000, on("n0000"), ownedBy("ReplicaSet"))},
	}
	loss, err := scheduler.Lose(context.Background(), objects, scheduler.Options{}, "node n0000", []string{"n0000"})
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range loss.Pods {
		fmt.Println(p.Pod, p.Pending())
	}
	// Output:
	// default/big true
	// default/web false
}
