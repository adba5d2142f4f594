//go:build linux

package sandbox_test

import (
	"context"
	"fmt"
	"os"

	"github.com/lifeboat-dr/lifeboat/sim/proof/sandbox"
)

// A program runs in a sandbox; its end is told, and what it wrote is kept.
// Loopback is the way that every host allows.
func Example() {
	dir, err := os.MkdirTemp("", "sandbox-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := sandbox.Start(context.Background(), sandbox.Spec{Dir: dir, Ways: []sandbox.Way{sandbox.Loopback}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	p, err := s.Run(sandbox.Program{Name: "greeter", Path: "/bin/sh", Args: []string{"-c", "echo hello; exit 3"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	<-p.Done()
	log, err := os.ReadFile(p.Log())
	fmt.Printf("%s%s %v\n", log, p.State(), err)
	// Output:
	// hello
	// exit status 3 <nil>
}
