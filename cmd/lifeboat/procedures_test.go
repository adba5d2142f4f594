package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/internal/argv"
)

// procedures are those of the two documents, Recovery from failures (R) and the
// control-plane-manager FAQ (F), as docs/procedures.md calls them.
var procedures = []string{
	"R: backups in /etc/kubernetes/deckhouse/backup", "R: Restoring etcd cluster functionality", "R: Restoring in case of complete unavailability",
	"R: Restoring a master when kubelet fails", "R, F: Viewing etcd cluster members", "R: Recovering after panic",
	"R: Actions when the database exceeds quota-backend-bytes", "R: etcd defragmentation, single and multi-master",
	"R: High availability", "R: from two masters to one", "F: Add masters (static, cloud)", "Reduce the number of masters",
	"Switch to a different OS image (multi-master, single-master)", "F: Dismiss the master role while keeping the node",
	"F: What if something went wrong?", "F: What if the etcd cluster fails?", "F: Additional audit policies", "built-in rules",
	"audit log to stdout", "how to deal with the audit log", "F: audit, cautionary note", "F: Speed up the restart of Pods",
	"F: etcd backup", "F: Full recovery, single master", "F: Full recovery, multi-master", "F: Restore a Kubernetes object from a backup",
	"F: How the node to run the Pod on is selected",
}

var inlineCode = regexp.MustCompile("`([^`]+)`")

// The table has a row for every procedure of both documents, and every row a
// command that there is, with flags that it has.
func TestProceduresHaveTheirCommands(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/procedures.md")
	require.NoError(t, err)
	app := realApp()
	var verbs []string
	eachCommand(app, func(path []*cli.Command) { verbs = append(verbs, path[0].Name) })
	for _, p := range procedures {
		require.Contains(t, string(page), p)
	}
	rows := 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, " | ")
		if len(cells) != 3 || !strings.Contains(cells[0], ": ") {
			continue
		}
		rows++
		commands := 0
		for _, code := range inlineCode.FindAllStringSubmatch(cells[1], -1) {
			words := strings.Fields(code[1])
			if !slices.Contains(verbs, words[0]) {
				continue // a flag, or another program's words
			}
			_, err := argv.Permute(app, words)
			require.NoError(t, err, code[1])
			commands++
		}
		require.Positive(t, commands, "no command in: %s", cells[0])
	}
	require.Greater(t, rows, 18)
}
