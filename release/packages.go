package main

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm"
)

// installed is where a file of the archive stands on a host.
func installed(name string) string {
	switch dir, base := filepath.Split(name); {
	case name == "lifeboat":
		return "/usr/bin/lifeboat"
	case dir == "man/":
		section := strings.TrimSuffix(base, ".gz")
		return "/usr/share/man/man" + section[len(section)-1:] + "/" + base
	case name == "completion/bash":
		return "/usr/share/bash-completion/completions/lifeboat"
	case name == "completion/zsh":
		return "/usr/share/zsh/site-functions/_lifeboat"
	case name == "completion/fish":
		return "/usr/share/fish/vendor_completions.d/lifeboat.fish"
	}
	return "/usr/share/doc/lifeboat/" + name
}

// pack writes a deb or an rpm. The program is static and asks nothing of the
// host.
func (r *release) pack(format string, p platform, payloads []payload) (err error) {
	var contents files.Contents
	for _, f := range payloads {
		contents = append(contents, &files.Content{
			Source: f.path, Destination: installed(f.name),
			FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: f.mode, MTime: r.time},
		})
	}
	info := nfpm.WithDefaults(&nfpm.Info{
		Name: "lifeboat", Arch: p.arch, Platform: p.os, Version: r.packageVersion(), VersionSchema: "none",
		Section: "admin", Priority: "optional", License: "Apache-2.0", Vendor: "lifeboat",
		Maintainer:  "The Lifeboat authors <lifeboat@lifeboat-dr.example>",
		Homepage:    "https://github.com/lifeboat-dr/lifeboat",
		Description: "Offline disaster recovery for Kubernetes control planes\nReads etcd snapshots, kube-backup archives and data dirs of dead members,\nand gives back objects, data dirs and hosts that work.",
		MTime:       r.time,
		Overridables: nfpm.Overridables{
			Contents: contents,
			RPM:      nfpm.RPM{BuildHost: "localhost", Compression: "gzip"},
		},
	})
	packager, err := nfpm.Get(format)
	if err != nil {
		return err
	}
	path := filepath.Join(r.to, packager.ConventionalFileName(info))
	if err := nfpm.PrepareForPackager(info, format); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if err := packager.Package(info, out); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// packageVersion is the version as packages order it: a number first. Between
// tags it is the commit's time, so that a later build is a later version.
func (r *release) packageVersion() string {
	if v, ok := strings.CutPrefix(r.version, "v"); ok && v != "" && v[0] >= '0' && v[0] <= '9' {
		return strings.ReplaceAll(v, "-", "+")
	}
	return "0.0." + r.time.Format("20060102150405") + "+" + strings.ReplaceAll(r.version, "-", ".")
}

// materials writes NAME.cdx.json, a CycloneDX bill of the modules that Go's
// linker says are in the program.
func (r *release) materials(name, component, program string) (err error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return err
	}
	bom := cyclonedx.NewBOM()
	bom.Metadata = &cyclonedx.Metadata{
		Timestamp: r.time.Format("2006-01-02T15:04:05Z"),
		Component: &cyclonedx.Component{Type: cyclonedx.ComponentTypeApplication, Name: component, Version: r.version, BOMRef: component},
	}
	components := []cyclonedx.Component{{
		Type: cyclonedx.ComponentTypePlatform, Name: "go", Version: strings.TrimPrefix(info.GoVersion, "go"), BOMRef: "go",
	}}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		url := "pkg:golang/" + m.Path + "@" + m.Version
		components = append(components, cyclonedx.Component{
			Type: cyclonedx.ComponentTypeLibrary, Name: m.Path, Version: m.Version, BOMRef: url, PackageURL: url,
		})
	}
	bom.Components = &components
	out, err := os.Create(filepath.Join(r.to, name+".cdx.json"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	return cyclonedx.NewBOMEncoder(out, cyclonedx.BOMFileFormatJSON).SetPretty(true).Encode(bom)
}
