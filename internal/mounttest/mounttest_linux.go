package mounttest

import "syscall"

// Tmpfs mounts a file system in memory on dir, with the options of tmpfs(5), until
// the test ends; then nobody may hold anything in it. That takes root: anybody
// else's test is left out.
func Tmpfs(t T, dir string, flags uintptr, options string) {
	t.Helper()
	if err := syscall.Mount(Source, dir, "tmpfs", flags, options); err != nil {
		t.Skip("mounting a file system takes root:", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmounting %s: %v", dir, err)
		}
	})
}
