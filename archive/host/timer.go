package host

import (
	"fmt"
	"path"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
)

// Timer is the documents' nightly backup for one host: a script, a systemd
// service and its timer, by file name.
func (s *State) Timer(recipient, folder string) map[string]string {
	script := fmt.Sprintf(`#!/bin/sh
# The nightly backup of this master. Exit codes are lifeboat's: 3 something is
# missing in it, 5 it is damaged, and any but 0 is one to alert on.
set -eu
umask 077
to=%[1]s/kube-backup-$(hostname)-$(date -u +%%Y%%m%%dT%%H%%M%%SZ).tar.gz.age
snapshot=%[3]s/lifeboat-backup.snapshot
etcd=$(crictl ps --name '^etcd$' -q | head -n1)
[ -n "$etcd" ] || { echo 'no etcd runs here' >&2; exit 1; }
mkdir -p %[1]s
trap 'rm -f "$snapshot"' EXIT
crictl exec "$etcd" %[2]s snapshot save %[4]s/lifeboat-backup.snapshot
lifeboat archive create --snapshot "$snapshot" --kubernetes /etc/kubernetes --recipient %[5]s --to "$to"
lifeboat archive verify "$to" --quick
`, quote(folder), s.etcdctl(), quote(s.DataDir.Named), quote(s.inside()), quote(recipient))
	return map[string]string{
		"lifeboat-backup.sh": script,
		"lifeboat-backup.service": `[Unit]
Description=Backup of etcd and /etc/kubernetes
After=kubelet.service

[Service]
Type=oneshot
ExecStart=/usr/local/sbin/lifeboat-backup.sh
Nice=10
IOSchedulingClass=idle
`,
		"lifeboat-backup.timer": `[Unit]
Description=Nightly backup of etcd and /etc/kubernetes

[Timer]
OnCalendar=*-*-* 02:00:00
RandomizedDelaySec=15min
Persistent=true

[Install]
WantedBy=timers.target
`,
	}
}

// TimerNext is what the operator does with the files in a folder.
func TimerNext(to string, cron bool) []string {
	in := func(name string) string { return quote(path.Join(to, "lifeboat-backup"+name)) }
	if cron {
		return []string{"kubectl apply -f " + in(".yaml")}
	}
	return []string{
		"install -m 0700 " + in(".sh") + " /usr/local/sbin/",
		"install -m 0644 " + in(".service") + " " + in(".timer") + " /etc/systemd/system/",
		"systemctl daemon-reload && systemctl enable --now lifeboat-backup.timer",
	}
}

// inside is the data dir as etcd's container sees it.
func (s *State) inside() string {
	if s.Member.DataDir != "" {
		return s.Member.DataDir
	}
	return defaultDataDir
}

// CronJob is the nightly backup as an object of the cluster: a Pod on one of the
// masters takes the snapshot with etcd's own image, and two more containers pack
// and verify it with the lifeboat of the host, which is one static file. distroless images
// have no shell, so there is none in it.
func (s *State) CronJob(recipient, folder, program string) (string, error) {
	image := s.etcdImage()
	if image == "" {
		return "", fmt.Errorf("the image of etcd: %w", ErrNoManifest)
	}
	mount := func(name, path string, readOnly bool) map[string]any {
		return map[string]any{"name": name, "mountPath": path, "readOnly": readOnly}
	}
	volume := func(name, path, kind string) map[string]any {
		return map[string]any{"name": name, "hostPath": map[string]any{"path": path, "type": kind}}
	}
	etcdctl := append(strings.Fields(s.etcdctl()), "snapshot", "save", "/snapshot/etcd-backup.snapshot")
	pod := func() []any {
		return []any{map[string]any{"name": "POD", "valueFrom": map[string]any{"fieldRef": map[string]any{"fieldPath": "metadata.name"}}}}
	}
	spec := map[string]any{
		"restartPolicy": "Never", "hostNetwork": true, "automountServiceAccountToken": false, "priorityClassName": "system-cluster-critical",
		"nodeSelector": map[string]any{"node-role.kubernetes.io/control-plane": ""},
		"tolerations":  []any{map[string]any{"operator": "Exists"}},
		"initContainers": []any{map[string]any{
			"name": "snapshot", "image": image, "command": etcdctl,
			"volumeMounts": []any{mount("snapshot", "/snapshot", false), mount("kubernetes", "/etc/kubernetes", true)},
		}, map[string]any{
			"name": "archive", "image": image, "env": pod(),
			"command": []any{"/lifeboat", "archive", "create", "--snapshot", "/snapshot/etcd-backup.snapshot", "--kubernetes", "/etc/kubernetes",
				"--recipient", recipient, "--to", "/backups/$(POD).tar.gz.age"},
			"volumeMounts": []any{mount("snapshot", "/snapshot", false), mount("kubernetes", "/etc/kubernetes", true), mount("backups", "/backups", false), mount("lifeboat", "/lifeboat", true)},
		}},
		"containers": []any{map[string]any{
			"name": "verify", "image": image, "env": pod(),
			"command":      []any{"/lifeboat", "archive", "verify", "/backups/$(POD).tar.gz.age", "--quick"},
			"volumeMounts": []any{mount("backups", "/backups", true), mount("lifeboat", "/lifeboat", true)},
		}},
		"volumes": []any{
			map[string]any{"name": "snapshot", "emptyDir": map[string]any{}},
			volume("kubernetes", "/etc/kubernetes", "Directory"), volume("backups", folder, "DirectoryOrCreate"), volume("lifeboat", program, "File"),
		},
	}
	text, err := yaml.Marshal(map[string]any{
		"apiVersion": "batch/v1", "kind": "CronJob",
		"metadata": map[string]any{"name": "lifeboat-backup", "namespace": "kube-system"},
		"spec": map[string]any{
			"schedule": "0 2 * * *", "concurrencyPolicy": "Forbid", "startingDeadlineSeconds": 3600,
			"jobTemplate": map[string]any{"spec": map[string]any{"backoffLimit": 1, "template": map[string]any{"spec": spec}}},
		},
	})
	return string(text), err
}

// etcdImage is the image that etcd's manifest runs, "" where it is not known.
func (s *State) etcdImage() string {
	view, err := manifestView(s.Etcd.Data)
	if err != nil {
		return ""
	}
	for _, i := range view.Images() {
		if i.Container == controlplane.Etcd {
			return i.Image
		}
	}
	return ""
}
