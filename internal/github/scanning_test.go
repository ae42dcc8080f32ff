package github

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/org/idp/internal/fault"
	githubfake "github.com/org/idp/internal/testkit/github"
)

const scanning = "security-events: write"

func sarif(categories ...string) []byte {
	var runs []string
	for _, c := range categories {
		runs = append(runs, fmt.Sprintf(`{"tool": {"driver": {"name": "gosec"}}, "automationDetails": {"id": %q}, "results": []}`, c))
	}
	return []byte(`{"version": "2.1.0", "runs": [` + strings.Join(runs, ",") + `]}`)
}

func (p *place) upload() Upload {
	return Upload{Commit: p.repo.Head("main"), Ref: "refs/heads/main", SARIF: sarif("idp/checkout/sast/d1", "idp/checkout/secrets/d1")}
}

func TestSARIFIsUploadedAndProcessed(t *testing.T) {
	t.Parallel()
	for _, pending := range []int{0, 5} {
		p := at(t, scanning)
		p.repo.ScanningPending = pending
		id := must[string](t)(p.client.UploadSARIF(t.Context(), p.upload()))
		all := p.repo.Sarifs()
		if len(all) != 1 || all[0].ID != id || all[0].Status != "complete" || all[0].SHA != p.repo.Head("main") || all[0].Ref != "refs/heads/main" ||
			string(all[0].Log) != string(p.upload().SARIF) || len(all[0].Categories) != 2 {
			t.Errorf("%+v", all)
		}
		if n := len(p.Calls()); n != pending+2 {
			t.Errorf("%d requests", n)
		}
	}
}

func TestSARIFThatGitHubCannotProcess(t *testing.T) {
	t.Parallel()
	p := at(t, scanning)
	u := p.upload()
	u.SARIF = sarif("same/", "same/")
	_, err := p.client.UploadSARIF(t.Context(), u)
	if lines := strings.Join(fault.Lines(err), "\n"); fault.KindOf(err) != fault.Undetermined || !strings.Contains(lines, "multiple runs with the same tool and category") {
		t.Errorf("%v", lines)
	}
	for i := range 14 {
		p.repo.ScanningErrors = append(p.repo.ScanningErrors, fmt.Sprintf("error %d\n::error::x", i))
	}
	_, err = p.client.UploadSARIF(t.Context(), p.upload())
	lines := fault.Lines(err)
	if len(lines) != 12 || lines[1] != "error 0 ::error::x" || lines[11] != "and 4 more" {
		t.Errorf("%q", lines)
	}
}

func TestSARIFThatIsNeverProcessed(t *testing.T) {
	t.Parallel()
	p := at(t, scanning)
	p.repo.ScanningPending = 1000
	_, err := p.client.UploadSARIF(t.Context(), p.upload())
	if fault.KindOf(err) != fault.Undetermined || !strings.Contains(fmt.Sprint(err), "has not processed") {
		t.Errorf("error %v", err)
	}
	if waited, n := p.clock.now().Sub(noon), len(p.Calls()); waited > processing+10*time.Second || n > 17 {
		t.Errorf("waited %s, %d requests", waited, n)
	}
}

func TestSARIFWhereItIsNotAvailable(t *testing.T) {
	t.Parallel()
	const without = "code scanning is free for public repositories; others need GitHub Code Security, switched on in the repository's settings"
	for name, test := range map[string]struct {
		set          func(*place)
		scopes, want string
		readOnly     string
		enabled      bool
	}{
		"private, old words": {set: func(p *place) { p.repo.ScanningOff = githubfake.AdvancedSecurityOff }, want: without},
		"private":            {set: func(p *place) { p.repo.Private = true }, want: without},
		"switched off":       {set: func(p *place) { p.repo.ScanningOff = githubfake.ScanningNotEnabled }, want: without},
		"no permission":      {scopes: "contents: read", want: "add to the job permissions: {security-events: write}", enabled: true},
		"fork": {scopes: "security-events: read", readOnly: "the pull request comes from a fork", enabled: true,
			want: "the token of this run can only read, because the pull request comes from a fork"},
		"Dependabot": {scopes: "security-events: read", enabled: true, want: "add to the job permissions: {security-events: write}"},
	} {
		p := at(t, scanning)
		if test.scopes != "" {
			p.become(t, test.scopes)
		}
		if test.set != nil {
			test.set(p)
		}
		p.client.readOnly = test.readOnly
		_, err := p.client.UploadSARIF(t.Context(), p.upload())
		var denied *Denied
		if !errors.As(err, &denied) || denied.Feature != CodeScanning || denied.Status != http.StatusForbidden || denied.Enabled() != test.enabled ||
			!strings.HasSuffix(err.Error(), ": "+test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An upload that may have been taken is sent again: it replaces itself, so there is one analysis of each category.
func TestUploadCutAnywhere(t *testing.T) {
	t.Parallel()
	everywhere(t, scanning, func(p *place) { p.repo.ScanningPending = 1 }, func(ctx context.Context, p *place) error {
		_, err := p.client.UploadSARIF(ctx, p.upload())
		return err
	}, func(t *testing.T, p *place) {
		all := p.repo.Sarifs()
		if n := len(all); n < 1 || n > 2 || all[n-1].Status != "complete" {
			t.Errorf("%+v", all)
		}
		for _, u := range all {
			if u.SHA != all[0].SHA || u.Ref != all[0].Ref || strings.Join(u.Categories, " ") != strings.Join(all[0].Categories, " ") {
				t.Errorf("%+v", all)
			}
		}
	})
}

func TestSARIFThatCannotBe(t *testing.T) {
	t.Parallel()
	p := at(t, scanning)
	noise := make([]byte, 11<<20)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	for name, u := range map[string]Upload{
		"large":     {Commit: p.repo.Head("main"), Ref: "refs/heads/main", SARIF: noise},
		"short sha": {Commit: "abc", Ref: "refs/heads/main", SARIF: sarif()},
		"short ref": {Commit: p.repo.Head("main"), Ref: "main", SARIF: sarif()},
	} {
		if _, err := p.client.UploadSARIF(t.Context(), u); fault.KindOf(err) != fault.BadInput {
			t.Errorf("%s: %v", name, err)
		}
	}
}
