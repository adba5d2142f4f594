// Command release makes what is given away: for each platform an archive and
// one with kubectl, for Linux a deb and an rpm, and for all of it a bill of materials, checksums and
// their signature. `make release` runs it from the repository's root.
//
// The same commit gives the same bytes, wherever and whenever it is built: times
// are the commit's, names are sorted, owners are root. So anybody can build a
// release again and compare.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// platform is one that is released.
type platform struct{ os, arch string }

func platforms() []platform {
	return []platform{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "arm64"}}
}

// release is one run.
type release struct {
	root    string // the repository
	to      string // the new folder
	version string
	time    time.Time // of the commit
	files   []payload // that every platform's archive holds beside the program
}

// payload is a file of an archive or a package.
type payload struct {
	name string // below the archive's folder: "man/lifeboat.1.gz"
	path string // on this machine
	mode os.FileMode
}

// signer is what signs the checksums; nothing does without a key.
type signer struct{ keyFile, passphraseFile string }

func main() {
	to := flag.String("to", "dist", "the new folder")
	only := flag.String("only", "", "only this platform, as in linux/amd64")
	key := flag.String("sign", "", "sign the checksums with this minisign key, made by `lifeboat key generate --sign`")
	passphrase := flag.String("passphrase-file", "", "the file that holds the signing key's passphrase")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *to, *only, signer{*key, *passphrase}); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, to, only string, by signer) error {
	if _, err := os.Lstat(to); !errors.Is(err, os.ErrNotExist) {
		return errors.Join(err, fmt.Errorf("%s already exists", to))
	}
	// Under its name a release is whole or is not there.
	work, err := os.MkdirTemp(filepath.Dir(to), ".lifeboat-release")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	r := &release{root: ".", to: filepath.Join(work, "dist")}
	if err := os.Mkdir(r.to, 0o755); err != nil {
		return err
	}
	if err := r.identify(ctx); err != nil {
		return err
	}
	// The pages and the scripts come out of the program itself.
	host := filepath.Join(work, "lifeboat")
	if err := r.build(ctx, "build-to", platform{}, host); err != nil {
		return err
	}
	if err := r.gather(ctx, host, filepath.Join(work, "files")); err != nil {
		return err
	}
	for _, p := range platforms() {
		if only != "" && only != p.os+"/"+p.arch {
			continue
		}
		if err := r.make(ctx, p, work); err != nil {
			return fmt.Errorf("%s/%s: %w", p.os, p.arch, err)
		}
	}
	if err := r.sum(by); err != nil {
		return err
	}
	return os.Rename(r.to, to)
}

// identify takes version and time from the commit.
func (r *release) identify(ctx context.Context) error {
	version, err := output(ctx, "git", "describe", "--tags", "--always", "--dirty")
	if err != nil {
		return err
	}
	seconds, err := output(ctx, "git", "log", "-1", "--format=%ct")
	if err != nil {
		return err
	}
	at, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return fmt.Errorf("reading the commit's time: %w", err)
	}
	r.version, r.time = version, time.Unix(at, 0).UTC()
	return nil
}

// build compiles a program, named by its target in the Makefile; the zero platform
// is this machine.
func (r *release) build(ctx context.Context, target string, p platform, to string) error {
	to, err := filepath.Abs(to)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "make", target, "TO="+to)
	cmd.Dir = r.root
	cmd.Env = append(os.Environ(), "GOOS="+p.os, "GOARCH="+p.arch)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
}

// make makes all of one platform.
func (r *release) make(ctx context.Context, p platform, work string) error {
	program := filepath.Join(work, p.os+"-"+p.arch)
	if err := r.build(ctx, "build-to", p, program); err != nil {
		return err
	}
	if err := r.makeKubectl(ctx, p, program+"-kubectl"); err != nil {
		return fmt.Errorf("lifeboat-kubectl: %w", err)
	}
	name := fmt.Sprintf("lifeboat-%s-%s-%s", r.version, p.os, p.arch)
	files := append([]payload{{"lifeboat", program, 0o755}}, r.files...)
	if err := r.archive(name, files); err != nil {
		return fmt.Errorf("%s.tar.gz: %w", name, err)
	}
	if err := r.materials(name, "lifeboat", program); err != nil {
		return fmt.Errorf("%s.cdx.json: %w", name, err)
	}
	if p.os != "linux" {
		return nil
	}
	return errors.Join(r.pack("deb", p, files), r.pack("rpm", p, files))
}

// makeKubectl makes the archive of the kubectl for hosts that have none. It is
// one of its own: most hosts have one.
func (r *release) makeKubectl(ctx context.Context, p platform, program string) error {
	const component = "lifeboat-kubectl"
	if err := r.build(ctx, "build-kubectl-to", p, program); err != nil {
		return err
	}
	name := fmt.Sprintf("%s-%s-%s-%s", component, r.version, p.os, p.arch)
	files := []payload{{component, program, 0o755}, {"LICENSE", filepath.Join(r.root, "LICENSE"), 0o644}}
	return errors.Join(r.archive(name, files), r.materials(name, component, program))
}

func output(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}
