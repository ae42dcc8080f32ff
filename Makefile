# What a person runs. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help

export GOTOOLCHAIN := local
GO        ?= go
VERSION   ?=
LDFLAGS   := -s -w -buildid= $(if $(VERSION),-X github.com/org/idp/internal/app.version=$(VERSION))
# Tools are pinned here and run from the module proxy; none of them is a dependency of the product.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.7.0
ACTIONLINT  := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.1.4

.PHONY: help build demo test lint generate vuln clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: ## build bin/idp
	@mkdir -p bin
	@CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/idp ./cmd/idp

demo: build ## walk the golden path on the sample service; what it made is in .idp
	@bin/idp path --service testdata/services/hello --target local

test: ## unit, golden, script and contract tests
	@$(GO) test ./...
	@cd testdata/services/hello && $(GO) test ./...

lint: ## gofmt, vet, staticcheck, actionlint, cross-compilation of what differs by platform
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo 'not gofmt-ed:'; gofmt -l $$(git ls-files '*.go'); exit 1; }
	@$(GO) vet ./...
	@$(GO) run $(STATICCHECK) -checks 'all,-ST1000' ./...
	@$(GO) run $(ACTIONLINT)

generate: ## write the files that come from declarations: action.yml, READMEs, docs, golden files of schemas
	@$(GO) test ./internal/app ./internal/schema -run Generated -update

vuln: ## known vulnerabilities, where their database can be reached
	@out=$$($(GO) run $(GOVULNCHECK) ./... 2>&1); code=$$?; printf '%s\n' "$$out"; \
	if [ $$code -ne 0 ] && grep -q 'fetching vulnerabilities' <<<"$$out"; then \
		echo 'NOT CHECKED: the vulnerability database cannot be reached from here'; \
	else exit $$code; fi

clean: ## remove what the targets above made
	@rm -rf bin dist .idp
