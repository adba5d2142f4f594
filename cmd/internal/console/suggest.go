package console

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// elsewhere is what to type for a verb that etcdctl, etcdutl, kubectl, velero or
// restic have, in a hint; "" for a word of none of them. rest is what follows it.
func elsewhere(path []*cli.Command, word string, rest []string) string {
	next := ""
	if len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		next = rest[0]
	}
	if len(path) > 0 && path[0].Name != "etcd" {
		return ""
	}
	for _, key := range []string{word + " " + next, word} {
		if verb, ok := verbsOfOthers[key]; ok {
			return verb
		}
	}
	return ""
}

// verbsOfOthers are the verbs of other tools, alone or behind "etcd".
var verbsOfOthers = map[string]string{
	"snapshot":          "lifeboat etcd save, restore or status SRC: what etcdctl snapshot save, restore and status do, without a cluster",
	"snapshot save":     "lifeboat etcd save SRC --to FILE writes the snapshot of a data dir; of an etcd that runs, etcdctl snapshot save takes it",
	"snapshot restore":  "lifeboat etcd restore SRC --to DIR",
	"snapshot status":   "lifeboat etcd status SRC",
	"snapshot hashkv":   "lifeboat etcd hash SRC",
	"restore":           "a data dir: lifeboat etcd restore SRC --to DIR; objects: lifeboat extract SRC -n NAMESPACE --to DIR; a master: lifeboat host restore SRC",
	"backup":            "lifeboat archive create; of a data dir alone, lifeboat etcd save DIR --to FILE",
	"defrag":            "lifeboat etcd repair DIR --to NEW --defrag: offline; of etcds that run, lifeboat host defrag-order SRC prints the commands",
	"compact":           "lifeboat etcd repair SRC --to NEW --compact",
	"compaction":        "lifeboat etcd repair SRC --to NEW --compact",
	"force-new-cluster": "lifeboat etcd rebuild DIR --to NEW; on the master itself, lifeboat host force-new-cluster",
	"member":            "lifeboat etcd members SRC; to rebuild with other members, lifeboat etcd rebuild DIR --members",
	"alarm":             "lifeboat etcd alarms SRC; lifeboat etcd repair disarms",
	"endpoint":          "lifeboat etcd status SRC; lifeboat host plan looks at this master",
	"endpoint hashkv":   "lifeboat etcd hash SRC",
	"hashkv":            "lifeboat etcd hash SRC",
	"migrate":           "lifeboat etcd restore keeps the storage version; etcdutl migrate changes it",
	"version":           "lifeboat version",
	"describe":          "lifeboat kubectl SRC describe KIND NAME",
	"logs":              "no backup holds logs; lifeboat history SRC KIND NAME shows what happened to an object",
	"apply":             "lifeboat extract SRC -n NAMESPACE --to DIR, then kubectl create -R -f DIR",
	"create":            "lifeboat extract SRC -n NAMESPACE --to DIR, then kubectl create -R -f DIR; an archive: lifeboat archive create",
	"list":              "lifeboat get SRC KIND; what is in an archive: lifeboat archive list SRC",
	"ls":                "lifeboat get SRC KIND; what is in an archive: lifeboat archive list SRC",
	"decode":            "lifeboat get SRC KIND NAME -o yaml",
	"dump":              "lifeboat extract SRC -A --to DIR; raw keys: lifeboat etcd keys SRC",
	"snapshots":         "lifeboat archive catalog PLACE",
	"forget":            "lifeboat archive prune PLACE",
	"check":             "lifeboat archive verify SRC",
	"verify":            "lifeboat archive verify SRC",
}
