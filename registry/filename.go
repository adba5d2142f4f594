package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// longestName is how long a file's name may be, in bytes, with its extension.
// Most file systems take 255; eCryptfs and some archives take fewer.
const longestName = 200

const longestExtension = len(".apply")

// FileName is the name of an object's manifest without its extension, as
// operators know it from kubectl's resource names:
//
//	deployments_infra-production_supercronic              plural, namespace, name
//	clusterroles_view                                     plural, name
//	ships.fleet.example.com_infra-production_aurora       plurals of custom resources with their group
//
// It is safe on every file system and distinct for distinct objects: bytes
// outside [A-Za-z0-9.-] are %-escaped in each part ("_" as well, it separates
// them), and a name that is too long is cut, with a hash of the whole after
// "%-", which no escape looks like. Names that differ in case alone stay so.
func FileName(o *Object) string {
	plural := o.Key.Plural
	if _, builtin := LookupKind(o.GVK.GroupKind()); !builtin && o.Key.Group != "" {
		plural += "." + o.Key.Group
	}
	parts := []string{escapeName(plural), escapeName(o.Name)}
	if o.Namespace != "" {
		parts = []string{escapeName(plural), escapeName(o.Namespace), escapeName(o.Name)}
	}
	name := strings.Join(parts, "_")
	// A first byte that would hide the file or make an option of it.
	if name[0] == '.' || name[0] == '-' {
		name = fmt.Sprintf("%%%02X", name[0]) + name[1:]
	}
	return fitName(name)
}

// escapeName writes every byte but [A-Za-z0-9.-] as %XX.
func escapeName(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '-':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// fitName cuts a name that is too long.
func fitName(name string) string {
	if len(name)+longestExtension <= longestName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	hash := "%-" + hex.EncodeToString(sum[:16])
	return name[:longestName-longestExtension-len(hash)] + hash
}
