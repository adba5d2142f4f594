package console

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"
)

// linkedVersion is set by the Makefile's -ldflags; empty in other builds.
var linkedVersion string

// VersionInfo is what `lifeboat version -o json` prints.
type VersionInfo struct {
	Version  string            `json:"version"`
	Go       string            `json:"go"`
	Platform string            `json:"platform"`
	Modules  map[string]string `json:"modules"` // the libraries whose versions decide what can be read
}

// VersionCommand is `lifeboat version`.
func VersionCommand(env *Environment) *cli.Command {
	return &cli.Command{
		Name:      "version",
		Usage:     "version, platform, and the libraries that do the reading",
		UsageText: "lifeboat version\nlifeboat version -o json",
		Flags:     []cli.Flag{OutputFlag(env, FormatTable, FormatJSON, FormatYAML)},
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			info := ReadVersion()
			if env.Format != FormatTable {
				return env.PrintDocument(info)
			}
			t := NewTable(env.Stdout)
			t.Row("lifeboat", info.Version)
			t.Row("go", info.Go+" "+info.Platform)
			for _, path := range decidingModules() {
				if version, ok := info.Modules[path]; ok {
					t.Row(path, version)
				}
			}
			return t.Flush()
		},
	}
}

// decidingModules are worth naming in a bug report.
func decidingModules() []string {
	return []string{"go.etcd.io/etcd/server/v3", "go.etcd.io/bbolt", "k8s.io/kubernetes", "k8s.io/api", "filippo.io/age"}
}

// ReadVersion is what `lifeboat version` shows.
func ReadVersion() VersionInfo {
	info := VersionInfo{
		Version:  linkedVersion,
		Go:       runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Modules:  map[string]string{},
	}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return info
	}
	if info.Version == "" {
		info.Version = build.Main.Version
	}
	linked := map[string]string{}
	for _, module := range build.Deps {
		linked[module.Path] = module.Version
	}
	for _, path := range decidingModules() {
		if version, ok := linked[path]; ok {
			info.Modules[path] = version
		}
	}
	return info
}

// noArguments refuses words that the command would silently drop.
func noArguments(c *cli.Context) error {
	if c.Args().Present() {
		return Usagef("unexpected argument %q", c.Args().First())
	}
	return nil
}

// OneOf names the choices of an argument in an error.
func OneOf(what, got string, choices []string) error {
	return WithHint(Usagef("unknown %s %q", what, got), fmt.Sprintf("it is one of %q", choices))
}
