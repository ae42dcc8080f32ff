package projection

import (
	"strconv"
	"strings"
	"time"
)

// opsLevelFile is opslevel.yml: https://docs.opslevel.com/docs/opslevel-yml
type opsLevelFile struct {
	Version int             `json:"version"`
	Service opsLevelService `json:"service"`
}

type opsLevelService struct {
	Name         string         `json:"name"`
	Description  string         `json:"description,omitempty"`
	Owner        string         `json:"owner,omitempty"` // a team: OpsLevel has no other owners
	Lifecycle    string         `json:"lifecycle"`
	Tier         string         `json:"tier,omitempty"`
	Aliases      []string       `json:"aliases"`
	Tags         []opsLevelTag  `json:"tags,omitempty"`
	Tools        []opsLevelTool `json:"tools,omitempty"`
	Repositories []opsLevelRepo `json:"repositories,omitempty"`
}

type opsLevelTag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

type opsLevelTool struct {
	Name     string `json:"name"`
	Category string `json:"category"`
	URL      string `json:"url"`
}

type opsLevelRepo struct {
	Name string `json:"name"` // HOST:OWNER/NAME
	Path string `json:"path,omitempty"`
}

// OpsLevelInput is the input of OpsLevel's mutations serviceCreate and, with an ID, serviceUpdate.
type OpsLevelInput struct {
	ID          string         `json:"id,omitempty"`
	Name        string         `json:"name"`
	Description string         `json:"description,omitempty"`
	Owner       *opsLevelIdent `json:"ownerInput"` // null takes away the team that was there
	Lifecycle   string         `json:"lifecycleAlias"`
	Tier        string         `json:"tierAlias,omitempty"`
	System      *opsLevelIdent `json:"parent,omitempty"`
}

// opsLevelIdent names something by its alias.
type opsLevelIdent struct {
	Alias string `json:"alias"`
}

// lifecycleIn is OpsLevel's alias of a lifecycle; one without a name of its own is handed on.
func lifecycleIn(e Entry, n Names) string {
	if name := n["opslevel.lifecycle."+e.Lifecycle]; name != "" {
		return name
	}
	return e.Lifecycle
}

// tierIn is the alias that OpsLevel gives its tiers, tier_1 to tier_4.
func tierIn(e Entry) string {
	if e.Tier == 0 {
		return ""
	}
	return "tier_" + strconv.Itoa(e.Tier)
}

func opsLevelYAML(e Entry, n Names) opsLevelFile {
	s := opsLevelService{Name: e.Name, Description: e.Description, Owner: e.Owner, Lifecycle: lifecycleIn(e, n), Tier: tierIn(e),
		Aliases: []string{e.Name}}
	if e.SLA > 0 {
		s.Tags = append(s.Tags, opsLevelTag{"sla", strconv.FormatFloat(e.SLA, 'f', -1, 64)})
	}
	if e.Runbook != "" {
		s.Tools = append(s.Tools, opsLevelTool{"Runbook", "runbooks", e.Runbook})
	}
	for _, d := range e.Dashboards {
		s.Tools = append(s.Tools, opsLevelTool{d.Title, "metrics", d.URL})
	}
	if e.Slug != "" {
		s.Repositories = []opsLevelRepo{{"github.com:" + e.Slug, e.Folder}}
	}
	return opsLevelFile{1, s}
}

func opsLevelInput(e Entry, n Names) OpsLevelInput {
	in := OpsLevelInput{Name: e.Name, Description: e.Description, Lifecycle: lifecycleIn(e, n), Tier: tierIn(e)}
	if e.Owner != "" {
		in.Owner = &opsLevelIdent{e.Owner}
	}
	if e.System != "" {
		in.System = &opsLevelIdent{e.System}
	}
	return in
}

// opsLevelEvent is the body of a POST to a deploy integration: https://docs.opslevel.com/docs/deploys
type opsLevelEvent struct {
	Service     string           `json:"service"`
	Deployer    opsLevelDeployer `json:"deployer"`
	DeployedAt  time.Time        `json:"deployed_at"`
	Description string           `json:"description"`
	Environment string           `json:"environment"`
	URL         string           `json:"deploy_url,omitempty"`
	Number      string           `json:"deploy_number,omitempty"`
	Commit      *opsLevelCommit  `json:"commit,omitempty"`
	DedupID     string           `json:"dedup_id"`
}

type opsLevelDeployer struct {
	Email string `json:"email"`
	Name  string `json:"name,omitempty"`
}

type opsLevelCommit struct {
	SHA    string `json:"sha"`
	Branch string `json:"branch,omitempty"`
}

func opsLevelDeploy(e Entry, h Happening) opsLevelEvent {
	d := opsLevelEvent{Service: e.Name, Deployer: opsLevelDeployer{Email: "idp@example.invalid", Name: "idp"}, DeployedAt: h.Time,
		Description: h.title(e), Environment: h.Record.Environment, URL: h.Record.Run.URL, Number: h.Record.Run.ID, DedupID: h.ID()}
	if actor := h.Record.Run.Actor; actor != "" {
		// An address is required, and the only one that is known of an actor is that which GitHub gives everyone.
		d.Deployer = opsLevelDeployer{Email: actor + "@users.noreply.github.com", Name: actor}
	}
	if h.Commit != "" {
		d.Commit = &opsLevelCommit{SHA: h.Commit}
		if branch, ok := strings.CutPrefix(h.Record.Source.Ref, "refs/heads/"); ok && h.Commit == h.Record.Source.Commit {
			d.Commit.Branch = branch
		}
	}
	return d
}
