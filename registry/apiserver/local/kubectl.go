package local

import (
	"os"
	"os/exec"
	"path/filepath"
)

// Kubectl is the kubectl to run: the one in PATH; where there is none,
// lifeboat-kubectl in PATH or beside this program.
func Kubectl() string {
	const name, ours = "kubectl", "lifeboat-kubectl"
	if _, err := exec.LookPath(name); err == nil {
		return name
	}
	if path, err := exec.LookPath(ours); err == nil {
		return path
	}
	if self, err := os.Executable(); err == nil {
		if path, err := exec.LookPath(filepath.Join(filepath.Dir(self), ours)); err == nil {
			return path
		}
	}
	return name
}
