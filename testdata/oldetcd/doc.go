// Package oldetcd holds lifeboat against real servers of older etcds. A server
// runs, is written to and killed with SIGKILL; lifeboat reads what it left,
// saves, restores and rebuilds it; the same server starts on the results. What
// is right is said by that server each time: when it runs again on a copy of
// what it left, with its members, or with --force-new-cluster.
//
//	oldetcd.Run(t, oldetcd.Self(t))
//
// The modules etcd35 and etcd36 do this with the etcd that they compile in;
// here it is the host's, which is 3.4 where it is Debian 12's. They are modules
// of their own because a module has one version of etcd. Run them with `make
// interop`; LIFEBOAT names another binary than this checkout's. With LIFEBOAT_SOAK
// clusters whose members come and go are killed again and again, see rounds.
package oldetcd

import "testing"

// Run runs all scenarios on servers of one version.
func Run(t *testing.T, server Server) {
	b := newBench(t, server)
	t.Run("single", b.single)
	t.Run("log", b.log)
	t.Run("three", b.three)
	t.Run("short", b.short)
	t.Run("learner", b.learner)
	t.Run("rounds", b.rounds)
}
