// SPDX-License-Identifier: Apache-2.0
// Copyright Authors of K9s

// This is internal/vul/scanner.go of k9s v0.50.16 without grype, which scans
// images for vulnerabilities: no test looks at that, and it is 1100 packages.

package vul

import (
	"context"
	"log/slog"
	"sync"

	"github.com/derailed/k9s/internal/config"
	"github.com/derailed/k9s/internal/slogs"
)

var ImgScanner *imageScanner

type imageScanner struct {
	scans  Scans
	mx     sync.RWMutex
	config config.ImageScans
	log    *slog.Logger
}

// NewImageScanner returns a new instance.
func NewImageScanner(cfg config.ImageScans, l *slog.Logger) *imageScanner {
	return &imageScanner{
		scans:  make(Scans),
		config: cfg,
		log:    l.With(slogs.Subsys, "vul"),
	}
}

func (s *imageScanner) ShouldExcludes(ns string, lbls map[string]string) bool {
	return s.config.ShouldExclude(ns, lbls)
}

// GetScan fetch scan for a given image. Returns ok=false when not found.
func (s *imageScanner) GetScan(img string) (*Scan, bool) {
	s.mx.RLock()
	defer s.mx.RUnlock()

	scan, ok := s.scans[img]

	return scan, ok
}

// Init does nothing.
func (s *imageScanner) Init(_, _ string) {}

// Stop does nothing.
func (s *imageScanner) Stop() {}

func (s *imageScanner) Score(ii ...string) string {
	var sc scorer
	for _, i := range ii {
		if scan, ok := s.GetScan(i); ok {
			sc = sc.Add(newScorer(scan.Tally))
		}
	}

	return sc.String()
}

func (s *imageScanner) IsInitialized() bool { return false }

// Enqueue does nothing.
func (s *imageScanner) Enqueue(context.Context, ...string) {}
