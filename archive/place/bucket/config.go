package bucket

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"gopkg.in/ini.v1"
)

// Config says where a store is and who asks.
type Config struct {
	Endpoint string // URL; "" is Amazon's
	Region   string
	CAFile   string // PEM file of the CAs to trust beside, "" for the system's alone

	AccessKey, SecretKey, SessionToken string // all "": nobody in particular
	WebIdentity                        bool   // ask the store's token service, with the token of this Pod
}

// ReadConfig reads what the tools of the trade read: the variables
// AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION, AWS_DEFAULT_REGION,
// AWS_CA_BUNDLE, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and
// AWS_WEB_IDENTITY_TOKEN_FILE; then the profile AWS_PROFILE in the files
// AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE, ~/.aws/credentials and
// ~/.aws/config by default. A file with a secret that others can read is refused.
// No program is run for credentials.
func ReadConfig() (Config, error) {
	c := Config{
		Endpoint:  cmp.Or(os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL")),
		Region:    cmp.Or(os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION")),
		CAFile:    os.Getenv("AWS_CA_BUNDLE"),
		AccessKey: os.Getenv("AWS_ACCESS_KEY_ID"), SecretKey: os.Getenv("AWS_SECRET_ACCESS_KEY"), SessionToken: os.Getenv("AWS_SESSION_TOKEN"),
		WebIdentity: os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE") != "",
	}
	home, _ := os.UserHomeDir() // without one there are no default files
	profile := cmp.Or(os.Getenv("AWS_PROFILE"), "default")
	for _, file := range []struct{ env, name, section string }{
		{"AWS_SHARED_CREDENTIALS_FILE", "credentials", profile},
		{"AWS_CONFIG_FILE", "config", map[bool]string{true: "default", false: "profile " + profile}[profile == "default"]},
	} {
		path, asked := os.Getenv(file.env), true
		if path == "" {
			path, asked = filepath.Join(home, ".aws", file.name), false
		}
		if err := c.readFile(path, file.section); err != nil && (asked || !errors.Is(err, fs.ErrNotExist)) {
			return c, fmt.Errorf("reading the store's credentials: %w", err)
		}
	}
	return c, nil
}

// readFile fills in what is not known yet. No error shows a part of the file.
func (c *Config) readFile(path, section string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	file, err := ini.Load(path)
	if err != nil {
		return fmt.Errorf("%q is not a file of profiles", path)
	}
	if !file.HasSection(section) {
		return nil // another profile's file
	}
	s := file.Section(section)
	value := func(name string) string { return s.Key(name).String() }
	if value("aws_secret_access_key") != "" && info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%q holds a secret and can be read by others (mode %04o): chmod 600 it", path, info.Mode().Perm())
	}
	if c.AccessKey == "" {
		c.AccessKey, c.SecretKey, c.SessionToken = value("aws_access_key_id"), value("aws_secret_access_key"), value("aws_session_token")
	}
	c.Endpoint = cmp.Or(c.Endpoint, value("endpoint_url"))
	c.Region = cmp.Or(c.Region, value("region"))
	c.CAFile = cmp.Or(c.CAFile, value("ca_bundle"))
	if c.AccessKey == "" && value("credential_process") != "" {
		return fmt.Errorf("%q names a program for the credentials (credential_process), and none is run here", path)
	}
	return nil
}

// client is a connection that is not made yet.
func (c Config) client() (*minio.Core, error) {
	endpoint, err := url.Parse(cmp.Or(c.Endpoint, "https://s3.amazonaws.com"))
	if err != nil || endpoint.Host == "" || endpoint.Scheme != "https" && endpoint.Scheme != "http" || endpoint.User != nil {
		return nil, errors.New("reading AWS_ENDPOINT_URL: it is not an address like https://HOST:PORT")
	}
	transport, err := c.transport()
	if err != nil {
		return nil, err
	}
	region := c.Region
	if region == "" && c.Endpoint != "" {
		region = "us-east-1" // what stores of one region are called
	}
	creds := credentials.NewStaticV4(c.AccessKey, c.SecretKey, c.SessionToken)
	if c.AccessKey == "" && c.WebIdentity {
		creds = credentials.New(&credentials.IAM{Client: &http.Client{Transport: transport}})
	}
	return minio.NewCore(endpoint.Host, &minio.Options{
		Creds: creds, Secure: endpoint.Scheme == "https", Region: region, Transport: untrusted{transport},
		BucketLookup: map[bool]minio.BucketLookupType{true: minio.BucketLookupPath, false: minio.BucketLookupAuto}[c.Endpoint != ""],
	})
}

func (c Config) transport() (*http.Transport, error) {
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading AWS_CA_BUNDLE: %w", err)
		}
		if trust.RootCAs, err = x509.SystemCertPool(); err != nil {
			trust.RootCAs = x509.NewCertPool()
		}
		if !trust.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("reading AWS_CA_BUNDLE: %q holds no certificate", c.CAFile)
		}
	}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:       trust,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: stall,
		IdleConnTimeout:       time.Minute,
		MaxIdleConnsPerHost:   64,
		DisableCompression:    true, // archives are compressed, and their bytes are counted
	}, nil
}

// untrusted hands on why a certificate is not trusted, without the wrapping that
// the client does not know: it would try nine times more.
type untrusted struct{ *http.Transport }

func (u untrusted) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := u.Transport.RoundTrip(r)
	if refused := (*tls.CertificateVerificationError)(nil); errors.As(err, &refused) {
		return nil, refused.Err
	}
	return response, err
}

// stall is how long a store may say nothing.
const stall = time.Minute
