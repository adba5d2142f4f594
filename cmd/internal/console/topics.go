package console

// Topic is a page of `lifeboat help TOPIC`.
type Topic struct{ Name, about, Text string }

// Topics are the pages that help has beside the commands.
func Topics() []Topic {
	return []Topic{
		{"sources", "what SRC may be", sourcesText},
		{"places", "folders and buckets full of archives", placesText},
		{"keys", "encrypted archives, and Secrets encrypted at rest", keysText},
		{"next-steps", "from a backup to objects that run again", nextStepsText},
		{"time", "what was, when it was, and how to get it back", timeText},
		{"exit-codes", "what the exit code tells a script", "The exit code of every command:\n\n" + ExitCodeText() + exitCodesNote},
		{"environment", "environment variables, terminals, progress", environmentText},
	}
}

func topicNamed(name string) (Topic, bool) {
	for _, t := range Topics() {
		if t.Name == name {
			return t, true
		}
	}
	return Topic{}, false
}

const sourcesText = `SRC is the first argument of every command that reads. It may be:

  a kube-backup archive     .tar.gz, .tar.zst or .tar; an etcd snapshot, with
                            or without the folder kubernetes/ beside it
  the same, encrypted       by age, binary or armored
  an etcd snapshot          what etcdctl snapshot save writes
  a database file           member/snap/db
  a member's data dir       its database, and what its write-ahead log holds
                            beyond it
  -                         any of the files above, on standard input
  s3://BUCKET/NAME          any of them in a bucket: lifeboat help places

What it is, is told by its bytes, never by its name. It is opened for reading
only and is the same, byte for byte, after every command.

A snapshot carries a sha256 sum, so it can be proven whole. A bare database
file carries none: its structure is checked, its contents cannot be.

A database that a running etcd holds is refused (exit 6). Take a snapshot:

  ETCDCTL_API=3 etcdctl snapshot save /root/etcd.snapshot
`

const placesText = `PLACE is where archives are kept: a folder, or s3://BUCKET/PREFIX in any store
that speaks S3. The archives in it stay files that age and tar open.

  archive push, pull     send and fetch, going on where it was cut off
  archive catalog        of which cluster, revision and time each one is
  archive verify         all of them, or a part whose turn it is
  archive prune          what may go, and why the rest stays
  archive rekey          all of them for other recipients, into another PLACE

A folder of files is a PLACE, one with member/ or snap/ and wal/ a data dir.

Nothing is sent before a command names a bucket. Where the store is and who
asks stands where every client of S3 looks, and is never a flag's value:

  AWS_ENDPOINT_URL       https://HOST:PORT; Amazon's without it
  AWS_REGION, AWS_CA_BUNDLE
  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
  AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN
  AWS_PROFILE in ~/.aws/credentials and ~/.aws/config, or in the files that
                         AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE name

A file with a secret that others can read is refused (chmod 600). Certificates
are checked, and there is no way to leave that out.

What runs find out is kept in PLACE/.lifeboat, which may always be removed.
`

const keysText = `Two locks can stand before the objects.

The archive is encrypted (age). Give the private key, or the passphrase:

  lifeboat inspect kube-backup.tar.gz.age -i /root/key.txt
  lifeboat inspect kube-backup.tar.gz.age --passphrase-file /root/pass

On a terminal a missing passphrase is asked for. It is never a flag's value:
those stand in the process list and in the shell's history.

Encryption does not say who made an archive. A signature does (minisign's
format); with --pubkey an archive without a good one is refused unread:

  lifeboat inspect kube-backup.tar.gz.age -i /root/key.txt --pubkey backup.pub

Secrets are encrypted at rest (EncryptionConfiguration). The keys are found in
the archive when it holds kubernetes/ and the file that the kube-apiserver
manifest names. Otherwise:

  lifeboat extract etcd.snapshot -n infra-production --to restored/ \
    --encryption-config /etc/kubernetes/encryption.yaml

What stays locked is counted and named. The rest is given all the same, with
exit code 3; exit code 4 means that no key fits and nothing could be read.
KMS values name the provider and the key that lock them; they need that KMS.
`

const nextStepsText = `1. What is there, and is it whole?

  lifeboat inspect kube-backup.tar.gz

2. Look before you take:

  lifeboat get kube-backup.tar.gz all -n infra-production
  lifeboat get kube-backup.tar.gz secrets -A -o wide

3. Take a namespace. The report lists all that was left out or changed:

  lifeboat extract kube-backup.tar.gz -n infra-production --to restored/ \
    --report report.json

4. Read restored/, then create it. The folders stand in the order of creation:

  kubectl create -R -f restored/

   Where custom resources are among the objects, their definitions have to be
   established first. extract prints the commands; type those.

   Only one namespace has to go back in time? extract --at takes it as it was,
   diff shows what that changes: lifeboat help time.

5. restored/ holds the Secrets in plain text. Delete it when you are done.
`

const timeText = `A backup holds the last minutes of changes, not only the newest state.

When was that? Leases and creation times are its clock. Every time is shown
with how far it may be off. inspect shows how far back a backup goes.

  --at 20:50                     in the host's zone, its last occurrence
  --at '2026-11-21 20:50'
  --at 2026-11-21T20:50:00Z
  --at '10m ago'                 before the newest revision of the backup
  --rev 8123                     an etcd revision

Who changed it, and what was it before?

  lifeboat history kube-backup.tar.gz deploy/web -n infra
  lifeboat history kube-backup.tar.gz -n infra --since 20:30 -o diff
  lifeboat diff kube-backup.tar.gz --at '20:40..20:50' -n infra

It is gone. Get it back:

  lifeboat extract kube-backup.tar.gz -n infra --deleted --to restored/
  lifeboat extract kube-backup.tar.gz cm/settings -n infra --at 20:50 --to x/

The whole cluster as it was; the plan says what that loses:

  lifeboat etcd restore kube-backup.tar.gz --at 20:50 --to etcd/ --dry-run

Older backups of the same cluster reach further back; a data dir's log fills
the hole between the newest of them and its own database. etcd keeps five log
files; its flag --max-wals keeps more:

  lifeboat history /var/lib/etcd cm/settings -n infra --older nightly.tar.gz
`

const exitCodesNote = `
What a cleaning rule of extract leaves out or changes is 0, not 3: that is what
was asked for. The report (--report FILE) lists it.
With -o json an error is a line on standard error:
{"error":{"code":6,"message":"...","hint":"..."}}
`

const environmentText = `NO_COLOR=1             no colour; there is always a word beside a colour
TERM=dumb              no colour, and no line that is drawn over
SOURCE_DATE_EPOCH=N    archive create takes N for now: the same bytes again
XDG_STATE_HOME=DIR     archive verify keeps what it saw in DIR/lifeboat
HOME=DIR               without XDG_STATE_HOME, and not root: in
                       DIR/.local/state/lifeboat
TMPDIR=DIR             where get, inspect, verify and other readers spool a
                       database, and SRC under --pubkey, that memory has no
                       room for, instead of /tmp: in a file without a name
XDG_RUNTIME_DIR=DIR    serve puts its kubeconfig in a private folder in DIR,
                       else in TMPDIR

Nothing else is read from the environment: no keys, no passphrases, no default
flags. The Go runtime has its own (GOMEMLIMIT, GOMAXPROCS, GODEBUG). What you
see on the command line is what happens.

Standard output carries the result alone. Warnings, progress, hints and errors
go to standard error; with -o json each of them is one line of JSON.

Progress starts after half a second: one line on a terminal, a plain line every
five seconds elsewhere. --progress=json gives a line of JSON every second,
--progress=off nothing.

The first Ctrl-C stops, cleans up, and exits with 130. The second one kills.
`
