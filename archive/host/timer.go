package host

import "fmt"

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

// inside is the data dir as etcd's container sees it.
func (s *State) inside() string {
	if s.Member.DataDir != "" {
		return s.Member.DataDir
	}
	return defaultDataDir
}
