package host

import (
	"fmt"
	"os"
	"path/filepath"
)

// Source is a backup that a run reads. It stands outside of the host's tree.
type Source struct {
	Path string   `json:"path"`
	ID   identity `json:"id"`
	Size int64    `json:"size"`
	Time int64    `json:"time"` // ns since 1970
}

// ErrPipe says that a backup comes through a pipe.
var ErrPipe = fmt.Errorf("%w: the backup comes through a pipe, which a run that was cut off could not read again: put it into a file", ErrRefused)

// source binds the plan to the backup. A pipe cannot be read again by a run that
// is gone on with.
func (p *planner) source(name string) error {
	if name == "-" {
		return ErrPipe
	}
	s, err := lookAtSource(name)
	if err == nil {
		p.plan.Source = &s
	}
	return err
}

func lookAtSource(name string) (Source, error) {
	name, err := filepath.Abs(name)
	if err != nil {
		return Source{}, err
	}
	info, err := os.Stat(name)
	if err != nil {
		return Source{}, err
	}
	s := Source{Path: name, ID: identityOf(info), Size: info.Size(), Time: info.ModTime().UnixNano()}
	if info.IsDir() {
		s.Size, s.Time = 0, 0
	}
	return s, nil
}

// holds makes sure that the backup is the one of the plan.
func (s *Source) holds() error {
	if s == nil {
		return nil
	}
	now, err := lookAtSource(s.Path)
	if err != nil {
		return err
	}
	if now != *s {
		return fmt.Errorf("the backup %q was %w", s.Path, ErrChanged)
	}
	return nil
}
