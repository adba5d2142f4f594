package proof_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/sim/proof"
	"github.com/lifeboat-dr/lifeboat/sim/proof/sandbox"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

// proverEnv makes the test binary a program that proves a backup in a folder,
// and tells each step.
const proverEnv = "LIFEBOAT_TEST_PROVER"

// countEnv has the prover count packets, in a network in which nobody else is.
const countEnv = "LIFEBOAT_TEST_COUNT"

// TestMain makes the test binary the stand-in for a component when it is started
// under that name, as it is in the sandbox.
func TestMain(m *testing.M) {
	sandbox.Main()
	etcdproc.Main(datadir.Tasks()...)
	switch name := filepath.Base(os.Args[0]); name {
	case "kube-apiserver":
		standIn()
	case "kube-controller-manager", "kube-scheduler":
		standInController(name)
	}
	if long, err := time.ParseDuration(os.Getenv(proverEnv)); err == nil {
		if err := prover(os.Args[1], os.Args[2], os.Args[3], long); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// prover proves a backup, and tells each step, the verdict, and how many packets
// the network that it was started in has seen meanwhile.
func prover(source, dir, server string, long time.Duration) error {
	ctx := context.Background()
	b, err := lifeboat.Open(ctx, source, lifeboat.Options{})
	if err != nil {
		return err
	}
	defer b.Close()
	before, err := packets()
	if err != nil {
		return err
	}
	r, err := proof.Run(ctx, b, proof.Options{
		Dir: dir, APIServer: proof.Binary{Path: server}, Controllers: controllersFor(server, long), Progress: func(step string) { fmt.Println(step) },
	})
	if err != nil {
		return err
	}
	after, err := packets()
	fmt.Printf("%s\npackets: %d\n", r.Verdict, after-before)
	return err
}

// packets counts what went over the devices of this process' network where it is
// its own, as countEnv says; over a host's others speak, too.
func packets() (n int, err error) {
	table, err := os.ReadFile("/proc/self/net/dev")
	if err != nil || os.Getenv(countEnv) == "" {
		return 0, err
	}
	if err := linkUp(); err != nil {
		return 0, err
	}
	for _, device := range strings.Split(strings.TrimSpace(string(table)), "\n")[2:] {
		for _, word := range strings.Fields(device)[1:] {
			count, err := strconv.Atoi(word)
			if err != nil {
				return 0, err
			}
			n += count
		}
	}
	return n, nil
}

// linkUp brings the loopback device up, so that it has something to count.
func linkUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}

// controllersFor has the stand-ins for the controllers run; they are the same
// binary.
func controllersFor(server string, long time.Duration) *proof.Controllers {
	return &proof.Controllers{Manager: proof.Binary{Path: server, Found: "the stand-in"}, Scheduler: proof.Binary{Path: server, Found: "the stand-in"}, For: long}
}
