package drill

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/sim/quorum"
)

// workerEnv makes a process a worker; it is set for nothing else.
const workerEnv = "LIFEBOAT_DRILL_WORKER"

// Main runs this process as a worker if it was started as one, and does not
// return then.
func Main() {
	if os.Getenv(workerEnv) == "" {
		return
	}
	// A terminal sends these to the whole group: the parent decides. Its end
	// closes our standard input.
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT)
	if err := work(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// job is one run that a worker is asked for, a line of JSON.
type job struct {
	Name string `json:"name"`
	Data []byte `json:"data"` // the drill's file
	Seed uint64 `json:"seed"`
}

// answer is what comes back, a line of JSON.
type answer struct {
	Run   sim.Run `json:"run"`
	Error string  `json:"error,omitempty"`
}

func work(in io.Reader, out io.Writer) error {
	jobs, answers := json.NewDecoder(in), json.NewEncoder(out)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for {
		var j job
		if err := jobs.Decode(&j); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading a job: %w", err)
		}
		var a answer
		s, err := sim.Load(j.Name, j.Data)
		if err == nil {
			a.Run, err = One(ctx, quorum.Engine{OwnProcess: true}, s, j.Seed)
		}
		if err != nil {
			a.Error = err.Error()
		}
		if err := answers.Encode(a); err != nil {
			return fmt.Errorf("answering a job: %w", err)
		}
	}
}

// worker is the parent's end of one.
type worker struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	jobs *json.Encoder
	out  *json.Decoder
}

func startWorker(ctx context.Context) (*worker, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding the program to run as a worker: %w", err)
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), workerEnv+"=1")
	cmd.Stderr = os.Stderr // a worker that dies says why, and nothing else
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting a worker: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting a worker: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting a worker: %w", err)
	}
	return &worker{cmd: cmd, in: in, jobs: json.NewEncoder(in), out: json.NewDecoder(bufio.NewReader(out))}, nil
}

func (w *worker) do(j job) (sim.Run, error) {
	if err := w.jobs.Encode(j); err != nil {
		return sim.Run{}, fmt.Errorf("asking a worker: %w", err)
	}
	var a answer
	if err := w.out.Decode(&a); err != nil {
		return sim.Run{}, fmt.Errorf("waiting for a worker with seed %d: %w", j.Seed, err)
	}
	if a.Error != "" {
		return sim.Run{}, fmt.Errorf("running seed %d: %s", j.Seed, a.Error)
	}
	return a.Run, nil
}

// close ends the worker and waits for it.
func (w *worker) close() {
	_ = w.in.Close() // it ends at the end of its input
	_ = w.cmd.Wait() // its status says nothing that its answers did not
}
