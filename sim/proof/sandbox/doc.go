// Package sandbox runs programs that must not touch the host: servers of a
// cluster that is being tried out, on that cluster's own addresses and paths.
//
//	s, err := sandbox.Start(ctx, sandbox.Spec{Dir: dir, Addresses: addresses, Roots: roots})
//	if err != nil { … }
//	defer s.Close()
//	p, err := s.Run(sandbox.Program{Name: "etcd", Root: "etcd", Path: "/usr/bin/etcd", Args: args})
//	conn, err := s.Dial(ctx, "192.168.199.80:2379")
//
// On Linux that is a user, network, mount and process namespace: the network has
// nothing but a loopback device, on which the wanted addresses stand; the file
// system is Dir and what is bound into it; and the processes are those of the
// sandbox. The first of them is this very program, which starts the others,
// and whose end is the end of all of them and of every mount and address: when
// Close is called, when the caller's process is killed, or when its context
// ends. Nothing of it is visible on the host, and no capability of the host is
// needed where unprivileged users may make namespaces.
//
// Where the kernel forbids namespaces, Start returns a [ForbiddenError] that
// says why. A caller that can do with less asks for [Loopback]: no namespaces,
// and the same guarantee about the end of the processes but for the last of
// them, which the kernel ends a moment later.
//
// The first process is this program's own binary: call Main first thing in main,
// and in TestMain of every package whose tests call Start.
package sandbox

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Way is how programs are kept apart from the host.
type Way string

// The ways, the strongest first.
const (
	Namespaces     Way = "user, network, mount and process namespaces"
	RootNamespaces Way = "network, mount and process namespaces, as root" // without a user namespace
	Loopback       Way = "processes on the host's loopback"               // no namespaces
)

// Spec says what the sandbox is.
type Spec struct {
	// Dir is the folder that becomes the root of the file system: absolute, and
	// the caller's own. Logs stand in it, in logs/.
	Dir string

	// Addresses stand on the loopback device, beside 127.0.0.1 and ::1. Not with
	// Loopback.
	Addresses []netip.Addr

	// Roots are the folders in which programs see themselves at /. With Loopback
	// they are not looked at.
	Roots []Root

	// Ways are tried in their order; nil is Namespaces, and RootNamespaces where
	// the caller is root.
	Ways []Way
}

// Root is what a program sees as its file system: the folder roots/NAME in Dir,
// with what is bound into it. /proc, a few devices and this program's own binary
// (SelfPath) are there without being asked for.
type Root struct {
	Name   string
	Mounts []Mount
}

// Mount binds a file or folder of the host into a Root.
type Mount struct {
	From     string // on the host, absolute; what is not there is passed over
	To       string // in the Root, absolute
	ReadOnly bool
}

// StateLost is the Process.State of a program whose sandbox has ended, and it with
// that.
const StateLost = "ended with the sandbox"

// SelfPath is this program's own binary in every Root.
const SelfPath = "/lifeboat"

// Program is one to run.
type Program struct {
	Name string   // unique; its log is logs/NAME.log in Dir
	Root string   // of Spec.Roots; not with Loopback
	Path string   // in the Root, or on the host with Loopback
	Args []string // without the program's name
	Env  []string
}

// ForbiddenError says that this host does not allow any of the ways.
type ForbiddenError struct {
	Reasons []string // one for each way that was tried
}

func (e *ForbiddenError) Error() string {
	return "this host does not allow a sandbox: " + strings.Join(e.Reasons, "; ")
}

// ErrUnsupported is that of systems without namespaces.
var ErrUnsupported = errors.New("sandboxes need Linux")

// stepError is a step of the set-up that failed, and the kernel's number for it.
type stepError struct {
	step  string
	errno int
	text  string
}

func (e *stepError) Error() string { return fmt.Sprintf("%s: %s", e.step, e.text) }
