# Lifeboat's targets. `make` alone lists them. On a fresh machine with Go, git
# and make, `make demo` and `make test` do everything that matters.

GOLANGCI_VERSION := v2.15.0
FUZZTIME         ?= 30s
BENCHTIME        ?= 1s
REPEAT           ?= 20
BENCH_KEYS       ?= 100000

# One set of flags for every build and test, so that they share Go's build
# cache: a cold build of the dependencies takes minutes. -trimpath and
# -buildvcs=false also make the binary the same wherever it is built.
export CGO_ENABLED := 0
export GOFLAGS     := -trimpath -buildvcs=false

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null)
LDFLAGS := -s -w -buildid= -X github.com/lifeboat-dr/lifeboat/cmd/internal/console.linkedVersion=$(VERSION)

.DEFAULT_GOAL := help
.PHONY: pages host-etcd report-shot report-shot-tools interop-tools help build build-to build-kubectl-to release release-check demo test repeat short race lint fmt fuzz bench soak cross interop mutate mutate-sample golden tidy-check cover clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## bin/lifeboat, static
	go build -ldflags '$(LDFLAGS)' -o bin/lifeboat ./cmd/lifeboat

build-to:
	go build -ldflags '$(LDFLAGS)' -o $(TO) ./cmd/lifeboat

# The release that the module belongs to, which kubectl compares with the server's.
build-kubectl-to:
	cd release/lifeboat-kubectl && version=$$(go list -m -f '{{.Version}}' k8s.io/kubectl) && \
	  go build -ldflags "-s -w -buildid= -X k8s.io/component-base/version.gitVersion=v1.$${version#v0.}" -o $(TO) .

release: ## archives, a second one with kubectl, deb, rpm, bill of materials and checksums into dist/, the same bytes each time; KEY=FILE signs, PASSPHRASE=FILE opens the key
	cd release && go build -o ../bin/release .
	bin/release -to dist -sign '$(KEY)' -passphrase-file '$(PASSPHRASE)'

release-check: ## two releases of two copies on two paths are the same, byte for byte
	cd release && LIFEBOAT_RELEASE=1 go test -count=1 -timeout 1h ./...

demo: build ## one lost namespace out of the backup in testdata, into demo/restored
	@rm -rf demo && mkdir demo
	bin/lifeboat extract testdata/harbour/kube-backup.tar.gz -n infra-production --to demo/restored
	@echo && echo "One of them, $$(cd demo && find restored -name 'deployments_*' | LC_ALL=C sort | head -n 1):"
	@cat "$$(find demo/restored -name 'deployments_*' | LC_ALL=C sort | head -n 1)"

test: ## all tests; needs nothing but Go
	go run ./testdata/mutants -check
	go test -timeout 30m ./...

repeat: ## all tests REPEAT=20 times in a row, on a busy machine: another program keeps each core at work
	@for core in $$(seq $$(nproc)); do nice sha256sum /dev/zero & busy="$$busy $$!"; done; \
	trap "kill $$busy" EXIT; trap 'exit 130' INT TERM; \
	for run in $$(seq $(REPEAT)); do echo "run $$run of $(REPEAT)"; go test -count=1 -timeout 1h ./... || exit 1; done

short: ## the quick tests only
	go test -short ./...

race: ## all tests under the race detector; needs a C compiler
	@command -v gcc >/dev/null || command -v cc >/dev/null || { echo "make race needs a C compiler: the race detector is linked with cgo (apt-get install gcc)"; exit 1; }
	CGO_ENABLED=1 go test -race ./...

bin/golangci-lint-$(GOLANGCI_VERSION):
	@echo "Installing golangci-lint $(GOLANGCI_VERSION) into bin/; about five minutes from cold on two cores."
	@mkdir -p bin
	cd / && GOBIN=$(CURDIR)/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv bin/golangci-lint $@

lint: bin/golangci-lint-$(GOLANGCI_VERSION) ## golangci-lint over the tree; installs it into bin/ first
	$< run ./...

fmt: bin/golangci-lint-$(GOLANGCI_VERSION) ## format the tree as lint wants it
	$< fmt ./...

fuzz: ## every fuzz target for FUZZTIME=30s
	@set -e; for pkg in $$(go list ./...); do \
	  targets=$$(go test -list '^Fuzz' $$pkg); \
	  for target in $$(echo "$$targets" | grep '^Fuzz' || true); do \
	    echo "fuzzing $$pkg $$target for $(FUZZTIME)"; \
	    go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10s $$pkg; \
	  done; \
	done

# The server that BenchmarkProve starts; a cold build takes a quarter of an hour on two cores.
bin/kube-apiserver:
	cd testdata/oracle && go build -o $(CURDIR)/bin/kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver

bench: bin/kube-apiserver ## whole commands beside the floor and the peers, then each package's benchmarks
	LIFEBOAT_BENCH_KEYS=$(BENCH_KEYS) go test -run '^$$' -bench '^Benchmark(SideBySide|Archive|Etcd|ServeStart)$$' -benchtime 1x -timeout 1h ./cmd/lifeboat
	LIFEBOAT_KUBE_APISERVER=$(CURDIR)/bin/kube-apiserver go test -run '^$$' -skip '^Benchmark(SideBySide|Archive|Etcd|ServeStart)$$' -bench . -benchmem -benchtime $(BENCHTIME) -timeout 1h ./...
	cd testdata/oracle && LIFEBOAT_BENCH_KEYS=$(BENCH_KEYS) LIFEBOAT_KUBE_APISERVER=$(CURDIR)/bin/kube-apiserver go test -count=1 -run TestServeBesideKubeAPIServer -v -timeout 1h .

# LIFEBOAT_SOAK is the one variable that the loop counts of random tests hang on.
soak: interop-tools ## random tests 20 times as long, all tests REPEAT=20 times, race, cross builds, interop, mutants; needs a C compiler
	LIFEBOAT_SOAK=20 go test -timeout 3h ./...
	set -e; for etcd in oldetcd etcd35 etcd36; do (cd testdata/$$etcd && LIFEBOAT_SOAK=20 go test -count=1 -run /rounds -timeout 2h ./...); done
	$(MAKE) repeat race cross interop mutate release-check

mutate: ## break the code in small ways, one at a time: tests have to notice
	go run ./testdata/mutants

mutate-sample: ## a few of them, from quick packages
	go run ./testdata/mutants -sample

cross: ## compile for every platform that is released
	GOOS=linux GOARCH=amd64 go build -o /dev/null ./cmd/lifeboat
	GOOS=linux GOARCH=arm64 go build -o /dev/null ./cmd/lifeboat
	GOOS=darwin GOARCH=arm64 go build -o /dev/null ./cmd/lifeboat

interop-tools:
	@missing=; for tool in age minisign strace tmux zstd; do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	command -v etcd >/dev/null || missing="$$missing etcd-server"; \
	command -v ip >/dev/null || missing="$$missing iproute2"; \
	if [ -n "$$missing" ]; then \
	  echo "make interop tests against$$missing; installing with apt-get."; \
	  apt-get update -qq && apt-get install -y -qq $$missing || echo "Not installed. Without them the tests that need them are left out."; \
	fi

interop: interop-tools report-shot-tools ## nested modules in testdata, against age, minisign, strace, tmux, zstd, etcd (Debian's), etcd 3.5 and 3.6, Kubernetes' own programs (1.37 and 1.34), kubectl 1.28, Helm 3 and 4 and k9s (built)
	@[ -n "$$LIFEBOAT_KUBE_1_34" ] || echo "testdata/oracle builds Kubernetes twice, 1.37 and 1.34: a quarter of an hour each from cold. LIFEBOAT_KUBE_1_34 names a 1.34 that is built."
	@set -e; found=; for mod in $$(find testdata -name go.mod -not -path '*/programs/*' | LC_ALL=C sort); do \
	  found=yes; echo "testing $$(dirname $$mod)"; (cd $$(dirname $$mod) && go test -count=1 -timeout 2h ./...); \
	done; [ -n "$$found" ] || echo "no nested modules in testdata yet"

pages: report-shot-tools ## drills' reports in a headless Chromium: nothing to scroll sideways, nothing asked for
	cd testdata/reports && go test -count=1 ./...

host-etcd: interop-tools ## the etcd of this host's packages, killed, saved, restored and rebuilt
	cd testdata/oldetcd && go test -count=1 -timeout 20m ./...

report-shot-tools:
	@missing=; command -v chromium-headless-shell >/dev/null || command -v chromium >/dev/null || missing="chromium-headless-shell fonts-liberation"; \
	if [ -n "$$missing" ]; then \
	  echo "make report-shot looks at pages in Chromium; installing $$missing with apt-get."; \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing || echo "Not installed. Without it the pages are not looked at."; \
	fi

report-shot: report-shot-tools ## open the drills' reports in a headless Chromium, on a desk, a phone and paper; pictures into docs/
	cd testdata/reports && LIFEBOAT_REPORT_SHOT_TO=$(CURDIR)/docs go test -count=1 -v ./...

golden: ## rewrite the golden files and scripts; read the diff before you commit it
	@set -e; for pkg in $$(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...); do \
	  if grep -qs 'flag.Bool("update"' $$(go list -f '{{.Dir}}' $$pkg)/*_test.go; then \
	    echo "go test $$pkg -update"; go test $$pkg -update; \
	  fi; \
	done
	git --no-pager diff --stat

tidy-check: ## go.mod and go.sum say what the code needs
	go mod tidy -diff
	go mod verify

cover: ## coverage of every package, as a total per function in coverage.out
	go test -coverprofile=coverage.out ./...
	go tool cover -func=coverage.out | tail -n 1

clean: ## remove what make made, but not the tools it installed
	rm -rf bin/lifeboat bin/release dist demo coverage.out
