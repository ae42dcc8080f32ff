package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/org/idp/internal/fault"
)

// EventPullRequestTarget is refused wherever it is met: see Event.
const EventPullRequestTarget = "pull_request_target"

// payloadLimit is GitHub's own for a webhook: 25 MB.
const payloadLimit = 25 << 20

// Event is what started the run, as far as a delivery depends on it. All text in it but Name and SHA was chosen by
// whoever caused the event.
type Event struct {
	Name          string // such as push; empty outside a run
	Action        string // what happened to the pull request, merge group or release, such as opened
	Ref           string // full name of what the run was started for, such as refs/heads/main or refs/pull/7/merge
	SHA           string // the commit that the run was started for; for a pull request, of its test merge
	DefaultBranch string // without refs/heads/; empty where the payload does not say
	BaseRef       string // branch that a pull request or merge group asks to be merged into, without refs/heads/; else empty
	Number        int    // of the pull request; else 0
	Head          Head   // of the pull request or merge group
	Fork          bool   // the pull request's head is in another repository, or in one that is gone
	Deleted       bool   // a push that deleted its ref
	Tag           string // of a release
	Comment       Comment
	Inputs        map[string]string
}

// Comment is one in the conversation of a pull request.
type Comment struct {
	Number int    // of the pull request; 0 where it is on an issue
	Body   string // of anyone
}

// Head is what a pull request or merge group asks to merge.
type Head struct {
	SHA, Ref   string // Ref is without refs/heads/
	Repository string // OWNER/NAME; empty where it is gone
}

// payload is the part of GitHub's event payloads that is read. Every field may be absent or null.
type payload struct {
	Action     string
	Number     int
	Deleted    bool
	Inputs     map[string]any
	Repository *repository
	Release    *struct {
		TagName string `json:"tag_name"`
	}
	PullRequest *struct {
		Head struct {
			Ref, SHA string
			Repo     *repository
		}
		Base struct{ Ref string }
	} `json:"pull_request"`
	Comment *struct{ Body string }
	Issue   *struct {
		Number      int
		PullRequest *struct{} `json:"pull_request"`
	}
	MergeGroup *struct {
		HeadSHA string `json:"head_sha"`
		HeadRef string `json:"head_ref"`
		BaseRef string `json:"base_ref"`
	} `json:"merge_group"`
}

type repository struct {
	FullName      string `json:"full_name"`
	DefaultBranch string `json:"default_branch"`
}

func (r *repository) name() string {
	if r == nil {
		return ""
	}
	return r.FullName
}

// Event reads what started the run; outside a run it is empty. A payload that cannot be read, or does not have what its
// event is about, is an error.
func (r *Runner) Event() (Event, error) {
	if !r.Active() {
		return Event{}, nil
	}
	e := Event{Name: r.getenv("GITHUB_EVENT_NAME"), Ref: r.getenv("GITHUB_REF"), SHA: r.getenv("GITHUB_SHA")}
	if e.Name == "" {
		return e, fault.BadInputf("the runner does not say what started this run: GITHUB_EVENT_NAME is empty")
	}
	if e.Name == EventPullRequestTarget {
		return e, fault.BadInputf("%s is refused: it runs with the secrets of this repository on code that anyone may have written", e.Name).
			WithNext("Use instead: on: pull_request")
	}
	p, err := readPayload(r.getenv("GITHUB_EVENT_PATH"))
	if err != nil {
		return e, fault.Undeterminedf("what started this run cannot be read: %w", err)
	}
	if err := e.take(p); err != nil {
		return e, fault.Undeterminedf("the payload of the event %s %w", e.Name, err)
	}
	return e, nil
}

func readPayload(path string) (payload, error) {
	var p payload
	if path == "" {
		return p, errors.New("GITHUB_EVENT_PATH is empty")
	}
	f, err := os.Open(path) // #nosec G304 -- the runner names the file
	if err != nil {
		return p, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, payloadLimit+1))
	if err != nil {
		return p, err
	}
	if len(data) > payloadLimit {
		return p, fmt.Errorf("%s is larger than %d MiB", path, payloadLimit>>20)
	}
	if err := json.Unmarshal(data, &p); err != nil {
		return p, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

func (e *Event) take(p payload) error {
	e.Action, e.Deleted = p.Action, p.Deleted
	if p.Repository != nil {
		e.DefaultBranch = p.Repository.DefaultBranch
	}
	for name, value := range p.Inputs {
		if value != nil {
			if e.Inputs == nil {
				e.Inputs = map[string]string{}
			}
			e.Inputs[name] = fmt.Sprint(value)
		}
	}
	switch {
	case e.Name == "pull_request" && p.PullRequest == nil, e.Name == "merge_group" && p.MergeGroup == nil, e.Name == "release" && p.Release == nil,
		e.Name == "issue_comment" && (p.Comment == nil || p.Issue == nil):
		return errors.New("does not say which one it is about")
	case e.Name == "pull_request":
		return e.takePullRequest(p)
	case e.Name == "merge_group":
		e.Head = Head{SHA: p.MergeGroup.HeadSHA, Ref: branch(p.MergeGroup.HeadRef), Repository: p.Repository.name()}
		e.BaseRef = branch(p.MergeGroup.BaseRef)
	case e.Name == "issue_comment":
		e.Comment.Body = p.Comment.Body
		if p.Issue.PullRequest != nil {
			e.Comment.Number = p.Issue.Number
		}
		return nil
	case e.Name == "release":
		e.Tag = p.Release.TagName
		if e.Tag == "" {
			return errors.New("names no tag")
		}
		return nil
	default:
		return nil
	}
	return e.complete()
}

func (e *Event) takePullRequest(p payload) error {
	pr := p.PullRequest
	e.Number, e.BaseRef = p.Number, pr.Base.Ref
	e.Head = Head{SHA: pr.Head.SHA, Ref: pr.Head.Ref, Repository: pr.Head.Repo.name()}
	e.Fork = e.Head.Repository == "" || e.Head.Repository != p.Repository.name()
	if e.Number < 1 {
		return errors.New("has no number of the pull request")
	}
	return e.complete()
}

// complete wants what the change is measured against.
func (e *Event) complete() error {
	if e.BaseRef == "" || e.Head.SHA == "" {
		return errors.New("does not say what is to be merged into which branch")
	}
	return nil
}

// Branch is the branch that a push went to; empty for a tag and for other events' refs.
func (e Event) Branch() string {
	name, ok := strings.CutPrefix(e.Ref, "refs/heads/")
	if !ok {
		return ""
	}
	return name
}

// OnTag tells whether the run was started for a tag.
func (e Event) OnTag() bool { return strings.HasPrefix(e.Ref, "refs/tags/") }

func branch(ref string) string { return strings.TrimPrefix(ref, "refs/heads/") }
