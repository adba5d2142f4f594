package host

import (
	"fmt"
	"strings"
)

// DefragScript defragments every member of a running cluster, the leader last.
// Who leads is in no backup: the script asks. It makes a backup first, waits
// between members, and gives a member twice the time when it ran out of it.
func (c *Cluster) DefragScript() string {
	var b strings.Builder
	fmt.Fprintf(&b, `#!/bin/sh
# Defragments etcd member by member, the leader last. Each member stands still
# while it works. Run it where kubectl works.
set -eu
etcdctl='%s'
ctl() { pod=$1; shift; kubectl -n kube-system exec "etcd-$pod" -- $etcdctl "$@"; }

# The members of the backup: the cluster may have others by now.
members='%s'

first=${members%%%% *}
ctl "$first" snapshot save /var/lib/etcd/before-defrag.snapshot
echo "a snapshot stands in /var/lib/etcd/before-defrag.snapshot on $first: remove it when all is well"

leader=
for m in $members; do
    # The columns of the plain output differ between versions; ids are compared as text.
    if ctl "$m" endpoint status -w json | tr ',{}' '\n\n\n' |
        awk -F: '$1 == "\"member_id\"" {id = $2} $1 == "\"leader\"" {leads = $2} END {exit id != "" && id "" == leads "" ? 0 : 1}'; then leader=$m; fi
done
[ -n "$leader" ] || { echo 'no member says that it leads: stop here' >&2; exit 1; }
echo "the leader is $leader"

defrag() {
    t=30
    until ctl "$1" defrag --command-timeout=${t}s; do
        t=$((t * 2))
        [ $t -le 960 ] || { echo "$1: no end after 8 minutes" >&2; exit 1; }
        echo "$1: once more, with ${t}s"
    done
    ctl "$1" endpoint health
}
for m in $members; do
    [ "$m" = "$leader" ] && continue
    defrag "$m"
    sleep 60
done
defrag "$leader"
`, c.Etcdctl, strings.Join(c.names(), " "))
	return b.String()
}

func (c *Cluster) names() []string {
	var names []string
	for _, m := range c.Masters {
		names = append(names, quote(m.Name))
	}
	return names
}
