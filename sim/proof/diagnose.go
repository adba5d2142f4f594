package proof

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
)

// Cause is why a server did not start, out of its log.
type Cause struct {
	Line    string // of the log, cut short
	Meaning string // "" for a line that the table does not know

	ofVersion bool // another version of the program may do without it
}

// What is no fault of the backup: nothing is proven then, and nothing disproved.
const (
	noRoom = "this host has no room for it, or not enough descriptors or memory"
	noKMS  = "the KMS that holds the key does not answer: nobody can answer for it here"
)

// known are lines by which kube-apiserver and etcd end, or wait for ever, and
// what they mean. The first that fits counts; $1 is what its group has found.
var known = []struct {
	pattern   *regexp.Regexp
	meaning   string
	ofVersion bool
}{
	{regexp.MustCompile(`no space left on device|disk quota exceeded|too many open files|cannot allocate memory`), noRoom, false},
	{regexp.MustCompile(`(?i)kms[^\n]*(?:deadline exceeded|no such file|connection refused|not ready|unavailable)|failed to create KMS|kms-provider`), noKMS, false},
	{regexp.MustCompile(`unknown flag: (--[-a-zA-Z0-9]+)`), "this version does not know $1, which the manifest has: the binary is of another version than the manifest's image, or the flag was removed", true},
	{regexp.MustCompile(`unrecognized feature gate: ([A-Za-z0-9]+)`), "this version does not know the feature gate $1 of the manifest", true},
	{regexp.MustCompile(`cannot set feature gate ([A-Za-z0-9]+)`), "this version has locked the feature gate $1", true},
	{regexp.MustCompile(`invalid argument "[^"]*" for "(--[-a-zA-Z0-9]+)`), "the manifest's value of $1 is not valid in this version", true},
	{regexp.MustCompile(`(?:open|stat|lstat|reading|read) "?(/[^\s:"]+)"?: no such file or directory`), "$1 is not in the backup, or is elsewhere on the archived host", false},
	{regexp.MustCompile(`open (/[^\s:"]+): permission denied`), "$1 may not be read", false},
	{regexp.MustCompile(`private key does not match public key`), "a certificate and its key do not belong together", false},
	{regexp.MustCompile(`certificate has expired or is not yet valid`), "a certificate has expired, or is not valid yet", false},
	{regexp.MustCompile(`remote error: tls: expired certificate`), "a client certificate has expired: the other side refuses it", false},
	{regexp.MustCompile(`certificate signed by unknown authority|remote error: tls: (?:bad certificate|unknown certificate authority)|ECDSA verification failure|crypto/rsa: verification error`), "a certificate is of another CA than the one that checks it: the PKI is not of one cluster", false},
	{regexp.MustCompile(`certificate is valid for [^\n]*, not ([^\s"]+)`), "a certificate does not name $1, under which it is shown", false},
	{regexp.MustCompile(`doesn't contain any IP SANs`), "a certificate names no address", false},
	{regexp.MustCompile(`failed to find any PEM data|does not contain any valid RSA or ECDSA`), "a key or certificate file holds none", false},
	{regexp.MustCompile(`identity transformer tried to read encrypted data|no matching prefix found`), "values are encrypted with a key that the EncryptionConfiguration of the backup does not have, or the manifest does not name one", false},
	{regexp.MustCompile(`message authentication failed|output array was not large enough for encryption|unable to transform key|invalid padding`), "values cannot be decrypted: the key has the right name and is another one, or a value is damaged", false},
	{regexp.MustCompile(`EncryptionConfig[^\n]*|error while parsing[^\n]*encryption provider`), "the EncryptionConfiguration is not valid", false},
	{regexp.MustCompile(`cannot assign requested address`), "an address of the flags is not there", false},
	{regexp.MustCompile(`address already in use`), "a port is taken by another program", false},
	{regexp.MustCompile(`unable to decode|proto: |illegal tag|wireType|json: cannot unmarshal`), "an object in etcd cannot be decoded", false},
	{regexp.MustCompile(`member count is unequal|cluster ID mismatch|snapshot file doesn't exist|walpb|wal: `), "etcd's log and its database do not fit", false},
	{regexp.MustCompile(`invalid downgrade|cannot downgrade|cluster cannot be downgraded`), "a newer etcd wrote the data", true},
	{regexp.MustCompile(`context deadline exceeded[^\n]*etcd|connection refused|transport: authentication handshake failed|etcdserver: request timed out`), "it does not reach etcd", false},
	{regexp.MustCompile(`informer-sync|timed out waiting for[^\n]*(?:sync|caches)`), "objects that it has to hold in memory cannot be listed: some of them cannot be read", false},
}

// Diagnose finds in a server's log why it ended or did not become ready. Lines
// at the end count most, those that say so in so many words more than others.
func Diagnose(log []byte) Cause {
	lines := bytes.Split(bytes.TrimSpace(log), []byte("\n"))
	slices.Reverse(lines)
	fallback := ""
	for _, pass := range []func(string) bool{fatal, severe} {
		for _, raw := range lines {
			line := string(raw)
			if !pass(line) {
				continue
			}
			if cause := causeOf(line); cause.Meaning != "" {
				return cause
			}
			if fallback == "" {
				fallback = line
			}
		}
	}
	if fallback == "" && len(lines) > 0 {
		fallback = string(lines[0])
	}
	return causeOf(fallback)
}

// fatal lines are those with which a program ends: klog's F, what cobra prints,
// a panic, zap's fatal.
func fatal(line string) bool {
	return strings.HasPrefix(line, "Error: ") || strings.HasPrefix(line, "error: ") || strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal ") ||
		strings.Contains(line, `"command failed"`) || strings.Contains(line, `"level":"fatal"`) || len(line) > 5 && line[0] == 'F' && line[1] >= '0' && line[1] <= '9'
}

// severe lines are klog's E and W, and zap's errors and warnings: what goes on
// for ever says so again and again.
func severe(line string) bool {
	klog := len(line) > 5 && (line[0] == 'E' || line[0] == 'W') && line[1] >= '0' && line[1] <= '9'
	return klog || strings.Contains(line, `"level":"error"`) || strings.Contains(line, `"level":"warn"`) || strings.HasPrefix(line, "error ") || strings.HasPrefix(line, "[-]")
}

func causeOf(line string) Cause {
	for _, k := range known {
		if at := k.pattern.FindStringSubmatchIndex(line); at != nil {
			return Cause{clip(line), string(k.pattern.ExpandString(nil, k.meaning, line, at)), k.ofVersion}
		}
	}
	return Cause{Line: clip(line)}
}
