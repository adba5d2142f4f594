package datadir_test

import (
	"fmt"
	"log"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// Who the members of a new cluster are, and why.
func ExamplePlanCluster() {
	known := datadir.Known{
		Members: []snapshot.Member{
			{ID: 1, Name: "master-0", PeerURLs: []string{"https://10.0.0.1:2380"}},
			{ID: 2, Name: "master-1", PeerURLs: []string{"https://10.0.0.2:2380"}},
		},
		DataDir: true, Own: 2, Revision: 1485, Newest: 1486,
	}
	plan, err := datadir.PlanCluster(known, datadir.Wanted{Bump: datadir.BumpAuto})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(plan.InitialCluster())
	for _, reason := range plan.Reasons {
		fmt.Println("-", reason)
	}
	// Output:
	// master-1=https://10.0.0.2:2380
	// - the revision grows from 1485 to 1000001486: the newest one known, 1486, and a margin of 1000000000 for what was written since
	// - the name master-1 is that of the data dir's member
	// - the peer URLs https://10.0.0.2:2380 are those that the database has of it
	// - the new cluster has one member, master-1 (https://10.0.0.2:2380); --initial-cluster or --members all makes more
}
