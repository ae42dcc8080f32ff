# What a person runs. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help

export GOTOOLCHAIN := local
GO        ?= go
VERSION   ?=
PLATFORMS ?=
PLATFORMS_ALL := linux/amd64 linux/arm64 darwin/arm64 darwin/amd64 windows/amd64
# gRPC's request traces link html/template, which calls methods by name, so that the linker could drop no method of any type:
# 14 MB of the program, for a web page that nobody serves. The release tree is compiled with the same.
TAGS      := grpcnotrace
LDFLAGS   := -s -w -buildid= $(if $(VERSION),-X github.com/org/idp/internal/app/cli.version=$(VERSION))
# Tools are pinned here and built once, from the module proxy; none of them is a dependency of the product.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.7.0
ACTIONLINT  := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
HELM        := helm.sh/helm/v3/cmd/helm@v3.19.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.1.4
# go test -v that ends with what the failed tests said. Built and not run by go, which would hold back an interruption.
GOTEST      := $(CURDIR)/bin/gotest

# What takes long to make and never changes is kept here, outside of the checkout, by version.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/idp

SUDO = $(if $(filter 0,$(shell id -u)),,sudo)

# What downloads is done once more where that failed, since go and apt-get do not ask again by themselves.
AGAIN := $(CURDIR)/.ci/again

# $(call tool,PACKAGE@VERSION) is the program of a tool, which $(call built,PACKAGE@VERSION) builds where it is not there yet. `go run`
# would ask the module proxy each time whether the package is a module of its own.
tool  = $(CACHE)/$(subst @,-,$(notdir $(1)))-$(shell $(GO) env GOVERSION)
built = test -x $(call tool,$(1)) || { mkdir -p $(CACHE); tmp=$$(mktemp -d $(CACHE)/tool.XXXXXX); CGO_ENABLED=0 GOBIN=$$tmp $(AGAIN) $(GO) install $(1); \
	mv $$tmp/* $(call tool,$(1)); rmdir $$tmp; }

.PHONY: help build gotest release-tree check-release-tree cross bench-start bench-scan bench-deploy bench-metrics bench-catalog bench-sign demo test lint lint-actions e2e e2e-catalog e2e-helm e2e-runner e2e-comment e2e-registry e2e-build e2e-sigstore e2e-cluster generate vuln clean cluster cluster-down

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

build: ## build bin/idp
	@mkdir -p bin
	@CGO_ENABLED=0 $(GO) build -tags $(TAGS) -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/idp ./cmd/idp

gotest:
	@$(GO) build -o $(GOTEST) ./internal/tools/gotest

release-tree: ## lay out dist/tree, what `uses: org/idp/NAME@v1` needs; VERSION=v1.2.3 PLATFORMS="linux/amd64 …", all or host
	@$(GO) run ./internal/tools/releasetree -version '$(VERSION)' -platforms '$(PLATFORMS)'

check-release-tree: ## two builds of this commit, from two checkouts, give the same bytes
	@set -euo pipefail; tmp=$$(mktemp -d); trap 'rm -rf "$$tmp"' EXIT; \
	for dir in one a/longer/path/to/another; do \
		git clone -q . "$$tmp/$$dir"; \
		$(MAKE) -s -C "$$tmp/$$dir" release-tree VERSION='$(VERSION)' PLATFORMS='$(PLATFORMS)' | tee "$$tmp/$${dir%%/*}.txt"; \
	done; \
	cmp "$$tmp/one.txt" "$$tmp/a.txt" && diff -r "$$tmp/one/dist/tree" "$$tmp/a/longer/path/to/another/dist/tree"

cross: ## compile for every platform
	@for platform in $(PLATFORMS_ALL); do \
		echo $$platform; \
		CGO_ENABLED=0 GOOS=$${platform%/*} GOARCH=$${platform#*/} $(GO) build -tags $(TAGS) -trimpath -buildvcs=false -o /dev/null ./cmd/idp || exit 1; \
	done

bench-start: build ## how long it takes to start: the program, and a step of a workflow
	@$(GO) run ./internal/tools/benchstart -idp bin/idp

bench-scan: build ## the scanners beside the command lines of gosec and gitleaks, on generated repositories or REPO=path; RUNS=5 ONLY=sast LINES=20000 WARM=true
	@$(GO) run ./internal/tools/benchscan -idp bin/idp -cache '$(CACHE)/bench-scan' -repo '$(REPO)' -runs '$(or $(RUNS),5)' -lines '$(or $(LINES),20000)' -only '$(ONLY)' -warm='$(or $(WARM),false)'

bench-deploy: build ## a deploy beside kubectl apply and rollout status on a real Kubernetes, and how soon failures are called; ROUNDS=9
	@$(GO) run ./internal/tools/cluster run -cache '$(CACHE)' \
		$(GO) run ./internal/tools/benchdeploy -idp bin/idp -rounds $(or $(ROUNDS),9)

bench-metrics: build ## idp metrics on a catalogue with a million deliveries: time and memory; DELIVERIES=1000000
	@$(GO) run ./internal/tools/benchmetrics -idp bin/idp -deliveries $(or $(DELIVERIES),1000000)

bench-catalog: build ## a catalogue of SERVICES=10000: idp catalog check, and a delivery beside a catalogue of ten; RUNS=5
	@$(GO) run ./internal/tools/benchcatalog -idp bin/idp -services $(or $(SERVICES),10000) -runs $(or $(RUNS),5)

bench-sign: build ## sign, attest and verify one image, beside cosign, on the same local services; ROUNDS=9
	@$(GO) run ./internal/tools/sigstore run -cache '$(CACHE)' \
		$(GO) run ./internal/tools/benchsign -idp bin/idp -rounds $(or $(ROUNDS),9)

demo: build ## walk the golden path on the sample service; what it made is in .idp
	@bin/idp path --service testdata/services/hello --target local
	@bin/idp portal --catalog .idp/catalog --environment local --out .idp/portal

test: ## unit, golden, script and contract tests
	@$(GO) test -timeout 30m ./...
	@$(GO) test -tags kms -run KMS ./internal/signing
	@cd testdata/services/hello && $(GO) test ./...

lint: ## gofmt, vet, staticcheck, actionlint, cross-compilation of what differs by platform
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo 'not gofmt-ed:'; gofmt -l $$(git ls-files '*.go'); exit 1; }
	@$(GO) vet ./...
	@set -e; $(call built,$(STATICCHECK))
	@$(call tool,$(STATICCHECK)) -checks 'all,-ST1000' ./...
	@$(call tool,$(STATICCHECK)) -checks 'all,-ST1000' -tags e2e $$(grep -rl --include='*.go' '^//go:build e2e' internal | xargs dirname | sort -u | sed 's|^|./|')
	@set -e; $(call built,$(ACTIONLINT))
	@$(call tool,$(ACTIONLINT)) .github/workflows/*.yml docs/workflows/*.yml

lint-actions: ## every action.yml and workflow, by GitHub's own parser
	@set -e; dir=$(CACHE)/workflow-parser-$$(git hash-object testdata/lint/actions/package-lock.json); \
	test -e "$$dir/installed" || { rm -rf "$$dir"; mkdir -p "$$dir"; cp testdata/lint/actions/package*.json "$$dir"; \
		$(AGAIN) npm ci --prefix "$$dir" --ignore-scripts --no-audit --no-fund --loglevel=error; touch "$$dir/installed"; }; \
	node testdata/lint/actions/lint.mjs "$$dir/node_modules" action.yml actions/*/action.yml .github/workflows/*.yml docs/workflows/*.yml

e2e-runner: gotest ## every workflow in docs/workflows, run by act against the release tree, offline
	@$(MAKE) -s release-tree PLATFORMS=host
	@$(AGAIN) $(GO) mod download -C testdata/services/hello
	@set -e; act=$(CACHE)/act-$$(cat testdata/e2e/runner/go.mod testdata/e2e/runner/nopty/pty.go | git hash-object --stdin); \
	test -x "$$act" || { mkdir -p $(CACHE); $(AGAIN) $(GO) mod download -C testdata/e2e/runner; $(GO) build -C testdata/e2e/runner -o "$$act.$$$$" github.com/nektos/act; mv "$$act.$$$$" "$$act"; }; \
	IDP_E2E_ACT="$$act" IDP_E2E_TREE=$(CURDIR)/dist/tree $(GOTEST) -tags e2e -count=1 -timeout 60m -run '^TestRunner' ./internal/e2e

e2e-catalog: gotest ## the catalogue's entities, by Backstage's own validators; signatures, by git; publishers that are killed at every step, and fifty at once
	@set -e; { command -v gpg && command -v ssh-keygen; } >/dev/null || { $(AGAIN) $(SUDO) apt-get update -q; \
		$(AGAIN) $(SUDO) apt-get install -q -y --no-install-recommends gnupg openssh-client; }
	@$(GOTEST) -tags e2e -count=1 -timeout 30m -run 'Backstage|Publisher|Signed' ./internal/catalog ./internal/gitstore

e2e-helm: gotest ## charts, by the real program helm, built once
	@set -e; $(call built,$(HELM)); \
	IDP_E2E_HELM=$(call tool,$(HELM)) $(GOTEST) -tags e2e -count=1 -run '^TestHelm' ./internal/manifest

e2e-comment: gotest ## what people see on GitHub, by GitHub's parser and in a browser; pictures in dist/screenshots
	@set -e; browser() { command -v chromium || command -v google-chrome || command -v chromium-browser; }; \
	{ browser && command -v cmark-gfm; } >/dev/null || { $(AGAIN) $(SUDO) apt-get update -q; \
		$(AGAIN) $(SUDO) apt-get install -q -y --no-install-recommends cmark-gfm $$(browser >/dev/null || echo chromium) fonts-dejavu-core fonts-noto-color-emoji; }; \
	dir=$(CACHE)/comment-$$(git hash-object testdata/e2e/comment/package-lock.json); \
	test -e "$$dir/installed" || { rm -rf "$$dir"; mkdir -p "$$dir"; cp testdata/e2e/comment/package*.json "$$dir"; \
		$(AGAIN) npm ci --prefix "$$dir" --ignore-scripts --no-audit --no-fund --loglevel=error; touch "$$dir/installed"; }; \
	cp testdata/e2e/comment/*.mjs "$$dir"; rm -f dist/screenshots/*.png; \
	IDP_E2E_COMMENT="$$dir" IDP_E2E_BROWSER="$$(browser)" IDP_E2E_SCREENSHOTS=$(CURDIR)/dist/screenshots \
		$(GOTEST) -tags e2e -count=1 -timeout 30m -run 'GitHubShows|Browser' ./internal/report

e2e-registry: gotest ## a real registry without the referrers API: logins, evidence, a restart, a pull-through cache
	@$(GOTEST) -tags e2e -count=1 -run '^TestRegistry(WithoutReferrers|ThatIsAPullThroughCache|ThatRestarts)$$' ./internal/referrers

e2e-portal: gotest ## the portal in two browsers, by the rules of axe-core, also of 10,000 services; pictures in dist/screenshots/portal
	@set -e; browser() { command -v chromium || command -v google-chrome || command -v chromium-browser; }; \
	firefox() { command -v firefox-esr || command -v firefox; }; \
	{ browser && firefox; } >/dev/null || { $(AGAIN) $(SUDO) apt-get update -q; \
		$(AGAIN) $(SUDO) apt-get install -q -y --no-install-recommends $$(browser >/dev/null || echo chromium) $$(firefox >/dev/null || echo firefox-esr) fonts-dejavu-core; }; \
	dir=$(CACHE)/portal-$$(git hash-object testdata/e2e/portal/package-lock.json); \
	test -e "$$dir/installed" || { rm -rf "$$dir"; mkdir -p "$$dir"; cp testdata/e2e/portal/package*.json "$$dir"; \
		$(AGAIN) npm ci --prefix "$$dir" --ignore-scripts --no-audit --no-fund --loglevel=error; touch "$$dir/installed"; }; \
	cp testdata/e2e/portal/*.mjs "$$dir"; rm -rf dist/screenshots/portal; \
	IDP_E2E_PORTAL="$$dir" IDP_E2E_BROWSER="$$(browser)" IDP_E2E_FIREFOX="$$(firefox)" IDP_E2E_SCREENSHOTS=$(CURDIR)/dist/screenshots/portal \
		$(GOTEST) -tags e2e -count=1 -timeout 60m -run 'Portal' ./internal/portal

e2e-build: build gotest ## Dockerfiles, by a real BuildKit and docker buildx, built once; as root on Linux
	@set -e; command -v runc >/dev/null || { $(AGAIN) $(SUDO) apt-get update -q; $(AGAIN) $(SUDO) apt-get install -q -y --no-install-recommends runc; }; \
	dir=$(CACHE)/buildkit-$$(cat testdata/buildkit/go.mod testdata/buildkit/go.sum | git hash-object --stdin); \
	test -d "$$dir" || { rm -rf "$$dir.partial"; mkdir -p "$$dir.partial"; $(AGAIN) $(GO) mod download -C testdata/buildkit; \
		CGO_ENABLED=0 $(GO) build -C testdata/buildkit -o "$$dir.partial/" tool; mv "$$dir.partial" "$$dir"; }; \
	IDP_E2E_IDP=$(CURDIR)/bin/idp IDP_E2E_BUILDKIT="$$dir" $(GOTEST) -tags e2e -count=1 -timeout 30m -run '^TestBuildKit' ./internal/container

e2e-cluster: build gotest ## pods on a real Kubernetes, started for this as root on Linux; USE_EXISTING_CLUSTER=1 takes that of KUBECONFIG
	@IDP_E2E_IDP=$(CURDIR)/bin/idp $(GO) run ./internal/tools/cluster run -cache '$(CACHE)' \
		$(GOTEST) -tags e2e -count=1 -timeout 60m -p 1 -parallel 10 -run '^TestCluster' \
		$$(grep -rl --include='*_test.go' '^//go:build e2e' internal | xargs grep -l '^func TestCluster' | xargs dirname | sort -u | sed 's|^|./|')

e2e-sigstore: build gotest ## signatures on a real sigstore, two registries and two versions of cosign, started for this
	@IDP_E2E_IDP=$(CURDIR)/bin/idp $(GO) run ./internal/tools/sigstore run -cache '$(CACHE)' \
		$(GOTEST) -tags e2e -count=1 -timeout 60m -parallel 8 -run '^TestSigstore' \
		$$(grep -rl --include='*_test.go' '^//go:build e2e' internal | xargs grep -l '^func TestSigstore' | xargs dirname | sort -u | sed 's|^|./|')

cluster: ## the same Kubernetes for use by hand; prints what to set in the shell
	@$(GO) run ./internal/tools/cluster up -cache '$(CACHE)'

cluster-down: ## stop that Kubernetes
	@$(GO) run ./internal/tools/cluster down -cache '$(CACHE)'

e2e: e2e-runner e2e-catalog e2e-helm e2e-comment e2e-registry e2e-build e2e-sigstore e2e-cluster ## everything on real parts

generate: ## write the files that come from declarations: action.yml, READMEs, docs, golden files of schemas
	@$(GO) test ./internal/app ./internal/schema ./internal/license -run Generated -update

vuln: ## known vulnerabilities, where their database can be reached
	@set -e; $(call built,$(GOVULNCHECK))
	@out=$$($(call tool,$(GOVULNCHECK)) ./... 2>&1); code=$$?; printf '%s\n' "$$out"; \
	if [ $$code -ne 0 ] && grep -q 'fetching vulnerabilities' <<<"$$out"; then \
		echo 'NOT CHECKED: the vulnerability database cannot be reached from here'; \
	else exit $$code; fi

clean: ## remove what the targets above made
	@rm -rf bin dist .idp
