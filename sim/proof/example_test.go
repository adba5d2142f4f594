package proof_test

import (
	"fmt"

	"github.com/lifeboat-dr/lifeboat/sim/proof"
)

// What the last lines of a server's log mean.
func ExampleDiagnose() {
	log := `I1128 20:00:00.000000       1 options.go:249] external host was not specified, using 192.168.199.80
E1128 20:00:00.100000       1 run.go:72] "command failed" err="open /etc/kubernetes/extra/authn.yaml: no such file or directory"
`
	fmt.Println(proof.Diagnose([]byte(log)).Meaning)
	// Output: /etc/kubernetes/extra/authn.yaml is not in the backup, or is elsewhere on the archived host
}
