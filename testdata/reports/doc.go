// Package reports opens the pages that `lifeboat drill run` writes in a headless
// Chromium, as an auditor would, and reads its JUnit file with a library that
// knows nothing of lifeboat.
//
// It is a module of its own, so that none of that becomes a dependency of
// lifeboat. Run it with `make report-shot`, which installs the browser and
// writes the pictures in docs/.
package reports
