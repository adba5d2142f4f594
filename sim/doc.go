// Package sim holds what a drill is, apart from any engine that runs it.
//
//   - scenario.go, action.go, expectation.go: a drill as it stands in its YAML
//     file. Load decodes it strictly and names file, line and the nearest known
//     word for every mistake; Check refuses what no engine can be asked for.
//   - engine.go: Engine and Cluster, what sim/quorum (raft in virtual time) and
//     sim/members (real etcd members) do for a drill.
//   - nodes.go: the third kind of drill, which loses nodes of a backup, and what
//     sim/nodes does for it.
//   - report.go and the report_*.go files: what a run found, as text, JSON,
//     JUnit XML, Markdown and one self-contained HTML page.
//
// A verdict is only ever given on what was measured: an expectation that no
// engine can measure is an error when the file is loaded, not a pass.
package sim
