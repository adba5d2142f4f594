// Package buckets tests lifeboat against a real S3 server.
package buckets
