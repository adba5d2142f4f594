package registry

// Helpers for the tests of package registry_test, which may import what
// imports this package.
var (
	Harbour      = harbour
	HarbourTruth = harbourTruth
	TruthID      = truthID
	APITestdata  = corpusDir
	OpenArchive  = openArchive
)
