package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// Machine is which host a root folder is of, as far as it says so.
type Machine struct {
	Name string `json:"name"` // /etc/hostname; of the running system the kernel's
	ID   string `json:"id"`   // /etc/machine-id
}

// ErrOtherHost says that a journal is of another host.
var ErrOtherHost = errors.New("the journal is of another host")

func (r *Root) machine() (Machine, error) {
	var m Machine
	for name, to := range map[string]*string{"/etc/hostname": &m.Name, "/etc/machine-id": &m.ID} {
		real, err := r.Resolve(name, true)
		if err != nil {
			return m, err
		}
		data, err := r.readFile(real, 1024)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
			return m, err
		}
		*to = strings.TrimSpace(string(data))
	}
	if m.Name == "" && r.dir == "/" {
		m.Name, _ = os.Hostname() // without it the machine's id tells
	}
	return m, nil
}

// check refuses to go on with what was begun on another host.
func (m Machine) check(now Machine) error {
	if m != now {
		return fmt.Errorf("%w: it was begun on %q (machine id %q), this is %q (%q)", ErrOtherHost, m.Name, m.ID, now.Name, now.ID)
	}
	return nil
}
