//go:build !linux

package sandbox

import (
	"context"
	"net"
)

// Main runs this process as the first of a sandbox if it was started as one.
func Main() {}

// Sandbox is a running sandbox.
type Sandbox struct{}

// Process is a program that was started in it.
type Process struct{}

// Start is ErrUnsupported here.
func Start(context.Context, Spec) (*Sandbox, error) { return nil, ErrUnsupported }

// Way is how its programs are kept apart.
func (s *Sandbox) Way() Way { return "" }

// Notes are what the set-up could not do and did without.
func (s *Sandbox) Notes() []string { return nil }

// Run starts a program.
func (s *Sandbox) Run(Program) (*Process, error) { return nil, ErrUnsupported }

// Dial connects to an address of the sandbox.
func (s *Sandbox) Dial(context.Context, string) (net.Conn, error) { return nil, ErrUnsupported }

// Close ends it.
func (s *Sandbox) Close() error { return nil }

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return nil }

// State says how it ended.
func (p *Process) State() string { return "" }

// ExitCode is its exit code.
func (p *Process) ExitCode() int { return -1 }

// Log is the file with what it wrote.
func (p *Process) Log() string { return "" }

// Kill ends it.
func (p *Process) Kill() error { return ErrUnsupported }
