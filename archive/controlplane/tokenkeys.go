package controlplane

import "strings"

// TokenKeys are the keys for service-account tokens that kube-apiserver's flags
// name, by their files in the backup.
type TokenKeys struct {
	Signing  string   // --service-account-signing-key-file
	Accepted []string // --service-account-key-file, those that hold a key; the flag may be given again and again
	Fits     bool     // the server accepts what it signs
}

// TokenKeys reads them; false when the manifest does not name both, or one that
// is named cannot be read here: Mentions and CheckPKI say that.
func (v *View) TokenKeys() (TokenKeys, bool) {
	start, ok := v.Start(APIServer)
	flags, _ := v.Flags(APIServer)
	k := TokenKeys{Signing: v.mentioned(APIServer, flags["service-account-signing-key-file"])}
	if !ok || k.Signing == "" {
		return k, false
	}
	signing, err := publicOf(v.files[k.Signing].data)
	if err != nil {
		return k, false
	}
	for i, word := range start.Command {
		word, dashed := strings.CutPrefix(word, "--")
		name, value, joined := strings.Cut(word, "=")
		if !dashed || flagName(name) != "service-account-key-file" {
			continue
		}
		if !joined && i+1 < len(start.Command) {
			value = start.Command[i+1]
		}
		file := v.mentioned(APIServer, value)
		if file == "" {
			continue
		}
		public, err := parsePublic(v.files[file].data)
		if err != nil { // a private key's file is taken, too
			if public, err = publicOf(v.files[file].data); err != nil {
				continue
			}
		}
		k.Accepted = append(k.Accepted, file)
		k.Fits = k.Fits || public.Equal(signing)
	}
	return k, len(k.Accepted) > 0
}
