package registry

import (
	"bytes"
	"cmp"
	"errors"

	"k8s.io/apimachinery/pkg/runtime/schema"
	apiserverv1 "k8s.io/apiserver/pkg/apis/apiserver/v1"
	"sigs.k8s.io/yaml"
)

// ServerEncryption is what kube-apiserver reads with an EncryptionConfiguration. A
// Keyring opens more: it tries all keys on all values.
//
// Source: k8s.io/apiserver pkg/server/options/encryptionconfig/config.go.
type ServerEncryption struct {
	// Masked are resources that stand behind an earlier wildcard which has them:
	// the server ends at once.
	Masked []string

	prefixes map[schema.GroupResource][]string // of the values that are read; "" is identity
}

// ParseServerEncryption reads an EncryptionConfiguration. Its error carries no
// part of the file, which holds keys.
func ParseServerEncryption(data []byte) (*ServerEncryption, error) {
	var config apiserverv1.EncryptionConfiguration
	if err := yaml.Unmarshal(data, &config); err != nil {
		return nil, errors.New("parsing EncryptionConfiguration: not the YAML that kube-apiserver takes (details are withheld, they may hold a key)")
	}
	s := &ServerEncryption{prefixes: map[schema.GroupResource][]string{}}
	for _, stanza := range config.Resources {
		prefixes := prefixesOf(stanza.Providers)
		for _, resource := range stanza.Resources {
			gr := schema.ParseGroupResource(resource)
			if s.prefixes[anyIn(gr)] != nil || s.prefixes[anyIn(schema.GroupResource{Group: "*"})] != nil {
				s.Masked = append(s.Masked, resource)
			}
			s.prefixes[gr] = append(s.prefixes[gr], prefixes...)
		}
	}
	return s, nil
}

func anyIn(gr schema.GroupResource) schema.GroupResource {
	return schema.GroupResource{Group: gr.Group, Resource: "*"}
}

// prefixesOf are the beginnings of the values that providers read.
func prefixesOf(providers []apiserverv1.ProviderConfiguration) (prefixes []string) {
	keys := func(provider string, keys []apiserverv1.Key) {
		for _, key := range keys {
			prefixes = append(prefixes, string(encryptedMagic)+provider+":v1:"+key.Name+":")
		}
	}
	for _, p := range providers {
		switch {
		case p.AESGCM != nil:
			keys("aesgcm", p.AESGCM.Keys)
		case p.AESCBC != nil:
			keys("aescbc", p.AESCBC.Keys)
		case p.Secretbox != nil:
			keys("secretbox", p.Secretbox.Keys)
		case p.KMS != nil:
			prefixes = append(prefixes, string(encryptedMagic)+"kms:"+cmp.Or(p.KMS.APIVersion, "v1")+":"+p.KMS.Name+":")
		case p.Identity != nil:
			prefixes = append(prefixes, "")
		}
	}
	return prefixes
}

// Reads tells whether a provider of the key's resource takes the value. That its
// key opens it as well is the Keyring's to say.
func (s *ServerEncryption) Reads(key Key, value []byte) bool {
	gr := key.GroupResource()
	prefixes := []string{""}
	for _, covered := range []schema.GroupResource{gr, anyIn(gr), {Group: "*", Resource: "*"}} {
		if of, ok := s.prefixes[covered]; ok {
			prefixes = of
			break
		}
	}
	encrypted := bytes.HasPrefix(value, encryptedMagic)
	for _, prefix := range prefixes {
		if prefix == "" && !encrypted || prefix != "" && bytes.HasPrefix(value, []byte(prefix)) {
			return true
		}
	}
	return false
}
