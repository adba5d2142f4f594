// Package host carries out an operator's procedures on a control-plane host
// that is down: on /etc/kubernetes and the data dir of etcd, below a root
// folder, which is "/" or a copy to rehearse on.
//
// A procedure is planned from what is found, printed or run, and undone:
//
//	root, err := host.OpenRoot("/")
//	state, err := host.Look(ctx, root)
//	plan, err := state.PlanEtcdOff(now)      // nothing is written
//	run, err := host.Begin(root, plan)       // refused when a fact has changed
//	err = run.Forward(ctx, works)            // killed? host.Unfinished finds it again
//	err = run.Back(ctx, works)               // undo
//
// A step moves, swaps or writes; it never deletes. What is replaced stands
// beside its old place under a name with the run's id, so that nothing crosses
// a file system and every step is one rename. The journal under
// /var/lib/lifeboat/journal has the plan and a record of every step, synced
// before the next one begins; each step tells from names and identities alone
// whether it was done, so one that a kill cut off is simply done again.
//
// Symbolic links are followed as on the host itself: an absolute one starts at
// the root folder, and none leads out of it.
package host
