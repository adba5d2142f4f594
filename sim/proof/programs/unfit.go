package programs

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
)

// Unfit says why a file cannot be run in a sandbox that has nothing but it, and
// the host's libraries: nil where there is no such reason.
func Unfit(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return errors.Join(errors.New("it is no file"), err)
	}
	head := make([]byte, 2)
	if _, err := io.ReadFull(f, head); err != nil {
		return errors.New("it is empty")
	}
	if bytes.Equal(head, []byte("#!")) {
		return errors.New("it is a script, and its interpreter is not in the sandbox: give the program that it starts")
	}
	program, err := elf.NewFile(f)
	if err != nil {
		return errors.New("it is no program of Linux")
	}
	defer program.Close()
	for _, p := range program.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		loader, err := io.ReadAll(p.Open())
		name := string(bytes.TrimRight(loader, "\x00"))
		if _, missing := os.Stat(name); err == nil && missing != nil {
			return fmt.Errorf("it needs %q, which this host does not have", name)
		}
	}
	for name, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "s390x": elf.EM_S390, "ppc64le": elf.EM_PPC64} {
		if name == runtime.GOARCH && program.Machine != machine {
			return fmt.Errorf("it is a program for %s, and this host is %s", program.Machine, name)
		}
	}
	return nil
}
