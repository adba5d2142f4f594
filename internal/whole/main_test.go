package whole

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"
)

// killedEnv makes the test binary one run that is killed before a system call.
const killedEnv = "LIFEBOAT_TEST_WHOLE_KILLED"

// soak is the factor of all loop counts.
var soak = 1

func TestMain(m *testing.M) {
	if spec := os.Getenv(killedEnv); spec != "" {
		var k killedRun
		if err := json.Unmarshal([]byte(spec), &k); err != nil {
			panic(err)
		}
		fmt.Println(k.live())
		os.Exit(0)
	}
	if n, err := strconv.Atoi(os.Getenv("LIFEBOAT_SOAK")); err == nil && n > 0 {
		soak = n
	}
	os.Exit(m.Run())
}

// killedRun is one run in a process of its own.
type killedRun struct {
	Scenario string
	Dir      string
	Existing Existing
	Text     string
	Kill     int // the system call before which it is killed, from 0 on
}

func (k killedRun) live() error {
	s, call := scenarioNamed(k.Scenario), 0
	return s.write(k.Dir, k.Text, Options{Existing: k.Existing, before: func(name string) error {
		if call++; call > k.Kill {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return s.refuse(name)
	}})
}
