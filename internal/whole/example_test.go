package whole_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/lifeboat-dr/lifeboat/internal/whole"
)

// exampleDir is a folder to write to.
func exampleDir() (dir string, remove func()) {
	dir, err := os.MkdirTemp("", "whole")
	if err != nil {
		panic(err)
	}
	return dir, func() { _ = os.RemoveAll(dir) }
}

func ExampleNewFile() {
	dir, remove := exampleDir()
	defer remove()
	target := filepath.Join(dir, "report.json")

	file, err := whole.NewFile(target, whole.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = file.WriteString("{}\n")
	if err != nil {
		fmt.Println(errors.Join(err, file.Discard()))
		return
	}
	_, err = os.Stat(target)
	fmt.Println("before the commit:", errors.Is(err, fs.ErrNotExist))
	if err := file.Commit(); err != nil {
		fmt.Println(err)
		return
	}
	text, err := os.ReadFile(target)
	fmt.Print("after it: ", string(text))
	fmt.Println(err)
	// Output:
	// before the commit: true
	// after it: {}
	// <nil>
}

func ExampleNewDir() {
	dir, remove := exampleDir()
	defer remove()
	folder, err := whole.NewDir(filepath.Join(dir, "restored"), whole.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	root, err := folder.Root()
	if err == nil {
		err = root.WriteFile("pod.yaml", []byte("kind: Pod\n"), 0o600)
	}
	if err != nil {
		fmt.Println(errors.Join(err, folder.Discard()))
		return
	}
	fmt.Println(folder.Commit())
	entries, err := os.ReadDir(dir)
	fmt.Println(entries, err)
	// Output:
	// <nil>
	// [d restored/] <nil>
}

// What stands at the target is kept under a name that nobody has.
func ExampleOptions_moveAside() {
	dir, remove := exampleDir()
	defer remove()
	target := filepath.Join(dir, "kube-apiserver.yaml")
	opts := whole.Options{Existing: whole.MoveAside, Now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	for _, text := range []string{"one", "two", "three"} {
		if err := whole.WriteFile(target, []byte(text), opts); err != nil {
			fmt.Println(err)
		}
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		text, _ := os.ReadFile(filepath.Join(dir, e.Name()))
		fmt.Println(e.Name(), string(text))
	}
	fmt.Println(err)
	// Output:
	// kube-apiserver.yaml three
	// kube-apiserver.yaml.old-20260102T030405Z one
	// kube-apiserver.yaml.old-20260102T030405Z-2 two
	// <nil>
}
