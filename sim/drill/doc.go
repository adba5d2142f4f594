// Package drill runs a sim.Scenario on an engine and judges it.
//
// One is a drill on one engine with one seed; Run is a whole drill with all its
// seeds, spread over worker processes where the engine is the virtual one: raft
// draws from the process-wide crypto/rand.Reader, which a worker replaces by a
// seeded stream. Main makes a process such a worker and has to be called first
// thing in main, and in TestMain of packages whose tests call Run.
//
// Shrink takes out of a drill that deviates what it can do without, for as long
// as it still deviates the same way; Random makes up drills to search with.
package drill
